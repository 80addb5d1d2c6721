"""Where one OTLP message ends and the next begins: the framings that writers of trace files use.

Put framing here: 4-byte big-endian lengths (the collector's file exporter), varint lengths (Java and other
protobuf tools), one bare message (an HTTP body), JSON lines and JSON documents. What a message says is read
in ``otlp_protobuf`` and ``otlp_json``; whole-file compression is undone in ``sources``.

The framing is found by trying, strictest first: a chain must end exactly at the end of the file and its
messages must have the outline of an OTLP request (nothing but length-delimited fields number 1).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import zstandard

from weaver_forge.contracts.batch import Frame, Rejected

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""A message may not decompress to more: four times the largest body that OTLP receivers accept by default."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_RESOURCE_FIELD = 0x0A  # field 1, length-delimited: resource_spans, resource_metrics and resource_logs alike
_RAW_LIMIT = 4000

_Next = Callable[[memoryview, int], tuple[int, int, int] | None]
"""``(data, offset) -> (start of the message, its end, offset of the next)``; None where there is no header."""


Encoding = Literal["protobuf", "json"]
Signal = Literal["traces", "metrics", "logs"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a file.

    Args:
        position: Its place in words ("byte 1024", "line 3").
        data: Its bytes, decompressed.
        encoding: How they are encoded.
        offset: Byte offset of its frame (length included) in the decompressed file.
        signal: What it is about, found by its structure.
    """

    position: str
    data: bytes
    encoding: Encoding
    offset: int = 0
    signal: Signal = "traces"


def split(frame: Frame) -> Iterator[Message | Rejected]:
    """Split a whole file (or one body) into messages, in file order.

    A tail that ends inside a message is a Rejected after all complete messages. An empty or blank file has
    no messages. Bytes that are no known framing are one Rejected.
    """
    if not frame.data.strip():
        return
    if _is_json(frame.data):
        yield from _json_messages(frame)
        return
    data = memoryview(frame.data)
    for step in (_fixed, _varint, _field):
        if _fits(data, step, whole=True):
            yield from _chain(frame, data, step)
            return
    for step in (_fixed, _varint, _field):
        if _fits(data, step, whole=False):
            yield from _chain(frame, data, step)
            return
    if _is_text(frame.data) and (frame.data.lstrip()[:1] == b"{" or b"\n{" in frame.data):
        yield from _json_messages(frame)
        return
    yield Rejected(
        frame.name,
        f"byte {frame.offset}",
        "not OTLP: neither length-delimited nor bare protobuf nor JSON. Give traces as the collector's file"
        " exporter or an OTLP/HTTP body has them",
        shown(frame.data),
    )


def shown(data: bytes | str) -> str:
    """A refused piece as text, cut to 4,000 characters; bytes that are no text are escaped."""
    text = data if isinstance(data, str) else data[:_RAW_LIMIT].decode("utf-8", "backslashreplace")
    return text.replace("\x00", "\\x00")[:_RAW_LIMIT]


def _fixed(data: memoryview, at: int) -> tuple[int, int, int] | None:
    if at + 4 > len(data):
        return None
    end = at + 4 + int(struct.unpack_from(">I", data, at)[0])
    return at + 4, end, end


def _varint(data: memoryview, at: int) -> tuple[int, int, int] | None:
    value = shift = 0
    for index in range(at, min(at + 5, len(data))):
        value |= (data[index] & 0x7F) << shift
        shift += 7
        if data[index] < 0x80:
            return index + 1, index + 1 + value, index + 1 + value
    return None


def _field(data: memoryview, at: int) -> tuple[int, int, int] | None:
    """One ``resource_spans`` entry of a bare message: with its header it is a whole message itself."""
    if data[at] != _RESOURCE_FIELD:
        return None
    inner = _varint(data, at + 1)
    return None if inner is None else (at, inner[1], inner[2])


def _fits(data: memoryview, step: _Next, *, whole: bool) -> bool:
    """Whether the chain reaches the end exactly (``whole``) or at least begins with one complete message.

    In both cases one of the first messages must look like a request: a chain of small numbers is easily met
    by chance, the outline is not.
    """
    at = seen = 0
    plausible = False
    while at < len(data):
        found = step(data, at)
        if found is None or found[1] > len(data):
            return plausible and not whole
        if seen < 8 and not plausible:
            plausible = step is _field or _is_request(data[found[0] : found[1]])
        seen += 1
        at = found[2]
    return plausible


def _is_request(message: memoryview) -> bool:
    if bytes(message[:4]) == _ZSTD_MAGIC:
        return True
    at = 0
    while at < len(message):
        found = _field(message, at)
        if found is None or found[1] > len(message):
            return False
        at = found[2]
    return len(message) > 0


def _chain(frame: Frame, data: memoryview, step: _Next) -> Iterator[Message | Rejected]:
    at = 0
    while at < len(data):
        found = step(data, at)
        if found is None or found[1] > len(data):
            yield _truncated(frame, f"byte {frame.offset + at}", bytes(data[at : at + _RAW_LIMIT]))
            return
        start, end, following = found
        yield _unpacked(frame.name, f"byte {frame.offset + at}", bytes(data[start:end]))
        at = following


def _truncated(frame: Frame, position: str, tail: bytes) -> Rejected:
    reason = f"the file ends inside a message ({position}): kept complete messages"
    return Rejected(frame.name, position, reason, shown(tail))


def _unpacked(name: str, position: str, data: bytes) -> Message | Rejected:
    """Undo zstd of a single message (the file exporter's older form, in which lengths stay outside)."""
    if data[:4] == _ZSTD_MAGIC:
        try:
            data = zstandard.ZstdDecompressor().decompress(
                data, max_output_size=MAX_MESSAGE_BYTES, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            return Rejected(name, position, f"a zstd message cannot be read: {error}", shown(data))
        if len(data) > MAX_MESSAGE_BYTES:
            return Rejected(name, position, f"a message of more than {MAX_MESSAGE_BYTES} bytes", "")
    return Message(position, data, "json" if data[:1] == b"{" else "protobuf")


def _is_json(data: bytes) -> bool:
    """True if the first line, or else the whole file, is a JSON object.

    Decided by reading it, because the bytes of a protobuf message may begin like one: a bare message begins
    with a newline, a varint length of 123 is an opening brace.
    """
    text = _without_mark(data)
    if text.lstrip()[:1] != b"{":
        return False
    return _reads(text.lstrip().split(b"\n", 1)[0]) or _reads(text)


def _reads(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _without_mark(data: bytes) -> bytes:
    return data.removeprefix(b"\xef\xbb\xbf")


def _is_text(data: bytes) -> bool:
    head = data[:1024]
    return not any(byte < 32 and byte not in b"\t\n\r" for byte in head)


def _json_messages(frame: Frame) -> Iterator[Message | Rejected]:
    """JSON lines, or one document over several lines."""
    data = _without_mark(frame.data)
    if not _reads(data.lstrip().split(b"\n", 1)[0]) and _reads(data):
        yield Message("line 1", data, "json")
        return
    start = 0
    number = 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        line = data[start : end if end >= 0 else len(data)]
        if line.strip():
            if end < 0 and _is_cut(line):
                yield _truncated(frame, f"line {number}", line)
            else:
                yield Message(f"line {number}", line, "json")
        start = len(data) if end < 0 else end + 1


def _is_cut(line: bytes) -> bool:
    """Whether the last line, which has no newline, stops in the middle of a value."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except (UnicodeDecodeError, RecursionError):
        return False
    return False
