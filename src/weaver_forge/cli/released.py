"""What a release puts into a deployment, and the deployment's note of what was put there.

The note is how an upgrade tells the files that somebody changed. Making a deployment of these files belongs in
``init``, bringing one to another release in ``upgrade``.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weaver_forge import __version__
from weaver_forge.errors import ConfigurationError

NOTE = "weaver-forge.files.json"
"""Lies beside weaver-forge.toml, to be kept in version control with it."""
PARTS = ("assets", "models", "notebooks", "dagster_home/dagster.yaml", "policy.yaml", "constraints.txt")
_OPTIONAL = {"notebooks", "constraints.txt"}
_PASSED_OVER = {"__pycache__", ".ipynb_checkpoints"}
_GIT_IGNORE = """\
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
| assessed/ | what assessing autonomy worked out of the ledger | made again from the ledger |
| impact/ | weights that `impact` learned | learned again |
| mlflow.db | experiments and registered models | can be trained again |
"""
_WRITTEN = {".gitignore": _GIT_IGNORE, "data/README.md": _DATA}


@dataclass(frozen=True, slots=True)
class Note:
    """What was put into a deployment.

    Args:
        version: The release that put it there.
        files: Path below the deployment, with slashes -> SHA-256 of the file as it was put there or offered.
    """

    version: str
    files: Mapping[str, str] = field(default_factory=dict)


def released() -> dict[str, bytes]:
    """The files of a deployment as this release makes them, by their path below it.

    ``weaver-forge.toml`` is not among them: it is the deployment's own from the first day.

    Raises:
        ConfigurationError: If the project's folders are not with this installation.
    """
    project = project_files()
    found = {name: text.encode() for name, text in _WRITTEN.items()}
    for part in PARTS:
        if (project / part).exists():
            found |= {path.relative_to(project).as_posix(): path.read_bytes() for path in _files(project / part)}
        elif part not in _OPTIONAL:
            raise ConfigurationError(
                "a part of the project is missing", where=str(project / part), do="Install the wheel again"
            )
    return found


def project_files() -> Path:
    """Where the project's folders are: inside the installed wheel, or the checkout of an editable install.

    Raises:
        ConfigurationError: If they are in neither.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_project", package.parents[1]):
        if (candidate / "assets" / "__main__.py").is_file() and (candidate / "models").is_dir():
            return candidate
    raise ConfigurationError(
        "the project's assets/ and models/ are not with this installation",
        where=str(package),
        do="Install the weaver-forge wheel again, or work in a checkout",
    )


def digest(content: bytes) -> str:
    """What a file is told by."""
    return hashlib.sha256(content).hexdigest()


def put(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def write_note(folder: Path, files: Mapping[str, str]) -> None:
    """Note what was put into a deployment, by its digest; call it last."""
    said = {"version": __version__, "files": dict(sorted(files.items()))}
    put(folder / NOTE, (json.dumps(said, indent=1) + "\n").encode())


def read_note(folder: Path) -> Note:
    """What was put into a deployment.

    Raises:
        ConfigurationError: If that is not noted, or cannot be read.
    """
    path = folder / NOTE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Note(str(said["version"]), {str(name): str(sha256) for name, sha256 in said["files"].items()})
    except FileNotFoundError:
        raise ConfigurationError(
            f"{NOTE} is not there: which files somebody changed since `init` cannot be told, so none is replaced",
            where=str(folder),
            do="Make a new deployment with `weaver-forge init DIR`, and move data/, weaver-forge.toml, policy.yaml and "
            "what you changed over; a checkout of the project is upgraded by git",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"cannot be read: {error}", where=str(path), do="Take it from a backup or from version control"
        ) from error


def _files(part: Path) -> Iterator[Path]:
    if part.is_file():
        yield part
        return
    for path in sorted(part.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and not _PASSED_OVER.intersection(path.relative_to(part).parts):
            yield path
