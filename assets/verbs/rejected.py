"""rejected: what was refused and why; decoding it again, and giving the bytes out."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.definitions import open_deployment
from assets.raw import SOURCES
from assets.raw.replay import replay
from assets.raw.reread import reread
from assets.resources import Deployment, Emit
from weaver_forge.contracts.batch import VARYING
from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.settings import Settings

_WHY_NOT = {
    "tests": "a test report is tried again by its whole file",
    "coverage": "a coverage report is tried again by its whole file",
    "focus": "a row of a cost export is tried again by its whole file, unless a newer one of the same export came in",
    "otlp": "half a message at the end of a compressed file, or more than 64 MiB: give the whole file again",
}
"""Why the bytes of a piece are not kept, and what that means for --replay; of other sources, it is too large."""


def rejected(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """List what is refused, grouped by the kind of reason; before that, decode it again or write it out if asked."""
    source = str(arguments.get("source") or "")
    names = [known.name for known in SOURCES]
    if source and source not in names:
        raise UsageError(f"unknown source {source!r}", where="--source", do=f"Known: {', '.join(names)}")
    deployment = open_deployment(settings, emit)
    result: dict[str, Any] = {}
    if arguments.get("replay"):
        result["replayed"] = _replay(deployment, source, emit)
    if arguments.get("export"):
        result["exported"] = _export(deployment, source, Path(str(arguments["export"])), emit)
    groups = refused_groups(deployment, source)
    _list(groups, emit, replayed=result.get("replayed"))
    emit({"event": "result", "data": {"refused": groups, **result}})
    return 0


def _list(groups: Sequence[Mapping[str, Any]], emit: Emit, *, replayed: Sequence[Mapping[str, Any]] | None) -> None:
    if groups:
        _list_groups(groups, emit)
    else:
        emit({"event": "line", "text": "nothing is refused", "style": "ok"})
    if steps := _steps(is_any=bool(groups), replayed=replayed):
        emit({"event": "line", "text": f"Next: {', then '.join(steps)}", "style": "head"})


def _steps(*, is_any: bool, replayed: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """What to do next, where something is refused or was not until now."""
    steps = (
        ["weaver-forge ingest (computes what is made of the new rows)"]
        if any(r["rows"] for r in replayed or ())
        else []
    )
    if is_any and replayed is None:
        steps.append("mend the file and take it in again; or, after an upgrade, weaver-forge rejected --replay")
    elif is_any:
        steps.append("mend the file and take it in again (the kept bytes: weaver-forge rejected --export FOLDER)")
    return steps


def _list_groups(groups: Sequence[Mapping[str, Any]], emit: Emit) -> None:
    n, kept = (sum(group[name] for group in groups) for name in ("n", "kept"))
    text = f"Refused: {n:,} pieces for {len(groups)} kinds of reasons; the bytes of {kept:,} are kept"
    emit({"event": "line", "text": text, "style": "head"})
    for group in groups:
        lost = group["n"] - group["kept"]
        bytes_kept = "kept" if not lost else f"kept of {group['kept']:,}" if group["kept"] else "not kept"
        first = "" if group["n"] == 1 else "first: "
        text = f"  {group['n']:,} x {group['source']}: {group['reason']} ({first}{group['first']}; bytes {bytes_kept})"
        emit({"event": "line", "text": text})
    for source in dict.fromkeys(group["source"] for group in groups if group["n"] > group["kept"]):
        text = f"bytes not kept, {source}: {_WHY_NOT.get(source, 'the piece is larger than 64 MiB')}"
        emit({"event": "line", "text": text, "style": "dim"})


def refused_groups(deployment: Deployment, source: str = "", before: datetime | None = None) -> list[dict[str, Any]]:
    """A row a source and kind of reason: how many pieces, of how many the bytes are kept, and the first with its place.

    Of pieces that were refused ``before`` an instant alone, where one is given.
    A piece of a document shares its bytes with the others of it: they are kept once, and count for each.
    """
    with deployment.warehouse.connect(read_only=True) as con:
        found = con.execute(
            f"""
            with piece as (
              select *, (source, name, coalesce(byte_offset, 0), position) as place
              from {RAW_INGEST_REJECTED.name}
              where {_condition(source)} and rejected_at < coalesce(?, 'infinity'::timestamp)
            ),
            whole as (
              select distinct source, input_sha256, byte_offset
              from piece
              where data is not null
            )
            -- grain: source and kind of reason
            select
              source,
              arg_min(reason, place) as reason,
              count(*) as n,
              count(*) filter (where data is not null or whole.input_sha256 is not null) as kept,
              arg_min(name || ', ' || position, place) as first
            from piece
            left join whole using (source, input_sha256, byte_offset)
            group by source, regexp_replace(reason, ?, '\\1 *', 'g')
            order by n desc, source, reason
            """,  # noqa: S608 - declared and checked names
            [before, VARYING],
        )
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _condition(source: str) -> str:
    return "resolved_at is null" + (f" and source = '{source}'" if source else "")


def _replay(deployment: Deployment, source: str, emit: Emit) -> list[dict[str, Any]]:
    before = refused_groups(deployment, source)
    n, tried = (sum(group[name] for group in before) for name in ("n", "kept"))
    done = []
    for known in SOURCES:
        if source in {"", known.name}:
            deployment.step(f"replay {known.name}")
            kept, whole = replay(known, deployment), reread(known, deployment)
            done.append({"source": known.name, **{name: count + whole[name] for name, count in kept.items()}})
            tried += whole["tried"]
    rows = [[row[name] for name in ("source", "tried", "resolved", "rows")] for row in done if row["tried"]]
    if rows:
        columns = ["source", "decoded again", "taken in", "new rows"]
        emit({"event": "table", "title": "Replayed", "columns": columns, "rows": rows})
    accepted = n - sum(group["n"] for group in refused_groups(deployment, source))
    text = f"{tried:,} replayed: {accepted:,} accepted, {tried - accepted:,} refused again"
    if n > tried:
        text += f"; {n - tried:,} not tried: their bytes are not kept, and their file is gone, changed or restated"
    emit({"event": "line", "text": text, "style": "ok"})
    return done


def _export(deployment: Deployment, source: str, folder: Path, emit: Emit) -> int:
    """Write the kept bytes of every refused piece to a file, and an index of them."""
    pieces = deployment.warehouse.query(f"""
        select source, input_sha256, name, position, reason, data from {RAW_INGEST_REJECTED.name}
        where {_condition(source)} and data is not null
        order by source, name, byte_offset, position
    """)  # noqa: S608 - declared and checked names
    try:
        written = _write_out(pieces, folder)
    except OSError as error:
        raise SourceError(
            f"cannot be written: {error.strerror}", where=str(folder), do="Name another folder"
        ) from error
    emit({"event": "line", "text": f"{written} pieces are in {folder}, listed in index.jsonl", "style": "ok"})
    return written


def _write_out(pieces: pl.DataFrame, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, piece in enumerate(pieces.iter_rows(named=True), 1):
        file = f"{piece['source']}-{number:06d}-{piece['input_sha256'][:12]}.bin"
        (folder / file).write_bytes(piece.pop("data"))
        lines.append(json.dumps({"file": file, **piece}) + "\n")
    (folder / "index.jsonl").write_text("".join(lines), encoding="utf-8")
    return len(lines)
