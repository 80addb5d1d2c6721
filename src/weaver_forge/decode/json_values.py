"""The JSON values of a file: one document, or one value a line. What they mean is their decoder's business.

A file that is something else altogether, or one document that is damaged, is refused once, not line by line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.recognise import recognise

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
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        yield from lines(frame, in_words(error))
        return
    yield Value("document", document, frame.data, frame.offset)


def lines(frame: Frame, fault: str = "") -> Iterator[Value]:
    """Yield the value of every line that is not blank; what is no JSON is :class:`Unreadable`.

    Args:
        frame: The file.
        fault: What is wrong with it as one document, for a file that is no JSON lines either.
    """
    text = frame.data.removeprefix(_BOM)
    offset = frame.offset + len(frame.data) - len(text)
    if not text.strip():
        yield Value("byte 0", Unreadable("the file is empty", ""), frame.data, frame.offset)
        return
    waiting: list[Value] | None = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            value = Value(f"line {number}", _read(line), line, offset)
            if waiting is not None and not isinstance(value.content, dict | list):
                waiting.append(value)
            else:
                yield from waiting or ()
                waiting = None
                yield value
        offset += len(line) + 1
    if waiting:
        yield from [_whole(frame, reason)] if (reason := _no_lines(text, waiting, fault)) else waiting


def _no_lines(text: bytes, unread: list[Value], fault: str) -> str:
    """Why a file of which no line is an object or a list is no JSON lines at all; empty where it may be."""
    if all(value.data.lstrip()[:1] in b"{[" for value in unread):
        return ""  # each begins as a line should, and each is damaged
    if text.lstrip()[:1] in b"{[":
        return f"not valid JSON: one document of {len(unread):,} lines that is damaged or cut off: {fault}"
    likely = recognise(text)
    if likely is None or likely.what == "plain text":
        return "not JSON at all: plain text" if len(unread) > 1 else ""
    return f"not JSON at all: looks like {likely.what}. {likely.hint}".rstrip()


def _whole(frame: Frame, reason: str) -> Value:
    raw = frame.data[:4000].decode("utf-8", "backslashreplace")
    return Value("whole file", Unreadable(reason, raw), frame.data, frame.offset)


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        # Only what is shown of it: a file of another format may be one line of gigabytes.
        return Unreadable(f"not valid JSON: {in_words(error)}", line[:4000].decode("utf-8", "backslashreplace"))
