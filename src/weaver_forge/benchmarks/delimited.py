"""Delimited text with a header, compressed or not, as frames; columns decide what it is.

Put here what every reader of a csv format shares. Text is read as it comes: with a mark of its encoding or without,
with either end of line, quoted or not, columns in any order and with others among them.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import polars as pl

from weaver_forge.errors import SourceError

_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 65_536
_SEPARATORS = ",;\t|"


def plain(data: bytes) -> bytes:
    """The bytes, unpacked when they are gzip."""
    return gzip.decompress(data) if data[:2] == _GZIP else data


def header(data: bytes, separator: str = "") -> frozenset[str]:
    """Column names of the first line; empty for bytes that are no text.

    Args:
        data: The file, gzip or plain; only its beginning is unpacked.
        separator: Between columns; by default the one that most columns stand between.
    """
    names = _names(data, separator)[1]
    return frozenset(names)


def read(
    name: str,
    data: bytes,
    columns: Iterable[str],
    *,
    separator: str = "",
    optional: Collection[str] = (),
    notes: list[str] | None = None,
) -> pl.DataFrame:
    """Read these columns as text; empty fields are null.

    Args:
        name: The file, for messages.
        data: Gzip or plain.
        columns: Names of the columns that must be there, in the order of the result.
        separator: Between columns; by default the one that most columns stand between.
        optional: Further columns, null where the file lacks them.
        notes: Where it is told how many lines were left out because they have more fields than the header.

    Raises:
        SourceError: If it is not delimited text with these columns, or lines had to be left out and nobody is told.
    """
    try:
        raw = plain(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"not a whole gzip file: {error}", where=name, do="Fetch it again or remove it") from error
    sign, names = _names(raw, separator)
    wanted = [*columns]
    if missing := [column for column in wanted if column not in names]:
        raise SourceError(
            f"column {', '.join(missing)} is missing", where=f"{name}:1", do="Add the column or remove the file"
        )
    there = [column for column in [*wanted, *optional] if column in names]
    places = [names.index(column) for column in there]
    try:
        rows = _quickly(raw, sign, places, there, len(names))
    except pl.exceptions.PolarsError:
        rows = _leniently(name, raw, sign, places, there, len(names), notes)
    absent = [pl.lit(None, dtype=pl.String).alias(column) for column in optional if column not in names]
    return rows.select(pl.col(there).replace("", None)).with_columns(absent)


def folder(name: str) -> str:
    """The folder that a file lies in, as the name of a data set; the file's stem when it lies at the top."""
    path = PurePosixPath(name)
    return str(path.parent) if str(path.parent) not in {".", ""} else path.name.split(".")[0]


def beside(
    name: str, files: Mapping[str, bytes], columns: frozenset[str], other_than: Collection[str] = ()
) -> str | None:
    """The first file in the same folder that has these columns."""
    place = name.rpartition("/")[0]
    here = (other for other in sorted(files) if other != name and other.rpartition("/")[0] == place)
    return next((other for other in here if other not in other_than and header(files[other]) >= columns), None)


def titles(names: Sequence[str]) -> dict[str, str]:
    """Name of a data set for each file of one format: its folder, and where that holds several, folder and file."""
    found = {}
    for name in names:
        path = PurePosixPath(name)
        beside = [PurePosixPath(other).name for other in names if PurePosixPath(other).parent == path.parent]
        stem = path.name.split(".")[0]
        alone = sum(other.split(".")[0] == stem for other in beside) == 1
        found[name] = folder(name) if len(beside) == 1 else str(path.parent / (stem if alone else path.name))
    twice = [title for title in found.values() if list(found.values()).count(title) > 1]
    return {name: name if title in twice else title for name, title in found.items()}


def _names(data: bytes, separator: str) -> tuple[str, list[str]]:
    """The separator and the names of the first line; none for bytes that are no text."""
    try:
        head = zlib.decompressobj(wbits=31).decompress(data, _HEAD_BYTES) if data[:2] == _GZIP else data[:_HEAD_BYTES]
    except zlib.error:
        return ",", []
    line = head.split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in line:
        return ",", []
    text = _decoded(line).strip("\r\n")
    try:
        parts = {sign: next(csv.reader([text], delimiter=sign), []) for sign in separator or _SEPARATORS}
    except csv.Error:  # ends of line of another kind, or no text at all
        return ",", []
    best = max(parts, key=lambda sign: len(parts[sign]))
    return best, [part.strip() for part in parts[best]]


def _decoded(data: bytes) -> str:
    """Text as UTF-8, and where it is not, as the encoding in which every byte is a letter: no name is lost."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _quickly(raw: bytes, separator: str, places: list[int], names: list[str], width: int) -> pl.DataFrame:
    """The columns by the reader of polars, which sees lines of too many fields only where it reads all of them."""
    by_place = dict(sorted(zip(places, names, strict=True)))
    quoted = b'"' in raw
    if not quoted and _most_fields(raw, separator) > width:
        raise pl.exceptions.ComputeError("a line has more fields than the header")
    rows = pl.read_csv(
        io.BytesIO(raw),
        separator=separator,
        columns=None if quoted else list(by_place),
        infer_schema=False,
        quote_char='"',
    )
    read_names = [rows.columns[place] for place in by_place] if quoted else rows.columns
    return rows.select(pl.col(here).alias(name) for here, name in zip(read_names, by_place.values(), strict=True))


def _most_fields(raw: bytes, separator: str) -> int:
    """Fields of the line that has most, in text without quotes."""
    text = np.frombuffer(raw, dtype=np.uint8)
    ends = np.append(np.flatnonzero(text == ord("\n")), text.size)
    before = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
    return int(np.diff(before, prepend=0).max()) + 1


def _leniently(
    name: str, raw: bytes, separator: str, places: list[int], names: list[str], width: int, notes: list[str] | None
) -> pl.DataFrame:
    """What the quick reader refuses: a quote within a field, bytes that are no UTF-8, lines of too many fields."""
    kept: list[list[str | None]] = []
    long: list[int] = []
    for number, fields in enumerate(_lines(name, _decoded(raw), separator), start=2):
        if len(fields) > width:
            long.append(number)
        else:
            kept.append([fields[place] if place < len(fields) else None for place in places])
    if long:
        left = (
            f"{name}:{long[0]}: {len(long)} of {len(kept) + len(long)} lines have more fields than the header and were "
            "left out: quote fields with the separator"
        )
        if notes is None:
            raise SourceError(left, where=f"{name}:{long[0]}", do="Quote the fields or remove the lines")
        notes.append(left)
    return pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String), orient="row")


def _lines(name: str, text: str, separator: str) -> Iterator[list[str]]:
    """Fields of each line after the header; every field ends in its line."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(lines, None)
    while True:
        where = f"{name}:{lines.line_num + 1}"
        try:
            fields = next(lines, None)
        except csv.Error as error:
            raise SourceError(f"not delimited text: {error}", where=where, do="Mend the line or remove it") from error
        if fields is None:
            return
        if any("\n" in field for field in fields):
            raise SourceError("a quote opens here that does not close in its line", where=where, do="Close the quote")
        yield fields
