"""Cost exports as sheets of text: CSV and Parquet, block after block, so that memory does not grow with the file.

Put here the two readers. Money stays text on the way, so that it never passes through a float; what the text means is
in ``focus_values``. Streams are given open and decompressed: no disk is touched here.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.focus_columns import AMOUNTS, WANTED, FileRefused, focus_name, our_column
from weaver_forge.decode.recognise import recognise

PLACES = 15
"""Decimal places kept; the exports seen carry up to 14."""

MARK = "\ufdd0"
"""Stands for a byte that is no UTF-8: a code point that Unicode keeps out of texts for such uses."""

_ESCAPED = re.compile(r"[\udc80-\udcff]")
_BLOCK = 1 << 22
_HEAD = 1 << 16
_PARQUET_ROWS = 1 << 15


@dataclass(frozen=True, slots=True)
class Sheet:
    """A block of a file as text: FOCUS name -> text or null, and each row's number among all rows of the file.

    Where ``has_marks``, a value with :data:`MARK` in it was no UTF-8.
    """

    header: tuple[str, ...]
    columns: pl.DataFrame
    row_numbers: pl.Series
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    has_marks: bool = False


def read_sheets(name: str, stream: IO[bytes]) -> Iterator[Sheet]:
    """Yield a file's blocks, at least one; only the columns that are wanted.

    Args:
        name: For messages.
        stream: The decompressed file from its beginning; a Parquet file must be seekable, else it is read whole.

    Raises:
        FileRefused: If it is neither CSV nor Parquet, or is damaged.
    """
    head = stream.read(_HEAD)
    if head[:4] == b"PAR1":
        whole = stream if stream.seekable() else io.BytesIO(head + stream.read())
        whole.seek(0)
        return _parquet(name, whole)
    likely = recognise(head)
    if likely is not None and not likely.may_be_table:
        raise FileRefused(f"neither Parquet nor CSV: looks like {likely.what}. {likely.hint}".rstrip())
    return _csv(name, head, stream)


def _csv(name: str, head: bytes, stream: IO[bytes]) -> Iterator[Sheet]:
    names = [focus_name(column) for column in _header(head)]
    wanted = list(dict.fromkeys(column for column in names if column in WANTED))
    broken: list[pa_csv.InvalidRow] = []
    whole = _Whole(head, stream)

    def refuse(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    # One thread: only then does the reader know the numbers of the rows it skips. Bytes, not text: one value
    # that is not UTF-8 then costs its row, not the file.
    try:
        reader = pa_csv.open_csv(
            io.BufferedReader(whole, _HEAD),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=_unique(names), skip_rows_after_names=1
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=pa_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.binary())
            ),
        )
        for sheet in _blocks(name, names, iter(reader), broken):
            yield replace(sheet, has_marks=whole.has_marks)
    except pa.ArrowInvalid as error:
        raise FileRefused(f"not a CSV file: {in_words(error)}") from error


def _blocks(
    name: str, names: Sequence[str], blocks: Iterator[pa.RecordBatch], broken: list[pa_csv.InvalidRow]
) -> Iterator[Sheet]:
    """Blocks with the numbers of their rows: what was skipped keeps its number, so that no other has it."""
    at, told, n_blocks = 0, 0, 0
    for block in blocks:
        skipped = np.array([_index(row) for row in broken], dtype=np.int64)
        free = np.setdiff1d(np.arange(at, at + block.num_rows + len(skipped)), skipped)[: block.num_rows]
        at = int(free[-1]) + 1 if block.num_rows else at
        columns = pl.from_arrow(pa.Table.from_batches([block]))
        assert isinstance(columns, pl.DataFrame)
        refused = tuple(_refused(name, row) for row in broken[told:])
        told, n_blocks = len(broken), n_blocks + 1
        yield Sheet(tuple(names), columns, pl.Series(free, dtype=pl.Int64), refused)
    if not n_blocks or told < len(broken):
        none = pl.DataFrame(schema=dict.fromkeys((column for column in names if column in WANTED), pl.Binary()))
        refused = tuple(_refused(name, row) for row in broken[told:])
        yield Sheet(tuple(names), none, pl.Series([], dtype=pl.Int64), refused)


def _refused(name: str, row: pa_csv.InvalidRow) -> Rejected:
    return Rejected(
        name,
        f"row {_index(row) + 1}",
        f"it has {row.actual_columns} fields where the header has {row.expected_columns}",
        row.text[:4000].replace(MARK, "\ufffd"),
    )


def _index(row: pa_csv.InvalidRow) -> int:
    """The reader counts rows from 1, the header too; ours count from 0 below it."""
    return int(row.number) - 2


class _Whole(io.RawIOBase):
    """A stream with the bytes that were read off its beginning put back, and bytes that are no UTF-8 marked.

    The reader hands a row that it refuses over as text: one byte that is none would make it lose the row.
    """

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self.has_marks = False
        self._pieces = chain([head], iter(partial(stream.read, _HEAD), b""))
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None and not self._decoder.getstate()[0]:
                return 0
            self._ready = memoryview(self._valid(piece))
        part = self._ready[: len(buffer)]
        self._ready = self._ready[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def _valid(self, piece: bytes | None) -> bytes:
        """The piece as UTF-8; None ends the stream."""
        if piece is not None and piece.isascii() and not self._decoder.getstate()[0]:
            return piece
        text = self._decoder.decode(piece or b"", final=piece is None)
        if _ESCAPED.search(text):
            self.has_marks = True
            text = _ESCAPED.sub(MARK, text)
        return text.encode()


def _header(head: bytes) -> list[str]:
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    try:
        return next(csv.reader(io.StringIO(line.decode().rstrip("\r")), strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileRefused(f"neither Parquet nor CSV: {in_words(error)}") from error


def _unique(names: Sequence[str]) -> list[str]:
    """Names with repetitions told apart, as the reader demands; what is repeated and wanted is refused later."""
    return [name if name not in names[:at] else f"{name}\x00{at}" for at, name in enumerate(names)]


def _parquet(name: str, stream: IO[bytes]) -> Iterator[Sheet]:
    try:
        yield from _parquet_blocks(name, pq.ParquetFile(stream))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise FileRefused(f"not a readable Parquet file: {in_words(error)}") from error


def _parquet_blocks(name: str, file: pq.ParquetFile) -> Iterator[Sheet]:
    names = list(file.schema_arrow.names)
    wanted = [column for column in names if focus_name(column) in WANTED]
    header = tuple(focus_name(column) for column in names)
    notes = _notes_on_floats(name, file, wanted)
    at = 0
    for block in file.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
        table = pl.from_arrow(pa.Table.from_batches([block]))
        assert isinstance(table, pl.DataFrame)
        columns = table.select(_as_text(table[column]).alias(focus_name(column)) for column in wanted)
        numbers = pl.Series(range(at, at + table.height), dtype=pl.Int64)
        yield Sheet(header, columns, numbers, notes=() if at else notes)
        at += table.height
    if not at:
        empty = pl.DataFrame(schema=dict.fromkeys(map(focus_name, wanted), pl.String()))
        yield Sheet(header, empty, pl.Series([], dtype=pl.Int64))


def _notes_on_floats(name: str, file: pq.ParquetFile, wanted: Sequence[str]) -> tuple[str, ...]:
    floats = [
        focus_name(column)
        for column in wanted
        if our_column(focus_name(column)) in AMOUNTS and pa.types.is_floating(file.schema_arrow.field(column).type)
    ]
    note = f"{name}: {', '.join(floats)} are stored as binary floats: read by their shortest text"
    return (f"{note}, rounded to {PLACES} places",) if floats else ()


def _as_text(series: pl.Series) -> pl.Series:
    """A typed Parquet column as the text that a CSV export would have."""
    if isinstance(series.dtype, pl.Datetime):
        naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if series.dtype.time_zone else series
        return naive.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")
    if series.dtype.is_float() and our_column(focus_name(series.name)) in AMOUNTS:
        return pl.Series([None if v is None else _rounded(v) for v in series.to_list()], dtype=pl.String)
    if series.dtype.is_nested():
        return pl.Series([None if v is None else _tags(v) for v in series.to_list()], dtype=pl.String)
    return series if series.dtype == pl.Binary else series.cast(pl.String)


def _rounded(value: float) -> str:
    """0.1 + 0.2 has 17 places as text, all but the first noise of the binary form."""
    number = Decimal(repr(value))
    return str(number.quantize(Decimal(1).scaleb(-PLACES)) if number.is_finite() else number)


def _tags(value: Any) -> str:
    """A map column (a list of keys and values in Parquet) or a struct as JSON text."""
    if isinstance(value, list) and all(isinstance(item, dict) and set(item) == {"key", "value"} for item in value):
        value = {item["key"]: item["value"] for item in value}
    return json.dumps(value, ensure_ascii=False, default=str)
