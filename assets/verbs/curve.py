"""curve: the confidence curve as a figure, from figures that were counted already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.curves import draw
from assets.resources import Emit
from weaver_forge.errors import UsageError
from weaver_forge.settings import Settings


def curve(_settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Draw ``{"file": path, "data": figures}``; the path's suffix says whether as SVG or PNG.

    Raises:
        UsageError: If the file cannot be written.
    """
    file = Path(str(arguments["file"]))
    try:
        draw(arguments["data"], file)
    except OSError as error:
        raise UsageError(f"it cannot be written: {error.strerror}", where=str(file), do="Name another file") from error
    emit({"event": "result", "data": {"file": str(file)}})
    return 0
