"""Files of OTLP messages of any size, read as a stream of messages.

Opening files and undoing the compression of whole files (gzip and zstd, found by magic number, one inside the
other too) belong here; where a message ends is the business of ``decode.otlp_framing``. Memory is bounded by the
largest message, not by the file: nothing here or there holds more than about twice 64 MiB.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import zstandard

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import CutOff, Damaged, Message, Signal, Tail, find_framing, messages
from weaver_forge.errors import MissingInput, SourceError

BLOCK_BYTES = 1 << 20

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LAYERS = 2
"""Compression inside compression that is undone: a rotated zstd file that somebody gzipped."""
_GZIP_STEP = 1 << 16  # what one step decompresses to is lost where the damage is found
_GZIP_PIECE = 1 << 14  # what follows a member is copied for each: many small ones in a large piece would take long
_ZSTD_STEP = 1 << 14  # a step may unfold to thousands of times its size
_DAMAGED = "what follows cannot be unpacked. Fetch or write the file again"
_RECEIVED = re.compile(r"(traces|metrics|logs)-.*\.otlp")
_HEAD_BLOCK = 1 << 16
_SIGNALS: dict[str, Signal] = {"traces": "traces", "metrics": "metrics", "logs": "logs"}


def received_signal(path: Path) -> Signal | None:
    """The signal of a file that a receiver wrote, by its name; None for any other, which may hold all of them.

    A sender says which signal it sends, and a receiver has a file for each: that is known, not guessed.
    """
    named = _RECEIVED.fullmatch(path.name) if path.parent.name == "received" else None
    return _SIGNALS[named[1]] if named else None


def read_messages(
    path: Path, *, offset: int = 0, block_bytes: int = BLOCK_BYTES, signal: Signal | None = None
) -> Iterator[Message | Rejected | Tail]:
    """Read a file's messages in order, each with its byte offset in the decompressed file.

    Args:
        path: A trace file, a received segment or a saved body, in any of the framings.
        offset: Where to go on: the offset of an earlier :class:`Tail`, or the end of the last message taken.
        block_bytes: Bytes read at a time.
        signal: What all its messages are about, where that is known; else a received file says it by its name, and
            of others each message's structure does.

    Yields:
        Messages, and what had to be refused. A ``Tail`` comes last where the file ends inside a message or inside
        its compression: it is still growing, or was cut off. Damaged compression is a Rejected, after every
        message before the damage.

    Raises:
        MissingInput: If the file is not there.
        SourceError: If it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            framing = find_framing(_blocks(raw, block_bytes)) if offset else None
            raw.seek(0)
            pieces = messages(_from(raw, offset, block_bytes), str(path), offset=offset, framing=framing)
            yield from _about(pieces, signal or received_signal(path))
    except FileNotFoundError as error:
        raise MissingInput("no such file", where=str(path), do="Check the path") from error
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error.strerror or error}", where=str(path), do="Check the file and its permissions"
        ) from error


def head_blocks(raw: IO[bytes]) -> Iterator[bytes]:
    """An open file's bytes from its beginning, unpacked, in blocks; the caller stops where it has seen enough.

    Raises:
        CutOff: While iterating, at the end of a compressed stream that is incomplete.
        Damaged: While iterating, where a compressed stream cannot be read.
    """
    return _blocks(raw, _HEAD_BLOCK)


def _about(pieces: Iterator[Message | Rejected | Tail], signal: Signal | None) -> Iterator[Message | Rejected | Tail]:
    """The same pieces, their messages about a signal that is known."""
    if signal is None:
        return pieces
    return (replace(p, signal=signal) if isinstance(p, Message) and p.signal != signal else p for p in pieces)


def _from(raw: IO[bytes], offset: int, size: int) -> Iterator[bytes]:
    """Blocks from an offset on; compressed files are decompressed up to there and that is dropped."""
    if not raw.read(4).startswith((_GZIP, _ZSTD)):
        raw.seek(offset)
        yield from iter(lambda: raw.read(size), b"")
        return
    raw.seek(0)
    for block in _blocks(raw, size):
        if offset >= len(block):
            offset -= len(block)
        else:
            yield block[offset:] if offset else block
            offset = 0


def _blocks(raw: IO[bytes], size: int) -> Iterator[bytes]:
    """The decompressed bytes of a file, in blocks.

    Raises:
        CutOff: While iterating, at the end of a compressed stream that is incomplete.
        Damaged: While iterating, where a compressed stream cannot be read.
    """
    blocks: Iterator[bytes] = iter(lambda: raw.read(size), b"")
    for _ in range(_LAYERS):
        first = next(blocks, b"")
        while 0 < len(first) < 4 and (more := next(blocks, b"")):
            first += more
        blocks = _chained(first, blocks)
        if first.startswith(_GZIP):
            blocks = _ungzip(blocks)
        elif first.startswith(_ZSTD):
            blocks = _unzstd(blocks)
        else:
            break
    yield from blocks


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _ungzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress member after member, never much at a time.

    Raises:
        CutOff: At the end, if the last member is incomplete.
        Damaged: Where it cannot be read.
    """
    member = zlib.decompressobj(wbits=31)
    begun = False
    for block in blocks:
        for at in range(0, len(block), _GZIP_PIECE):
            rest = block[at : at + _GZIP_PIECE]
            while rest:
                if member.eof:
                    if not rest.strip(b"\x00"):  # padding after the last member is allowed
                        break
                    member, begun = zlib.decompressobj(wbits=31), False
                try:
                    data = member.decompress(rest, _GZIP_STEP)
                except zlib.error as error:
                    raise Damaged(f"damaged gzip compression: {_DAMAGED}") from error
                begun = True
                if data:
                    yield data
                rest = member.unused_data if member.eof else member.unconsumed_tail
    if begun and not member.eof:
        raise CutOff("the gzip stream ends early")


def _unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress frame after frame, in small steps.

    Raises:
        CutOff: At the end, if the last frame is incomplete (the collector's native compression keeps one open).
        Damaged: Where it cannot be read.
    """
    frame = zstandard.ZstdDecompressor().decompressobj()
    begun = False
    for block in blocks:
        for at in range(0, len(block), _ZSTD_STEP):
            rest = block[at : at + _ZSTD_STEP]
            while rest:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                try:
                    data = frame.decompress(rest)
                except zstandard.ZstdError as error:
                    raise Damaged(f"damaged zstd compression: {_DAMAGED}") from error
                begun = True
                if data:
                    yield data
                rest = frame.unused_data if frame.eof else b""
    if begun and not frame.eof:
        raise CutOff("the zstd stream ends early")
