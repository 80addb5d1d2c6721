"""Decoding what was refused again: after an upgrade, or a mended decoder.

The kept bytes of a piece are decoded like an input of their own. What is good now is stored, which adds nothing
that is there already; a piece of which nothing is refused any more is resolved. Pieces without kept bytes are tried by
their whole file, in ``reread``.
"""

import json
import os
import tempfile
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.raw.books import Request
from assets.raw.source import RawSource
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.errors import SourceError

AT_ONCE = 64
"""Pieces decoded between two writes: at most this many of 64 MiB, commonly small ones."""

_KEY = ("source", "input_sha256", "position", "reason")
_READ = (*_KEY, "byte_offset")


def replay(source: RawSource, deployment: Deployment) -> dict[str, int]:
    """Decode the source's refused pieces again; returns how many were tried and resolved, and the rows added.

    A table whose rows are restated as a whole (a billing period) is left out: a piece of it would replace it all
    (``reread`` reads its whole file again).
    """
    done = {"tried": 0, "resolved": 0, "rows": 0}
    if any(table.replace_by not in {(), table.key} for table in source.tables):
        return done
    keys = deployment.warehouse.query(f"""
        select {", ".join(_READ)} from {RAW_INGEST_REJECTED.name}
        where source = '{source.name}' and data is not null and resolved_at is null
        order by rejected_at, name, byte_offset, position
    """).rows(named=True)  # noqa: S608 - declared names
    for start in range(0, len(keys), AT_ONCE):
        _replay_some(source, deployment, keys[start : start + AT_ONCE], done)
    return done


def _replay_some(source: RawSource, deployment: Deployment, keys: list[dict[str, Any]], done: dict[str, int]) -> None:
    frames: dict[str, list[pl.DataFrame]] = {}
    good = []
    for key in keys:
        batch = _decode(source, deployment, _piece(deployment, key))
        for name, frame in batch.tables.items():
            frames.setdefault(name, []).append(frame)
        good += [] if batch.rejected else [key]
    tables = {table.name: table for table in source.tables}
    done["rows"] += stored(deployment, tables, frames)
    _resolve(deployment, good)
    done["tried"], done["resolved"] = done["tried"] + len(keys), done["resolved"] + len(good)


def stored(deployment: Deployment, tables: Mapping[str, Table], frames: Mapping[str, list[pl.DataFrame]]) -> int:
    """Store decoded rows, by table; returns how many were not there before."""
    n_rows = 0
    for name, parts in frames.items():
        table, rows = tables[name], pl.concat(parts)
        write = deployment.warehouse.replace if table.replace_by else deployment.warehouse.append
        n_rows += write(table, rows) if rows.height else 0
    return n_rows


def resolve_places(deployment: Deployment, file: Mapping[str, Any], refused: Collection[str]) -> int:
    """Note the pieces of an input as taken in but for those at the places that are still refused; returns how many."""
    with deployment.warehouse.writing() as con:
        found = con.execute(
            f"""
            update {RAW_INGEST_REJECTED.name} set resolved_at = ?
            where source = ? and input_sha256 = ? and context = ? and data is null and resolved_at is null
            and not list_contains(?, position)
            """,  # noqa: S608 - a declared name
            [deployment.settings.now(), file["source"], file["input_sha256"], file["context"], sorted(refused)],
        ).fetchall()
    return int(found[0][0])


def _piece(deployment: Deployment, key: Mapping[str, Any]) -> dict[str, Any]:
    with deployment.warehouse.connect(read_only=True) as con:
        sql = f"select data, context, rejected_at from {RAW_INGEST_REJECTED.name} where {_same()}"  # noqa: S608 - declared names
        ((data, context, rejected_at),) = con.execute(sql, [key[name] for name in _KEY]).fetchall()
    return {"data": data, "said": json.loads(context or "{}"), "rejected_at": rejected_at}


def _decode(source: RawSource, deployment: Deployment, piece: Mapping[str, Any]) -> Batch:
    """Decode a piece as a file of its own; what cannot even be opened stays refused."""
    arrived: datetime = piece["rejected_at"].replace(tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece"
        path.write_bytes(piece["data"])
        os.utime(path, (arrived.timestamp(), arrived.timestamp()))
        tables: dict[str, list[pl.DataFrame]] = {}
        refused: list[Any] = []
        try:
            for batch in source.decode(Request(path, piece["said"]), deployment):
                refused += batch.rejected
                for name, frame in batch.tables.items():
                    tables.setdefault(name, []).append(frame)
        except SourceError as error:
            refused.append(error)
    return Batch({name: pl.concat(parts) for name, parts in tables.items()}, tuple(refused))


def _resolve(deployment: Deployment, keys: list[dict[str, Any]]) -> None:
    """Note pieces as taken in, and with each those whose bytes are part of its own: of the same document."""
    now = deployment.settings.now()
    same = f"({_same()}) or (source = ? and input_sha256 = ? and byte_offset = ? and data is null)"
    with deployment.warehouse.writing() as con:
        for key in keys:
            sql = f"update {RAW_INGEST_REJECTED.name} set resolved_at = ? where {same}"  # noqa: S608 - declared names
            con.execute(sql, [now, *(key[name] for name in (*_KEY, "source", "input_sha256", "byte_offset"))])


def _same() -> str:
    return " and ".join(f"{name} = ?" for name in _KEY)
