"""The JSON values of a file: one document, or one value a line. What they mean is their decoder's business."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from weaver_forge.contracts.batch import Frame


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line or document that is no JSON."""

    reason: str
    raw: str


def values(frame: Frame) -> Iterator[tuple[str, Any]]:
    """Yield the whole document if it is one, else the value of every line; each with its place in words."""
    text = frame.data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        yield from lines(frame)
        return
    yield "document", document


def lines(frame: Frame) -> Iterator[tuple[str, Any]]:
    """Yield the value of every line that is not blank; what is no JSON is :class:`Unreadable`."""
    text = frame.data.removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        yield "byte 0", Unreadable("the file is empty", "")
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            yield f"line {number}", Unreadable(f"not valid JSON: {error}", line.decode("utf-8", "backslashreplace"))
