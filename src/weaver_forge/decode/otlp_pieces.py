"""The pieces that a file of OTLP messages falls into, and the window through which it is read.

Put here what every framing needs. How a message's end is found is in ``otlp_chain`` (lengths) and ``otlp_lines``
(JSON).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import zstandard

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_sniff import Encoding, Signal, signal_of

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest message, compressed and decompressed alike; the receivers have the same limit."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_RAW_LIMIT = 4000
_ZSTD_STEP = 1 << 14  # a step may unfold to thousands of times its size


class CutOff(Exception):  # noqa: N818 - named by what happened to the stream
    """The compressed stream ends early: it is still being written, or was cut off."""


class Damaged(Exception):  # noqa: N818 - named by what happened to the stream
    """The compressed stream cannot be read any further; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a file.

    Args:
        position: Its place in words ("byte 1024", "line 3").
        data: Its bytes, decompressed.
        encoding: How they are encoded.
        offset: Byte offset of its frame (length included) in the decompressed file.
        signal: What it is about, found by its structure.
        start: Byte offset of its own bytes in the decompressed file; None where they were compressed by themselves.
    """

    position: str
    data: bytes
    encoding: Encoding
    offset: int = 0
    signal: Signal = "traces"
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a file that stops inside a message: still being written, to be read from here another time.

    Args:
        offset: Byte offset in the decompressed file at which the incomplete message begins.
        n_bytes: Bytes of it that are there.
        reason: What is there, in words.
        position: Its place in words.
    """

    offset: int
    n_bytes: int
    reason: str
    position: str


class Window:
    """The part of a stream that is in memory: bytes from the next unread one on."""

    def __init__(self, blocks: Iterator[bytes], offset: int) -> None:
        self._blocks = blocks
        self._data = b""
        self._at = 0
        self.offset = offset
        self.ended = False
        self.cut = ""
        self.damage = ""

    @property
    def n_left(self) -> int:
        """Bytes in memory that were not consumed."""
        return len(self._data) - self._at

    def fill(self, size: int) -> bool:
        """Have at least so many bytes in memory; False if the stream ends before."""
        if self.n_left >= size:
            return True
        parts, have = [self._data[self._at :]], self.n_left
        while have < size and not self.ended:
            try:
                block = next(self._blocks, None)
            except CutOff as cut:
                block, self.cut = None, str(cut)
            except Damaged as damaged:
                block, self.damage = None, str(damaged)
            if block is None:
                self.ended = True
            else:
                parts.append(block)
                have += len(block)
        self._data, self._at = b"".join(parts), 0
        return have >= size

    def take(self, start: int, end: int) -> bytes:
        """Bytes by their distance from the next unread one."""
        return self._data[self._at + start : self._at + end]

    def rest(self) -> bytes:
        """All that is in memory."""
        return self._data[self._at :]

    def view(self, size: int) -> memoryview:
        """A look at the next bytes, at most so many."""
        return memoryview(self._data)[self._at : self._at + size]

    def find(self, what: bytes, start: int) -> int:
        """Distance of the next occurrence, -1 if there is none in memory."""
        found = self._data.find(what, self._at + start)
        return found if found < 0 else found - self._at

    def skip(self, size: int) -> None:
        """Consume bytes."""
        self._at += size
        self.offset += size

    def stop(self) -> None:
        """Read no further: what is left is lost anyway."""
        self._data, self._at, self.ended = b"", 0, True


def message(
    name: str, position: str, offset: int, data: bytes, encoding: Encoding | None = None, *, header: int = 0
) -> Message | Rejected:
    """Make a message of a frame's payload, which may be compressed by itself (the file exporter's older form).

    Args:
        name: The file.
        position: Its place in words.
        offset: Where its frame begins.
        data: The payload.
        encoding: Its encoding, where that is known.
        header: Bytes of the frame before the payload.
    """
    packed = data
    if data[:4] == ZSTD_MAGIC:
        try:
            data = _unpacked(packed)
        except (zstandard.ZstdError, EOFError) as error:
            reason = f"a zstd message cannot be read: {in_words(error)}"
            return Rejected(name, position, reason, shown(packed), packed, offset)
    if len(data) > MAX_MESSAGE_BYTES:
        reason = f"a message of more than {MAX_MESSAGE_BYTES // 2**20} MiB: send smaller batches"
        return Rejected(name, position, reason, shown(packed), packed, offset)
    found = encoding or encoding_of(data)
    return Message(position, data, found, offset, signal_of(data, found), offset + header if data is packed else None)


def encoding_of(data: bytes) -> Encoding:
    """JSON if its first character is a brace; the first byte of protobuf is a tag, which also is a newline."""
    if data[:1] == b"{":
        return "json"
    return "json" if data[:1] in b" \t\r\n" and data[:256].lstrip()[:2] in _OPENINGS else "protobuf"


_OPENINGS = frozenset((b'{"', b"{ ", b"{\n", b"{\r", b"{\t", b"{}"))


def _unpacked(data: bytes) -> bytes:
    """Undo zstd in small steps, and stop as soon as it is too much."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    parts: list[bytes] = []
    size = 0
    for at in range(0, len(data), _ZSTD_STEP):
        parts.append(frame.decompress(data[at : at + _ZSTD_STEP]))
        size += len(parts[-1])
        if size > MAX_MESSAGE_BYTES:
            return b"".join(parts)
        if frame.eof:
            break
    if not frame.eof:
        raise EOFError("it is cut off")
    if frame.unused_data:
        raise EOFError("there are bytes after its end")
    return b"".join(parts)


def shown(data: bytes | str) -> str:
    """A refused piece as text, cut to 4,000 characters; bytes that are no text are escaped."""
    text = data if isinstance(data, str) else data[:_RAW_LIMIT].decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")[:_RAW_LIMIT]
