"""Publishing: a numbered copy of what readers need, and the pointer to it, replaced last.

Layout of the folder (``weaver_forge.snapshot`` reads it)::

    serving-000007.duckdb        the tables, and meta(key, value)
    artifacts-000007/            <decision>__<entity>.json
    CURRENT                      {"version": 7, "file": "serving-000007.duckdb"}

Names are never used twice: a process that has a file open keeps it when it is replaced or removed, but would
get that old one again if it opened the same name anew. Whatever fails before CURRENT is replaced leaves the
old snapshot in force; leftovers are swept by the next publication.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import Any

import duckdb

from weaver_forge.contracts.table import Table
from weaver_forge.errors import UsageError
from weaver_forge.warehouse.naming import quoted, quoted_list, stored_columns

FORMAT = 1
"""Of the snapshot's layout; a reader refuses a newer one."""

_NUMBERED = re.compile(r"(?:serving|artifacts)-(\d{6,})(?:\.duckdb)?")
_UNFINISHED = ".unfinished"
_ARTIFACT = re.compile(r"[a-z0-9_]+__[a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a snapshot holds. The lake is named relative to the deployment, so that the folder may move."""

    tables: tuple[Table, ...]
    specs: tuple[dict[str, Any], ...]
    policy_text: str
    artifacts: Mapping[str, bytes]
    published_at: datetime
    data_as_of: datetime | None
    lake: Path
    delta_version: int | None


def publish(con: duckdb.DuckDBPyConnection, folder: Path, publication: Publication, *, keep: int) -> int:
    """Write the next snapshot, point CURRENT to it, and drop all but the newest ``keep``; returns its version.

    The connection holds the warehouse's lock, so that nobody else publishes meanwhile.

    Raises:
        UsageError: If ``keep`` is below 1 or an artifact's name is not ``<decision>__<entity>``.
    """
    _refuse(publication, keep)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"*{_UNFINISHED}*"):
        _remove(leftover)
    version = max((number for number, _ in _numbered(folder)), default=0) + 1
    file = folder / f"serving-{version:06d}.duckdb"
    _write_tables(con, file, publication, _meta(publication, version, folder))
    _write_artifacts(folder / f"artifacts-{version:06d}", publication.artifacts)
    _point(folder, version, file.name)
    _drop_old(folder, version, keep)
    return version


def pinned_versions(folder: Path) -> list[int]:
    """The versions of the span lake that published snapshots name; a vacuum keeps their files."""
    versions = []
    for _, path in _numbered(folder) if folder.is_dir() else ():
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as con:
                found = con.execute(
                    "select value from meta where key = 'delta_version' and value is not null"
                ).fetchall()
            versions += list(starmap(int, found))
    return sorted(versions)


def _refuse(publication: Publication, keep: int) -> None:
    if keep < 1:
        raise UsageError(
            f"keep is {keep}: the current snapshot cannot be dropped", where="publish", do="Keep 1 or more"
        )
    for name in publication.artifacts:
        if not _ARTIFACT.fullmatch(name):
            raise UsageError(f"artifact name {name!r}", where="publish", do="Name it <decision>__<entity>")


def _meta(publication: Publication, version: int, folder: Path) -> dict[str, str | None]:
    root = folder.resolve().parent.parent
    return {
        "format": str(FORMAT),
        "version": str(version),
        "published_at": _iso(publication.published_at),
        "data_as_of": _iso(publication.data_as_of) if publication.data_as_of else None,
        "delta_version": None if publication.delta_version is None else str(publication.delta_version),
        "lake_path": os.path.relpath(publication.lake.resolve(), root),
        "specs": json.dumps(publication.specs, ensure_ascii=False),
        "policy_text": publication.policy_text,
        "policy_sha256": hashlib.sha256(publication.policy_text.encode()).hexdigest(),
    }


def _write_tables(
    con: duckdb.DuckDBPyConnection, file: Path, publication: Publication, meta: Mapping[str, str | None]
) -> None:
    unfinished = file.with_name(file.name + _UNFINISHED)
    con.execute(f"attach '{str(unfinished).replace(chr(39), chr(39) * 2)}' as serving")
    try:
        for table in publication.tables:
            _copy(con, table)
        con.execute("create table serving.meta (key varchar not null, value varchar)")
        con.executemany("insert into serving.meta values (?, ?)", [[key, value] for key, value in meta.items()])
    finally:
        con.execute("detach serving")  # writes everything to the file and leaves no log beside it
    _settle(unfinished)
    unfinished.replace(file)


def _copy(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    con.execute(table.ddl.replace(quoted(table.name), f"serving.{quoted(table.name)}", 1))
    if not stored_columns(con, table.name):
        return
    columns = quoted_list(table.column_names)
    # Whole refused files are for taking in again, where the warehouse is; readers need to know of them only.
    copied = ", ".join(f"null as {quoted(c.name)}" if c.type == "BLOB" else quoted(c.name) for c in table.columns)
    # Predictions are looked up by subject: in this order a look-up reads a few blocks, not all.
    order = f" order by {quoted_list(table.key)}" if table.layer == "pred" else ""
    con.execute(
        f"insert into serving.{quoted(table.name)} ({columns}) select {copied} from {quoted(table.name)}{order}"  # noqa: S608 - declared names
    )


def _write_artifacts(folder: Path, artifacts: Mapping[str, bytes]) -> None:
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    unfinished.mkdir()
    for name, body in artifacts.items():
        path = unfinished / f"{name}.json"
        path.write_bytes(body)
        _settle(path)
    unfinished.rename(folder)


def _point(folder: Path, version: int, name: str) -> None:
    unfinished = folder / f"CURRENT{_UNFINISHED}"
    unfinished.write_text(json.dumps({"version": version, "file": name}) + "\n", encoding="utf-8")
    _settle(unfinished)
    unfinished.replace(folder / "CURRENT")
    _settle(folder)


def _drop_old(folder: Path, current: int, keep: int) -> None:
    for number, path in _numbered(folder):
        if number <= current - keep:
            _remove(path)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    matches = ((_NUMBERED.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match[1]), path) for match, path in matches if match]


def _settle(path: Path) -> None:
    """Have the disk hold it before anything points to it: a power cut must not leave a pointer to nothing."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _iso(instant: datetime) -> str:
    return instant.isoformat() + "Z"
