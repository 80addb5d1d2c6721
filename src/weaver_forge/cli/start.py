"""``init`` and ``demo``: the first minutes."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge import settings
from weaver_forge.cli import text
from weaver_forge.cli.init import has_pipeline, make_deployment
from weaver_forge.cli.pipeline import relay
from weaver_forge.errors import ConfigurationError

_EXTRA = 'pip install "weaver-forge[pipeline]"'


def init(directory: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Make a working deployment directory.

    Args:
        directory: A new or an empty folder.
        json: Print as JSON.
    """
    made = make_deployment(directory)
    if json:
        text.as_json({"directory": str(directory.resolve()), "made": made, "has_pipeline": has_pipeline()})
        return 0
    text.out(f"A deployment is in {directory.resolve()}: {', '.join(made)}")
    if not has_pipeline():
        text.out(f"This interpreter cannot run the pipeline yet: {_EXTRA}")
    text.out(f"Next: cd {directory} && weaver-forge ingest --git PATH --tests 'reports/**/*.xml' && weaver-forge run")
    return 0


def demo(
    directory: Path = Path("demo"), /, *, small: bool = False, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Simulate an organisation as real files, run the whole loop on it, and show prediction against truth.

    Args:
        directory: A new or an empty folder; becomes a deployment of its own.
        small: A quick one: fewer services and days.
        json: Print only the result, as JSON.
    """
    if not has_pipeline():
        raise ConfigurationError("this interpreter cannot run the pipeline", where="demo", do=f"First {_EXTRA}")
    make_deployment(directory)
    arguments: dict[str, Any] = {"size": "small"} if small else {}
    return relay(settings.load(directory.resolve()), "demo", arguments, as_json=json)
