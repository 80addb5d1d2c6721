"""The JSON values of a file: one document, or one value a line. What they mean is their decoder's business."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from weaver_forge.contracts.batch import Frame

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it stands.

    Args:
        position: Its place in words.
        content: The value; :class:`Unreadable` where it is no JSON.
        data: Its bytes as they came: the document or the line.
        offset: Where they begin in the file.
    """

    position: str
    content: Any
    data: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line or document that is no JSON."""

    reason: str
    raw: str


def values(frame: Frame) -> Iterator[Value]:
    """Yield the whole document if it is one, else the value of every line."""
    text = frame.data.removeprefix(_BOM)
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        yield from lines(frame)
        return
    yield Value("document", document, frame.data, frame.offset)


def lines(frame: Frame) -> Iterator[Value]:
    """Yield the value of every line that is not blank; what is no JSON is :class:`Unreadable`."""
    text = frame.data.removeprefix(_BOM)
    offset = frame.offset + len(frame.data) - len(text)
    if not text.strip():
        yield Value("byte 0", Unreadable("the file is empty", ""), frame.data, frame.offset)
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            yield Value(f"line {number}", _read(line), line, offset)
        offset += len(line) + 1


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Unreadable(f"not valid JSON: {error}", line.decode("utf-8", "backslashreplace"))
