"""Whether a computation would give what is stored: same code, settings, inputs and outputs as when it was done.

Only for computations that depend on nothing else: no clock but the day, no ledger, no model. A run that was killed
or whose contract check failed noted nothing, so it is done again. How often tables were written is counted in
``warehouse.writes``.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

import weaver_forge
from assets.resources import Deployment
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Lake, writes

_DATA = frozenset({".py", ".yaml", ".yml", ".json", ".toml", ".sql", ".csv", ".parquet", ".gz", ".zst"})


def origin(deployment: Deployment, reads: Iterable[str], makes: Iterable[str]) -> str:
    """What tables ``makes`` would be made from now, as canonical JSON.

    Args:
        deployment: Whose.
        reads: Names of the tables that are read.
        makes: Names of the tables that are written: rows that something else wrote there since must go.
    """
    reads, makes = set(reads), set(makes)
    settings, lakes = deployment.settings, deployment.warehouse.lakes
    own = {name for name in makes if name in BY_NAME}
    with deployment.warehouse.connect(read_only=True) as con:
        rows = writes.counted(con, (reads | own) - lakes.keys())
    made: dict[str, Any] = {"code": _code(settings.root), "settings": _settings(settings), "rows": dict(rows)}
    files = {name: _state(lakes[name]) for name in sorted(reads & lakes.keys())}
    if files:  # points of tomorrow's clock count from tomorrow on
        made |= {"lakes": files, "day": f"{settings.now():%Y-%m-%d}"}
    return json.dumps(made, sort_keys=True)


def noted(deployment: Deployment) -> dict[str, str]:
    """Computation -> its origin when it was last done whole."""
    with deployment.warehouse.connect(read_only=True) as con:
        return dict(writes.computed_from(con))


def note(deployment: Deployment, name: str, made_from: str) -> None:
    """Note that a computation is done and was made from ``made_from``."""
    with deployment.warehouse.writing() as con:
        writes.note_computed(con, name, made_from)


def _state(lake: Lake) -> list[object]:
    table = lake.delta()
    return [] if table is None else [table.metadata().id, table.version()]


def _settings(settings: Settings) -> str:
    """Of what a deployment may set, all that changes core rows."""
    digest = hashlib.sha256(repr((sorted(settings.links.items()), settings.partitions_start)).encode())
    for path in settings.registries:
        digest.update(_content(path, suffixes=None))
    return digest.hexdigest()


@cache
def _code(root: Path) -> str:
    """The code that computes, by its content: a release may say the same version twice while it is written."""
    digest = hashlib.sha256(f"{pl.__version__} {duckdb.__version__}".encode())
    for path in (Path(weaver_forge.__file__).parent, root / "assets"):
        digest.update(_content(path, suffixes=_DATA))
    return digest.hexdigest()


def _content(path: Path, *, suffixes: frozenset[str] | None) -> bytes:
    """A digest of a file, or of the files below a folder and their names."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in found:
        if file.is_file() and (suffixes is None or file.suffix in suffixes):
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.digest()
