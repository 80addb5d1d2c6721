"""Tables in files of any size (CSV, Parquet), opened as a stream: compression is undone on the way, by magic number.

For files that are read whole see ``files``. What a row means belongs to its decoder.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from weaver_forge.errors import MissingInput, SourceError

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@contextmanager
def open_sheet(path: Path) -> Generator[IO[bytes]]:
    """The decompressed bytes of a file, for the time of a ``with`` block; seekable where it is not compressed.

    Raises:
        MissingInput: If the file is not there.
        SourceError: If it cannot be read or its compression is damaged, also when that shows while it is read.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        compression = next((name for start, name in _COMPRESSIONS.items() if magic.startswith(start)), None)
        with pa.input_stream(str(path), compression=compression) as stream:
            yield stream
    except FileNotFoundError as error:
        raise MissingInput("no such file", where=str(path), do="Check the path") from error
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error}", where=str(path), do="Check the file; if it is cut off, fetch it again"
        ) from error
