"""JSON lines and JSON documents -> messages."""

import re
from collections.abc import Iterator

import msgspec

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_pieces import MAX_MESSAGE_BYTES, Message, Tail, Window, message, shown

_MARK = b"\xef\xbb\xbf"
_OPENING = re.compile(rb'\s*\{\s*(?:["}]|$)')
_HEAD = 1024
_MAX_SKIPPED = 1 << 30
"""Bytes of an endless line that are read to find its end; then the rest of the file is refused."""


def looks_like_json(head: bytes, *, anywhere: bool = False) -> bool:
    """Whether text begins with a JSON object (or, with ``anywhere``, one of its lines does).

    Both the opening and the absence of control characters count, because a protobuf message may begin like an
    object: a bare one begins with a newline, and a varint length of 123 is an opening brace.
    """
    text = head.removeprefix(_MARK)
    if any(byte < 32 and byte not in b"\t\n\r" for byte in text[:_HEAD]):
        return False
    if _OPENING.match(text[:_HEAD]):
        return True
    return anywhere and (text.lstrip()[:1] == b"{" or b"\n{" in text)


def json_messages(window: Window, name: str) -> Iterator[Message | Rejected | Tail]:
    """One message a line, or one document over several lines."""
    window.fill(len(_MARK))
    if window.take(0, 3) == _MARK:
        window.skip(3)
    document = _document(window, name) if window.offset in {0, 3} else None
    if document is not None:
        yield document
        return
    number = 0 if window.offset in {0, 3} else None
    while (end := _line_end(window)) > 0:
        number = None if number is None else number + 1
        position = f"line {number}" if number is not None else f"byte {window.offset}"
        if end > MAX_MESSAGE_BYTES:
            yield from _too_long(window, name, position)
            continue
        line = window.take(0, end)
        if not line.endswith(b"\n") and line.strip() and (window.cut or window.damage or _is_cut(line)):
            if not window.damage:
                yield Tail(window.offset, len(line), window.cut or "the file ends inside a message", position)
                window.skip(end)
            return
        offset = window.offset
        window.skip(end)
        if line.strip():
            yield message(name, position, offset, line.rstrip(b"\r\n"), "json")


def _document(window: Window, name: str) -> Message | Rejected | Tail | None:
    """The whole file as one document over several lines; None where it is lines after all."""
    end = _line_end(window)
    while 0 < end <= MAX_MESSAGE_BYTES and not window.take(0, end).strip():  # blank lines first
        following = _line_end(window, end)
        if following <= end:
            return None
        end = following
    if end > MAX_MESSAGE_BYTES or _reads(window.take(0, end)) or window.fill(MAX_MESSAGE_BYTES + 1):
        return None
    whole, offset = window.rest(), window.offset
    if _reads(whole):
        window.skip(len(whole))
        return message(name, "line 1", offset, whole, "json")
    if b"\n" in whole.strip() and not window.damage and _is_cut(whole):
        window.skip(len(whole))
        return Tail(offset, len(whole), window.cut or "the file ends inside a message", "line 1")
    return None


def _line_end(window: Window, start: int = 0) -> int:
    """Length of the next line with its newline, or of what there is; more than a message may have if it has none."""
    size = start + 1
    while True:
        more = window.fill(size)
        found = window.find(b"\n", start)
        if found >= 0:
            return found + 1
        if not more or window.n_left > MAX_MESSAGE_BYTES:
            return window.n_left
        start, size = window.n_left, min(2 * window.n_left, MAX_MESSAGE_BYTES + 1)


def _too_long(window: Window, name: str, position: str) -> Iterator[Rejected]:
    """Refuse a line that is too long, without ever having all of it in memory."""
    offset, skipped, raw = window.offset, 0, shown(window.take(0, 4000))
    limit = f"{MAX_MESSAGE_BYTES // 2**20} MiB"
    while (found := window.find(b"\n", 0)) < 0:
        skipped += window.n_left
        window.skip(window.n_left)
        if skipped > _MAX_SKIPPED:
            yield Rejected(name, position, f"a line without end ({limit}): the rest of the file", raw, None, offset)
            window.stop()
            return
        if not window.fill(1):
            break
    window.skip(found + 1)
    yield Rejected(name, position, f"a line of more than {limit}: send smaller batches", raw, None, offset)


def _reads(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_cut(line: bytes) -> bool:
    """Whether text that has no end stops in the middle of a value."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except (UnicodeDecodeError, RecursionError):
        return False
    return False
