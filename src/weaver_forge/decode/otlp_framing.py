"""Where one OTLP message ends and the next begins: the framings that writers of trace files use.

Put framing here: 4-byte big-endian lengths (the collector's file exporter, our own inbox), varint lengths (Java and
other protobuf tools), one bare message (an HTTP body), JSON lines and JSON documents, each message by itself
compressed with zstd or not. It works on blocks of bytes of any number, so that memory is bounded by the largest
message. Opening files and undoing their compression is the business of ``sources.streams``; what a message says is
read in ``otlp_protobuf`` and ``otlp_json``.

The framing is found by trying, strictest first: the chain of lengths must hold to the end of what can be seen and
its messages must have the outline of an OTLP request (nothing but length-delimited fields number 1).
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode.otlp_chain import chain, fits, found_back
from weaver_forge.decode.otlp_lines import json_messages, looks_like_json
from weaver_forge.decode.otlp_pieces import (
    MAX_MESSAGE_BYTES,
    CutOff,
    Damaged,
    Message,
    Tail,
    Window,
    shown,
)
from weaver_forge.decode.otlp_sniff import Encoding, Signal
from weaver_forge.decode.recognise import recognise

__all__ = [
    "MAX_MESSAGE_BYTES",
    "CutOff",
    "Damaged",
    "Encoding",
    "Framing",
    "Message",
    "Signal",
    "Tail",
    "find_framing",
    "messages",
    "shown",
    "split",
]

Framing = Literal["json", "fixed", "varint", "bare", "empty", "unknown"]

_HEAD_BYTES = 1 << 20
_BINARY: tuple[Framing, ...] = ("fixed", "varint", "bare")


def find_framing(blocks: Iterable[bytes]) -> Framing:
    """Find the framing from the head of a file; reads no more blocks than that takes."""
    return _framing(Window(iter(blocks), 0))


def messages(
    blocks: Iterable[bytes], name: str, *, offset: int = 0, framing: Framing | None = None
) -> Iterator[Message | Rejected | Tail]:
    """Split bytes into messages, in order.

    Args:
        blocks: The bytes in blocks of any size. The iterator may raise :class:`CutOff` or :class:`Damaged`.
        name: The file, for what is refused.
        offset: Where in the file the blocks begin; a message begins there.
        framing: The file's framing, where ``offset`` is not 0 and the head is not seen here.

    Yields:
        Messages and refused pieces. A :class:`Tail` comes last, where the bytes end inside a message. Nothing
        for an empty or blank file; one Rejected for bytes of no known framing.
    """
    window = Window(iter(blocks), offset)
    found = framing if framing not in {None, "empty", "unknown"} else _framing(window)
    tail = False
    for piece in _pieces(window, name, found):
        tail = tail or isinstance(piece, Tail)
        yield piece
    if window.damage:
        rest = window.rest()
        yield Rejected(name, f"byte {window.offset}", window.damage, shown(rest), rest or None, window.offset)
    elif window.cut and not tail:
        yield Tail(window.offset, window.n_left, window.cut, f"byte {window.offset}")


def _pieces(window: Window, name: str, framing: Framing) -> Iterator[Message | Rejected | Tail]:
    if framing == "json":
        return json_messages(window, name)
    if framing in _BINARY:
        return chain(window, name, framing)
    return iter((_unknown(window, name),) if framing == "unknown" and not window.damage else ())


def split(frame: Frame) -> Iterator[Message | Rejected]:
    """Split a whole file (or one body) that is in memory; a half-written tail is refused, for nothing follows."""
    for piece in messages([frame.data], frame.name, offset=frame.offset):
        if isinstance(piece, Tail):
            rest = frame.data[piece.offset - frame.offset :]
            position = piece.position
            reason = f"{piece.reason} ({position}): kept complete messages"
            yield Rejected(frame.name, position, reason, shown(rest), rest[:MAX_MESSAGE_BYTES], piece.offset)
        else:
            yield piece


def _framing(window: Window) -> Framing:
    """Look at more and more of the head until a first message is complete in it."""
    size = _HEAD_BYTES
    while True:
        whole = not window.fill(size)
        head = window.rest()
        if whole and not head.strip(b" \t\r\n\xef\xbb\xbf"):
            return "empty"
        if looks_like_json(head):
            return "json"
        for complete in (True, False):
            for framing in _BINARY:
                if fits(memoryview(head), framing, complete=complete, ended=whole):
                    return framing
        if whole or size > MAX_MESSAGE_BYTES:
            return _incomplete(head, ended=whole)
        size *= 4


def _incomplete(head: bytes, *, ended: bool) -> Framing:
    """No message is complete: perhaps the first is still being written, or is damaged."""
    if looks_like_json(head, anywhere=True):
        return "json"
    for framing in _BINARY:
        if ended and fits(memoryview(head), framing, complete=False, ended=False, begun=True):
            return framing
    for framing in _BINARY:
        if found_back(memoryview(head), framing, ended=ended) is not None:
            return framing
    return "unknown"


def _unknown(window: Window, name: str) -> Rejected:
    data = window.rest()
    likely = recognise(data)
    found = f"looks like {likely.what}" if likely else "neither length-delimited nor bare protobuf nor JSON"
    do = (likely.hint if likely else "") or "Give telemetry as the collector's file exporter or OTLP/HTTP has it"
    return Rejected(
        name,
        f"byte {window.offset}",
        f"not OTLP: {found}. {do}",
        shown(data),
        data if window.ended and len(data) <= MAX_MESSAGE_BYTES else None,
        window.offset,
    )
