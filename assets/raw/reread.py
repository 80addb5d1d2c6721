"""Reading inputs again of which a piece was refused whose bytes are not kept: reports and cost exports.

A row of a cost export cannot be decoded without its header, and cannot replace its billing period alone; a test report
means what all of it says. So such a piece is tried by its whole file, if that is still there as it was.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from assets.raw.books import Request
from assets.raw.replay import resolve_places, stored
from assets.raw.restating import Restating
from assets.raw.source import RawSource, content_id
from assets.resources import Deployment
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.decode.focus import export_name
from weaver_forge.errors import SourceError


def reread(source: RawSource, deployment: Deployment) -> dict[str, int]:
    """Read the source's files with refused pieces again; returns how many pieces were tried and resolved, and rows.

    What a newer file of the same export states is never put back to what an older one said: that one is left alone.
    """
    done = {"tried": 0, "resolved": 0, "rows": 0}
    if source.streamed or source.folders:
        return done
    for file in _files(source, deployment):
        path = Path(file["name"])
        if not path.is_file() or content_id(path) != file["input_sha256"] or _restated(source, deployment, file):
            continue
        try:
            n_rows, places = _read(source, deployment, Request(path, file["said"]))
        except SourceError:  # it could be read before: another process changes it now. It stays refused
            continue
        done["rows"] += n_rows
        done["tried"] += file["n"]
        done["resolved"] += resolve_places(deployment, file, places)
    return done


def _files(source: RawSource, deployment: Deployment) -> list[dict[str, Any]]:
    """Inputs with refused pieces of which no bytes are kept, in the order that they came."""
    found = deployment.warehouse.query(f"""
        select source, input_sha256, name, context, count(*) as n, min(rejected_at) as refused_at
        from {RAW_INGEST_REJECTED.name} as piece
        where source = '{source.name}' and resolved_at is null and data is null and not exists (
            from {RAW_INGEST_REJECTED.name} as whole
            where whole.source = piece.source and whole.input_sha256 = piece.input_sha256
            and whole.byte_offset = piece.byte_offset and whole.data is not null
        )
        group by all
        order by refused_at, name
    """).to_dicts()  # noqa: S608 - declared names
    return [{**row, "said": json.loads(row["context"] or "{}")} for row in found]


def _restated(source: RawSource, deployment: Deployment, file: Mapping[str, Any]) -> bool:
    """Whether a newer file of the same export was taken in, of a source whose files restate sets of rows."""
    if not any(table.replace_by not in {(), table.key} for table in source.tables):
        return False
    with deployment.warehouse.connect(read_only=True) as con:
        newer = con.execute(
            f"""
            select name from {RAW_INGEST_INPUTS.name}
            where source = ? and input_sha256 <> ? and ingested_at >= ?
            """,  # noqa: S608 - a declared name
            [source.name, file["input_sha256"], file["refused_at"]],
        ).fetchall()
    return any(export_name(name) == export_name(file["name"]) for (name,) in newer)


def _read(source: RawSource, deployment: Deployment, request: Request) -> tuple[int, set[str]]:
    """Store what a file says now; returns new rows, and the places of what is still refused."""
    tables = {table.name: table for table in source.tables}
    restating = Restating(deployment.warehouse)
    frames: dict[str, list[pl.DataFrame]] = {}
    refused: set[str] = set()
    before = _count(deployment, source)
    for batch in source.decode(request, deployment):
        refused |= {item.position for item in batch.rejected}
        for name, frame in batch.tables.items():
            if tables[name].replace_by in {(), tables[name].key}:
                frames.setdefault(name, []).append(frame)
            else:
                restating.write(tables[name], frame)
    stored(deployment, tables, frames)
    return max(_count(deployment, source) - before, 0), refused


def _count(deployment: Deployment, source: RawSource) -> int:
    """Rows of a source: what is stated anew takes the place of what was there, and is not new."""
    counts = [f"select count(*) from {table.name}" for table in source.tables]  # noqa: S608 - declared names
    return sum(deployment.warehouse.query(sql).item() for sql in counts)
