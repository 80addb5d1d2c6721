"""Making a deployment directory: the project's own folders copied out, settings written, inbox ready."""

import importlib.util
import sys
from pathlib import Path

from weaver_forge.cli.released import digest, put, released, write_note
from weaver_forge.errors import UsageError
from weaver_forge.settings import MARKER, SOURCES

_SETTINGS = """\
# Marks a Weaver Forge deployment. Found upwards from the working directory.
# Precedence: flag > environment (WEAVER_FORGE_...) > this file > default. `weaver-forge doctor` shows what holds.

[pipeline]
# The interpreter that has the [pipeline] extra.
python = "{python}"

# The registry of decisions: a package in models/ and a line here is all a decision takes.
[decisions]
test_selection = "models.test_selection"
load_forecast = "models.load_forecast"
anomaly = "models.anomaly"
deploy_risk = "models.deploy_risk"

# What `weaver-forge run` takes in every time, besides data/inbox/<source>/. Paths are relative to this file.
# [sources]
# git = ["../my-repository"]
# tests = ["../my-repository/reports/**/*.xml"]
"""


def make_deployment(folder: Path) -> list[str]:
    """Make ``folder`` a deployment and return what was put there.

    Raises:
        UsageError: If there is something in it already.
        ConfigurationError: If the project's folders are not with this installation.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        there = sorted(path.name for path in folder.iterdir())[:8] if folder.is_dir() else ["a file"]
        raise UsageError(f"not empty: {', '.join(there)}", where=str(folder), do="Name a new or an empty folder")
    files = released()
    for name, content in files.items():
        put(folder / name, content)
    make_inbox(folder)
    python = sys.executable.replace("\\", "\\\\").replace('"', '\\"')
    (folder / MARKER).write_text(_SETTINGS.format(python=python), encoding="utf-8")
    write_note(folder, {name: digest(content) for name, content in files.items()})
    return sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())


def make_inbox(folder: Path) -> None:
    """A folder a source, for what people put there."""
    for source in SOURCES:
        (folder / "data" / "inbox" / source).mkdir(parents=True, exist_ok=True)


def has_pipeline() -> bool:
    """Whether this interpreter can run the pipeline; looked up, not imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("dagster", "mlflow", "polars"))
