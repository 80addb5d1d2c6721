"""Delimited text with a header, compressed or not, as frames; columns decide what it is.

Put here what every reader of a csv format shares.
"""

import gzip
import io
from collections.abc import Iterable
from pathlib import PurePosixPath

import polars as pl

from weaver_forge.errors import SourceError

_GZIP = b"\x1f\x8b"


def plain(data: bytes) -> bytes:
    """The bytes, unpacked when they are gzip."""
    return gzip.decompress(data) if data[:2] == _GZIP else data


def header(data: bytes, separator: str = ",") -> frozenset[str]:
    """Column names of the first line; empty for bytes that are no text."""
    try:
        line = plain(data)[:65_536].split(b"\n", 1)[0].decode("utf-8-sig")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError):
        return frozenset()
    return frozenset(name.strip().strip('"') for name in line.strip().split(separator))


def read(name: str, data: bytes, columns: Iterable[str], *, separator: str = ",") -> pl.DataFrame:
    """Read these columns as text; empty fields are null.

    Raises:
        SourceError: If it is not delimited text with these columns.
    """
    try:
        return pl.read_csv(
            io.BytesIO(plain(data)), separator=separator, columns=list(columns), infer_schema=False, quote_char='"'
        )
    except (pl.exceptions.PolarsError, gzip.BadGzipFile, EOFError) as error:
        raise SourceError(f"not delimited text: {error}", where=name, do="Repair or remove the file") from error


def folder(name: str) -> str:
    """The folder that a file lies in, as the name of a data set; the file's stem when it lies at the top."""
    path = PurePosixPath(name)
    return str(path.parent) if str(path.parent) not in {".", ""} else path.name.split(".")[0]
