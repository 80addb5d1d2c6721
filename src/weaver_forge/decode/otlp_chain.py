"""Chains of length-delimited messages, and how to find back into one whose lengths are damaged.

A damaged payload costs its message: the next one begins where the length says. A damaged length would cost the
whole rest of the file; so when neither a frame's payload nor its successor has the outline of a message, the next
place is looked for from which two frames in a row (or one that ends with the file) have it, and only the bytes in
between are refused.
"""

import re
from collections.abc import Iterator

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_pieces import MAX_MESSAGE_BYTES, ZSTD_MAGIC, Message, Tail, Window, message, shown
from weaver_forge.decode.otlp_sniff import RESOURCE_TAG, varint

_HEADER = 16
"""No header is longer; so many bytes are looked ahead."""
_LAST_SHIFT = 63
"""Of the tenth and last byte of a varint."""
_MAX_STEPS = 2_000_000
"""Fields looked at while finding back: about a second. Then the rest is refused."""
_STARTS = re.compile(rb"(?=[\x00-\x04][\s\S]{3}(?:\x0a|\x28\xb5\x2f\xfd|\{))")
_VARINT_STARTS = re.compile(rb"(?=[\x80-\xff]{0,3}[\x00-\x7f](?:\x0a|\x28\xb5\x2f\xfd|\{))")


def header(data: memoryview, at: int, framing: str) -> tuple[int, int] | None:
    """Start and end of the payload of the frame at a place; None where there is no header."""
    if framing == "fixed":
        return (at + 4, at + 4 + int.from_bytes(data[at : at + 4], "big")) if at + 4 <= len(data) else None
    if framing == "varint":
        size = varint(data, at)
        return None if size is None else (size[1], size[1] + size[0])
    if at >= len(data) or data[at] != RESOURCE_TAG:
        return None
    size = varint(data, at + 1)  # one entry of a bare message: with its header it is a whole message itself
    return None if size is None else (at, size[1] + size[0])


def fits(data: memoryview, framing: str, *, complete: bool, ended: bool, begun: bool = False) -> bool:
    """Whether bytes look like this framing.

    One of the first messages must look like a request: a chain of small numbers is easily met by chance, the
    outline is not.

    Args:
        data: The head of the file.
        framing: Which.
        complete: The chain must hold to the end of the head; else one complete message at its begin is enough.
        ended: The head is the whole file: the chain must end exactly with it.
        begun: A first message that has only begun is enough.
    """
    at = seen = 0
    plausible = False
    while at < len(data):
        found = header(data, at, framing)
        if found is None or found[1] > len(data):
            if begun and at == 0:
                return found is not None and found[1] - at <= MAX_MESSAGE_BYTES + _HEADER and _begins(data, found)
            cut_here = not ended and (found is not None or at + _HEADER > len(data))
            return plausible and (cut_here or not complete)
        if seen < 8 and not plausible:
            plausible = framing == "bare" or (found[1] > found[0] and is_request(data[found[0] : found[1]]))
        seen += 1
        at = found[1]
        if framing == "fixed" and found[0] == found[1]:
            at += _zeros(data[at : at + 4096])
    return plausible


def is_request(payload: memoryview) -> bool:
    """Whether a payload has the outline of a message in any form."""
    return _outline(payload) >= 0


def _outline(payload: memoryview) -> int:
    """Fields of a payload that has the outline of a message; -1 less their number where it has not."""
    if bytes(payload[:4]) == ZSTD_MAGIC or _is_braced(payload):
        return 1
    at = seen = 0
    end = len(payload)
    while at < end:  # of every message of a file, so without a call for each field
        seen += 1
        if payload[at] != RESOURCE_TAG:
            return -1 - seen
        at += 1
        size = shift = 0
        while True:
            if at == end or shift > _LAST_SHIFT:
                return -1 - seen
            octet = payload[at]
            at += 1
            size |= (octet & 0x7F) << shift
            if octet < 0x80:
                break
            shift += 7
        at += size
        if at > end:
            return -1 - seen
    return seen


def _is_braced(payload: memoryview) -> bool:
    head, end = bytes(payload[:64]).lstrip(), bytes(payload[-64:]).rstrip()
    return head[:1] == b"{" and end[-1:] == b"}"


def _begins(data: memoryview, found: tuple[int, int]) -> bool:
    """Whether the payload that begins here could become a request."""
    start = bytes(data[found[0] : found[0] + _HEADER])
    if start[:4] == ZSTD_MAGIC or start[:1] in {b"{", b""}:
        return True
    inner = header(memoryview(start), 0, "bare")
    return inner is not None and inner[1] <= found[1] - found[0]


def _zeros(data: memoryview) -> int:
    """Bytes of empty messages (a length of zero) that follow each other."""
    raw = bytes(data)
    return (len(raw) - len(raw.lstrip(b"\x00"))) // 4 * 4


def chain(window: Window, name: str, framing: str) -> Iterator[Message | Rejected | Tail]:
    """Follow the lengths."""
    while window.fill(1):
        window.fill(_HEADER)
        found = header(window.view(_HEADER), 0, framing)
        too_long = found is not None and found[1] > MAX_MESSAGE_BYTES + _HEADER
        if found is None or too_long or not window.fill(found[1]):
            at_end = window.ended and not too_long and (found is not None or window.n_left < _HEADER)
            yield from _lost(window, name, framing, at_end=at_end)
            if window.ended and (window.damage or not window.n_left):
                return
            continue
        start, end = found
        if start == end:  # an empty request says nothing
            window.skip(end + (_zeros(window.view(end + 4096)[end:]) if framing == "fixed" else 0))
            continue
        if framing != "bare" and _outline(window.view(end)[start:]) < 0 and not _goes_on(window, end, framing):
            yield from _lost(window, name, framing, at_end=False)
            continue
        position, offset, data = f"byte {window.offset}", window.offset, window.take(start, end)
        window.skip(end)
        yield message(name, position, offset, data, header=start)


def _goes_on(window: Window, end: int, framing: str) -> bool:
    """Whether another frame, or the end of the file, is where a length says."""
    if not window.fill(end + 1):
        return True
    window.fill(end + _HEADER)
    found = header(window.view(end + _HEADER), end, framing)
    if found is None or found[1] - end > MAX_MESSAGE_BYTES + _HEADER:
        return False
    if not window.fill(found[1]):
        return _begins(window.view(found[1]), found)
    return _outline(window.view(found[1])[found[0] :]) >= 0


def _lost(window: Window, name: str, framing: str, *, at_end: bool) -> Iterator[Rejected | Tail]:
    """Refuse the bytes up to where the chain goes on; at the end of the file they may be a tail instead."""
    window.fill(MAX_MESSAGE_BYTES)
    size = found_back(window.view(window.n_left), framing, ended=window.ended)
    if size is None and at_end:
        if not window.damage:
            reason = window.cut or "the file ends inside a message"
            yield Tail(window.offset, window.n_left, reason, f"byte {window.offset}")
            window.skip(window.n_left)
        return
    size = size or window.n_left
    data, offset, ended = window.take(0, size), window.offset, window.ended and size == window.n_left
    window.skip(size)
    goes_on = window.n_left > 0
    rest = not goes_on and not ended
    if rest:
        window.stop()
    reason = (
        "a damaged length: the bytes up to the next readable message"
        if goes_on
        else ("a damaged length: the rest of the file" + (" (not kept, it is too large)" if rest else ""))
    )
    yield Rejected(name, f"byte {offset}", reason, shown(data), None if rest else data, offset)


def found_back(data: memoryview, framing: str, *, ended: bool) -> int | None:
    """Distance of the next place from which a chain soundly goes on, not counting the very first."""
    if framing == "bare":
        return None  # everything nested in a bare message looks like one
    steps = 0
    for match in (_STARTS if framing == "fixed" else _VARINT_STARTS).finditer(data, 1):
        at, good = match.start(), 0
        while good < 2:
            found = header(data, at, framing)
            if found is None or found[1] > len(data) or found[0] == found[1]:
                break
            seen = _outline(data[found[0] : found[1]])
            steps += abs(seen)
            if seen < 0:
                break
            good, at = good + 1, found[1]
            if at == len(data) and ended:
                good = 2
        steps += 1
        if good >= 2:
            return match.start()
        if steps > _MAX_STEPS:
            return None
    return None
