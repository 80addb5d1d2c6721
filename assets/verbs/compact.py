"""compact: upkeep of the lakes, now."""

from collections.abc import Mapping
from typing import Any

from assets.definitions import open_deployment
from assets.resources import Emit
from assets.upkeep import keep_up
from weaver_forge.settings import Settings


def compact(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """Join small files of closed days and delete those that nobody needs; say how many."""
    done = keep_up(open_deployment(settings, emit))
    columns = ["lake", "replaced", "written", "deleted", "files"]
    rows = [[row[name] for name in columns] for row in done]
    emit({"event": "table", "title": "Files of the lakes", "columns": columns, "rows": rows})
    emit({"event": "result", "data": done})
    return 0
