"""Rows of a kind as a file: JSON, JSON lines, CSV or Parquet, in the order of the chain, in memory that does not grow.

JSON and CSV need nothing but the standard library. Parquet is made of JSON lines by DuckDB, which the base
install has: no extra is needed for any of them.

* JSON lines: an object a row; instants as ISO 8601 with ``Z``, lists and objects as such. JSON: a list of them.
* CSV: every text in quotes, so that an empty text (``""``) is not a null (nothing); instants and JSON as text.
* Parquet: instants as UTC timestamps with microseconds, lists and objects as JSON text, compressed with zstd.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from weaver_forge.errors import SourceError, UsageError
from weaver_forge.ledger.canonical import instant_text
from weaver_forge.ledger.schema import CHAIN, LedgerColumn

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
"""Suffix of a file -> its format."""

_ROWS = 5_000
"""Rows held at once."""

_ROW_GROUP = 50_000

_ITS_PREDICTION = (
    "exists (select 1 from predictions p where p.prediction_id = r.prediction_id and p.decision = :decision)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows.

    Args:
        kind: A kind of the ledger, or ``chain``.
        since: Recorded at this instant or later, naive UTC.
        until: Recorded before this instant, naive UTC.
        decision: Only of this decision; of outcomes, by their predictions.
    """

    kind: str
    since: datetime | None = None
    until: datetime | None = None
    decision: str = ""


def export(ledger: "Reading", wanted: Wanted, path: Path) -> int:
    """Write rows to a file whose suffix says the format; it is there as a whole or not at all. Returns how many.

    Raises:
        UsageError: If the suffix says none, or the kind belongs to no decision and one is wanted.
        ContractError: If there is no such kind.
        SourceError: If the file cannot be written.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name!r} says no format", where="ledger export", do=f"End it in {', '.join(FORMATS)}")
    columns = columns_of(ledger, wanted.kind)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            n_rows = write(ledger, wanted, file, form="jsonl" if form == "parquet" else form, nested=form != "parquet")
        if form == "parquet":
            _to_parquet(part, columns)
        part.replace(path)
    except OSError as error:
        raise SourceError(f"cannot be written: {error.strerror or error}", where=str(path)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return n_rows


def write(ledger: "Reading", wanted: Wanted, file: IO[str], *, form: str = "jsonl", nested: bool = True) -> int:
    """Write rows to an open text file; returns how many.

    Args:
        ledger: The ledger.
        wanted: Which rows.
        file: Opened with ``newline=""``.
        form: ``json``, ``jsonl`` or ``csv``.
        nested: Lists and objects as such in JSON, not as text.
    """
    columns = columns_of(ledger, wanted.kind)
    line = _csv_line(columns) if form == "csv" else _json_line(columns, nested=nested)
    if form == "csv":
        file.write(",".join(column.name for column in columns) + "\n")
    opened, between, closed = ("[\n", ",", "]\n") if form == "json" else ("", "", "")
    n_rows = 0
    file.write(opened)
    for rows in _rows(ledger, wanted, columns):
        file.writelines((between if n or n_rows else "") + line(row) for n, row in enumerate(rows))
        n_rows += len(rows)
    file.write(closed)
    return n_rows


def columns_of(ledger: "Reading", kind: str) -> tuple[LedgerColumn, ...]:
    """The columns of a kind, or of the chain."""
    return CHAIN if kind == "chain" else ledger.table(kind).stored


def _rows(ledger: "Reading", wanted: Wanted, columns: Sequence[LedgerColumn]) -> Iterator[list[tuple[Any, ...]]]:
    names = {column.name for column in columns}
    conditions, parameters = [], {}
    for name, at, sign in (("since", wanted.since, ">="), ("until", wanted.until, "<")):
        if at is not None:
            conditions.append(f"r.recorded_at {sign} :{name}")
            parameters[name] = instant_text(at)
    if wanted.decision:
        parameters["decision"] = wanted.decision
        if "decision" in names:
            conditions.append("r.decision = :decision")
        elif wanted.kind == "outcomes":
            conditions.append(_ITS_PREDICTION)
        else:
            raise UsageError(f"{wanted.kind} belong to no decision", where="ledger export", do="Leave --decision out")
    listed = ", ".join(f'r."{column.name}"' for column in columns)
    where = f"where {' and '.join(conditions)}" if conditions else ""
    order = "r.batch_seq" if wanted.kind == "chain" else "r.batch_seq, r.position"
    sql = f'select {listed} from "{wanted.kind}" r {where} order by {order}'  # noqa: S608 - names from schema.py
    with ledger.one_view():
        yield from ledger.batches(sql, parameters, size=_ROWS)


def _json_line(columns: Sequence[LedgerColumn], *, nested: bool) -> Callable[[tuple[Any, ...]], str]:
    kinds = [(column.name, column.type) for column in columns]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def line(row: tuple[Any, ...]) -> str:
        document: dict[str, Any] = {}
        for (name, kind), value in zip(kinds, row, strict=True):
            if value is None:
                document[name] = None
            elif kind == "BOOLEAN":
                document[name] = bool(value)
            else:
                document[name] = json.loads(value) if nested and kind == "JSON" else value
        return encode(document) + "\n"

    return line


def _csv_line(columns: Sequence[LedgerColumn]) -> Callable[[tuple[Any, ...]], str]:
    kinds = [column.type for column in columns]

    def cell(kind: str, value: Any) -> str:
        if value is None:
            return ""
        if kind == "BOOLEAN":
            return "true" if value else "false"
        if kind in {"DOUBLE", "BIGINT"}:
            return repr(value)
        return '"' + str(value).replace('"', '""') + '"'

    def line(row: tuple[Any, ...]) -> str:
        return ",".join(map(cell, kinds, row)) + "\n"

    return line


def _to_parquet(path: Path, columns: Sequence[LedgerColumn]) -> None:
    """Turn a file of JSON lines into Parquet under the same name."""
    import duckdb

    made = path.with_name(path.name + ".parquet")
    types = ", ".join(f"'{c.name}': '{_TYPES.get(c.type, c.type)}'" for c in columns)
    chosen = ", ".join(
        f'cast(rtrim("{c.name}", \'Z\') as timestamp) as "{c.name}"' if c.type == "TIMESTAMP" else f'"{c.name}"'
        for c in columns
    )
    sql = (
        f"copy (select {chosen} from read_json(?, format = 'newline_delimited', columns = {{{types}}}, "  # noqa: S608 - names from schema.py
        f"maximum_object_size = 67108864)) to '{str(made).replace(chr(39), chr(39) * 2)}' "
        f"(format parquet, compression zstd, row_group_size {_ROW_GROUP})"
    )
    try:
        with duckdb.connect() as connection:
            connection.execute("set threads = 1")
            connection.execute(sql, [str(path)])
        made.replace(path)
    except duckdb.Error as error:
        raise SourceError(f"cannot be written as Parquet: {error}", where=str(path)) from error
    finally:
        made.unlink(missing_ok=True)


_TYPES = {"TIMESTAMP": "VARCHAR", "JSON": "VARCHAR"}
