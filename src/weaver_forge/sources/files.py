"""Files named on a command line or in weaver-forge.toml: which they are, and their bytes.

Compression is undone here, by magic number and not by name, so that a decoder never sees it.
Framing inside a file (a message, a line) belongs to its decoder.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import zstandard

from weaver_forge.contracts.batch import Frame
from weaver_forge.errors import MissingInput, SourceError

MAX_BYTES = 4 * 1024**3
"""A decompressed file above this is refused: a small archive must not fill the memory."""

_CHUNK = 1 << 20
_ZSTD_CHUNK = 1 << 14  # one chunk may unfold to thousands of times its size
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_WILD = frozenset("*?[")


def expand(patterns: Sequence[str], root: Path) -> list[Path]:
    """Resolve patterns to existing files, sorted and without repeats.

    Args:
        patterns: File names, folders (all files below) or globs (``**`` crosses folders); relative ones
            start at ``root``. A name that exists is taken literally even if it has wildcard characters.
        root: Folder that relative patterns start at.

    Raises:
        MissingInput: If a pattern matches no file.
    """
    found: set[Path] = set()
    for pattern in patterns:
        matches = _matches(pattern, root)
        if not matches:
            raise _missing(pattern, root)
        found |= matches
    return sorted(found)


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield the file as one frame; gzip and zstd (several members too) are undone.

    Raises:
        MissingInput: If the file is not there.
        SourceError: If it cannot be read, its compression is damaged, or it is larger than ``MAX_BYTES``.
    """
    yield Frame(str(path), b"".join(read_blocks(path)))


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the file block by block, for decoders that need not hold all of it; else as :func:`read_frames`."""
    try:
        yield from _read(path)
    except FileNotFoundError as error:
        raise MissingInput("no such file", where=str(path), do="Check the path") from error
    except EOFError as error:
        raise SourceError(
            "damaged compression: the file is cut off, so that nothing of it was read",
            where=str(path),
            do="Fetch or write it again, or wait until it is whole",
        ) from error
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise SourceError(
            "damaged compression: it cannot be unpacked", where=str(path), do="Fetch or write the file again"
        ) from error
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error.strerror or error}", where=str(path), do="Check the file and its permissions"
        ) from error


def _missing(pattern: str, root: Path) -> MissingInput:
    """Name the place itself: a pattern that starts at the root of the file system has no other."""
    place = Path(pattern).expanduser()
    if not _WILD & set(pattern):
        empty = (root / place).is_dir()
        do = "Put files there, or name another folder" if empty else "Check the path"
        return MissingInput("no file in this folder" if empty else "no such file", where=str(root / place), do=do)
    do = "Check the pattern, and quote it so that the shell leaves it as it is"
    return MissingInput("matches no file", where=str(root / place), do=do)


def _matches(pattern: str, root: Path) -> set[Path]:
    literal = root / Path(pattern).expanduser()
    if literal.is_file():
        return {literal}
    if literal.is_dir():
        return {path for path in literal.rglob("*") if path.is_file()}
    if not _WILD & set(pattern):
        return set()
    absolute = Path(pattern).expanduser()
    base, relative = (
        (Path(absolute.anchor), absolute.relative_to(absolute.anchor)) if absolute.is_absolute() else (root, absolute)
    )
    matches: set[Path] = set()
    for path in base.glob(str(relative)):
        matches |= {path} if path.is_file() else {below for below in path.rglob("*") if below.is_file()}
    return matches


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield from _bounded(iter(lambda: stream.read(_CHUNK), b""), path)
        elif magic == _ZSTD:
            yield from _bounded(_unzstd(raw), path)
        else:
            yield from _bounded(iter(lambda: raw.read(_CHUNK), b""), path)


def _unzstd(raw: IO[bytes]) -> Iterator[bytes]:
    """Decompress frame after frame; unlike the library's stream reader, a cut-off frame is an error."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    rest = b""
    while piece := rest or raw.read(_ZSTD_CHUNK):
        if frame.eof:
            frame = zstandard.ZstdDecompressor().decompressobj()
        yield frame.decompress(piece)
        rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("the last zstd frame is cut off")


def _bounded(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_BYTES:
            raise SourceError(f"larger than {MAX_BYTES:,} bytes", where=str(path), do="Split it into smaller files")
        yield piece
