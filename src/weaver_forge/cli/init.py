"""Making a deployment directory: the project's own folders copied out, settings written, inbox ready."""

import importlib.util
import shutil
import sys
from pathlib import Path

from weaver_forge.errors import ConfigurationError, UsageError
from weaver_forge.settings import MARKER, SOURCES

PARTS = ("assets", "models", "notebooks", "dagster_home/dagster.yaml", "policy.yaml", "constraints.txt")
_OPTIONAL = {"notebooks", "constraints.txt"}
_IGNORED = """\
.venv/
__pycache__/
/data/*
!/data/README.md
/dagster_home/*
!/dagster_home/dagster.yaml
/reports/
mlruns/
.weaver-forge/
"""
_DATA = """\
# What is here

| path | what | kept |
|---|---|---|
| inbox/<source>/ | new input, taken in by the next run; one folder a source | until you remove it |
| inbox/decisions/ | decisions of hooks that reached no ledger | until they are taken in |
| warehouse.duckdb | tables; only pipeline runs write it | can be rebuilt from the sources |
| lake/ | spans | can be rebuilt from the sources |
| published/ | numbered snapshots for gates, notebooks and pages | the newest five |
| ledger.sqlite | predictions, decisions, outcomes, scores: append-only | BACK THIS UP |
| mlflow.db | experiments and registered models | can be trained again |
"""
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
    project = project_files()
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        _copy(project / part, folder / part, optional=part in _OPTIONAL)
    for source in SOURCES:
        (folder / "data" / "inbox" / source).mkdir(parents=True, exist_ok=True)
    (folder / "data" / "README.md").write_text(_DATA, encoding="utf-8")
    (folder / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    python = sys.executable.replace("\\", "\\\\").replace('"', '\\"')
    (folder / MARKER).write_text(_SETTINGS.format(python=python), encoding="utf-8")
    return sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())


def project_files() -> Path:
    """Where the project's folders are: inside the installed wheel, or the checkout of an editable install."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_project", package.parents[1]):
        if (candidate / "assets" / "__main__.py").is_file() and (candidate / "models").is_dir():
            return candidate
    raise ConfigurationError(
        "the project's assets/ and models/ are not with this installation",
        where=str(package),
        do="Install the weaver-forge wheel again, or work in a checkout",
    )


def has_pipeline() -> bool:
    """Whether this interpreter can run the pipeline; looked up, not imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("dagster", "mlflow", "polars"))


def _copy(source: Path, target: Path, *, optional: bool) -> None:
    if not source.exists():
        if optional:
            return
        raise ConfigurationError("a part of the project is missing", where=str(source), do="Install the wheel again")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".ipynb_checkpoints"))
    else:
        shutil.copyfile(source, target)
