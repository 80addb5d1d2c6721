"""coverage.py with a context a test -> ``raw_coverage__test_files``: which test executes which file.

Reads its JSON report (format 2 and 3, written with ``[json] show_contexts = True``) and its data file (SQLite; lines as
numbits, or arcs where branches were measured). Contexts are pytest's node ids (``--cov-context=test``) with a phase
behind them, which is dropped, or names of functions (``dynamic_context = test_function``). An empty context is what was
executed while modules were imported: no test, kept as its own kind.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables.coverage import RAW_COVERAGE_TEST_FILES
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.recognise import recognise
from weaver_forge.decode.report import escaped, named_by_pytest
from weaver_forge.decode.report_rows import Told

SQLITE_MAGIC = b"SQLite format 3\x00"
_PHASE = re.compile(r"\|(?:setup|run|teardown)$")
_FUNCTION = re.compile(r"[\w.<>]+\.[\w<>]+")
_SCHEMAS = range(2, 8)
_MOST_STEPS = 20_000
_STEP = 1_000_000
"""A data file is a program for SQLite, so it may take so many steps times so many instructions, not more."""

_LINES = """
-- grain: line of a file in a context
select distinct file_id, context_id, line
from (
    select file_id, context_id, fromno as line from arc
    union all
    select file_id, context_id, tono as line from arc
)
where line > 0
"""


class _Unfit(Exception):  # noqa: N818 - carries the reason to refuse one file
    """A file that is no coverage report with contexts."""


def decode(frames: Iterable[Frame], told: Told, *, root: str = "") -> Batch:
    """Read coverage reports.

    Args:
        frames: One whole file each.
        told: What the caller says about them.
        root: The folder that was measured; absolute paths below it become relative to it.
    """
    tables, rejected, notes = [empty(RAW_COVERAGE_TEST_FILES)], [], []
    for frame in frames:
        try:
            rows, kind = _read(frame.data)
        except _Unfit as unfit:
            raw = "" if frame.data.startswith(SQLITE_MAGIC) else escaped(frame.data)
            rejected.append(Rejected(frame.name, "whole file", str(unfit), raw))
            continue
        if rows.filter(pl.col("context").str.len_bytes() > 0).is_empty():
            notes.append(f"{frame.name}: no context but that of imports: run the tests with --cov-context=test")
        tables.append(_table(rows, kind, hashlib.sha256(frame.data).hexdigest(), told, root))
    return Batch({RAW_COVERAGE_TEST_FILES.name: pl.concat(tables)}, tuple(rejected), tuple(notes))


def _read(data: bytes) -> tuple[pl.DataFrame, str]:
    """The report as (file, context, n_lines or lines): one row a file, context and line."""
    if data.startswith(SQLITE_MAGIC):
        return _sqlite(data), "sqlite"
    return _json(data), "json"


def _table(rows: pl.DataFrame, kind: str, sha256: str, told: Told, root: str) -> pl.DataFrame:
    contexts = rows["context"].unique().to_list()
    named = pl.DataFrame(
        [(context, *_named(context)) for context in contexts],
        schema={"context": pl.String, "test": pl.String, "kind": pl.String, "test_id": pl.String},
        orient="row",
    )
    paths = rows["file"].unique().to_list()
    placed = pl.DataFrame(
        {"file": paths, "place": [_relative(path, root) for path in paths]},
        schema={"file": pl.String, "place": pl.String},
    )
    # A test's phases and a file's names may coincide now, so lines are counted after naming.
    counted = (
        rows.join(named, on="context")
        .join(placed, on="file")
        .group_by("test", "kind", "test_id", "place")
        .agg(n_lines=pl.col("line").n_unique())
        .rename({"place": "file"})
        .sort("test", "file")
    )
    return shaped(
        RAW_COVERAGE_TEST_FILES,
        counted.with_columns(
            report_sha256=pl.lit(sha256),
            context=pl.lit(told.context),
            format=pl.lit(kind),
            repo_id=pl.lit(told.repo_id, pl.String),
            revision=pl.lit(told.revision, pl.String),
            run_id=pl.lit(told.run_id, pl.String),
            received_at=pl.lit(told.received_at, pl.Datetime("us")),
        ),
    )


def _named(context: str) -> tuple[str, str, str]:
    """Take a context apart: the test as written, its kind, its identity."""
    if not context:
        return "", "import", ""
    test = _PHASE.sub("", context)
    label, bar, rest = test.partition("|")
    # A static context stands before the test's; the test's parameters may hold bars too.
    if bar and "::" not in label and ("::" in rest or _FUNCTION.fullmatch(rest)):
        test = rest
    if "::" in test:
        classname, name = named_by_pytest(test)
        return test, "test", f"{classname}::{name}"
    if _FUNCTION.fullmatch(test):
        classname, _, name = test.rpartition(".")
        return test, "test", f"{classname}::{name}"
    return test, "other", ""


def _relative(path: str, root: str) -> str:
    slashed = path.replace("\\", "/") if "\\" in path and "/" not in path else path
    if root and PurePosixPath(slashed).is_relative_to(root):
        return str(PurePosixPath(slashed).relative_to(root))
    return slashed.removeprefix("./")


def _json(data: bytes) -> pl.DataFrame:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        likely = recognise(data)
        if likely is not None and not likely.source.startswith("coverage"):
            raise _Unfit(f"neither a SQLite file nor JSON: looks like {likely.what}. {likely.hint}".rstrip()) from error
        raise _Unfit(f"neither a SQLite file nor JSON ({in_words(error)})") from error
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or not isinstance(document.get("meta"), dict):
        raise _Unfit("no JSON report of coverage.py: it has no files or no meta")
    if not document["meta"].get("show_contexts"):
        raise _Unfit("the report has no contexts: write it with [json] show_contexts = True")
    lines: dict[str, list[Any]] = {"file": [], "line": [], "context": []}
    for path, body in files.items():
        contexts = body.get("contexts") if isinstance(body, dict) else None
        if not isinstance(contexts, dict):
            raise _Unfit(f"the contexts of {path!r} are not an object")
        for line, named in contexts.items():
            if not line.isdecimal() or len(line) > 9 or not isinstance(named, list):
                raise _Unfit(f"line {line!r} of {path!r} has no list of contexts")
            lines["file"].append(path)
            lines["line"].append(int(line))
            lines["context"].append([_text(name) for name in named])
    lines["file"] = [_text(path) for path in lines["file"]]
    frame = pl.DataFrame(lines, schema={"file": pl.String, "line": pl.Int64, "context": pl.List(pl.String)})
    return frame.explode("context").drop_nulls("context")


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()


def _sqlite(data: bytes) -> pl.DataFrame:
    # A file that was left in write-ahead mode says so in two bytes, and cannot be opened from memory then.
    data = data[:18] + b"\x01\x01" + data[20:]
    con = sqlite3.connect(":memory:")
    steps = iter(range(_MOST_STEPS))
    try:
        con.deserialize(data)
        con.execute("pragma trusted_schema = off")
        con.set_progress_handler(lambda: next(steps, None) is None, _STEP)
        return _lines(con)
    except (sqlite3.Error, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise _Unfit(f"damaged data file of coverage.py: {in_words(error)}") from error
    finally:
        con.close()


def _lines(con: sqlite3.Connection) -> pl.DataFrame:
    tables = {name for (name,) in con.execute("select name from sqlite_master where type = 'table'")}
    if missing := {"coverage_schema", "file", "context", "line_bits", "arc"} - tables:
        raise _Unfit(f"no data file of coverage.py: it has no table {', '.join(sorted(missing))}")
    version = con.execute("select version from coverage_schema").fetchone()
    if version is None or version[0] not in _SCHEMAS:
        raise _Unfit(f"a data file of schema {version and version[0]}, known are {_SCHEMAS[0]} to {_SCHEMAS[-1]}")
    ids: dict[str, pl.DataType] = {"file_id": pl.Int64(), "context_id": pl.Int64()}
    arcs = pl.DataFrame(con.execute(_LINES).fetchall(), schema={**ids, "line": pl.Int64()}, orient="row")
    bits = con.execute("select file_id, context_id, numbits from line_bits").fetchall()
    numbits = pl.DataFrame(
        [(file, context, _numbers(blob)) for file, context, blob in bits],
        schema={**ids, "line": pl.List(pl.Int64())},
        orient="row",
    ).explode("line", empty_as_null=True)
    return (
        pl.concat([arcs, numbits.drop_nulls("line")])
        .join(_names(con, "file", "path").rename({"name": "file"}), left_on="file_id", right_on="id")
        .join(_names(con, "context", "context").rename({"name": "context"}), left_on="context_id", right_on="id")
        .select("file", "line", "context")
    )


def _names(con: sqlite3.Connection, table: str, column: str) -> pl.DataFrame:
    rows = con.execute(f"select id, {column} from {table}").fetchall()  # noqa: S608 - named above
    return pl.DataFrame(
        [(key, name) for key, name in rows if isinstance(name, str)],
        schema={"id": pl.Int64, "name": pl.String},
        orient="row",
    )


def _numbers(blob: Any) -> list[int]:
    """Line numbers of coverage.py's numbits: bit n of the little-endian number says that line n was executed."""
    if not isinstance(blob, bytes):
        raise _Unfit("the line numbers of a file are not bytes")
    return [8 * at + bit for at, byte in enumerate(blob) if byte for bit in range(8) if byte >> bit & 1]
