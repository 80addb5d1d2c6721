"""A file of any size as messages: position, bytes, and the tail that its writer has not finished."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode.otlp_framing import Message, split
from weaver_forge.sources.files import read_frames


@dataclass(frozen=True, slots=True)
class Tail:
    """The bytes at a file's end that stop inside a message."""

    offset: int
    n_bytes: int
    reason: str


def read_messages(path: Path, *, offset: int = 0) -> Iterator[Message | Rejected | Tail]:
    """Yield what a file holds from a byte offset on, in file order."""
    for frame in read_frames(path):
        rest = Frame(frame.name, frame.data[offset:], offset)
        for piece in split(rest):
            if isinstance(piece, Rejected) and "ends inside a message" in piece.reason:
                at = int(piece.position[5:]) if piece.position.startswith('byte ') else len(frame.data) - len(piece.raw)
                yield Tail(at, len(frame.data) - at, "the rest of the message is missing")
            elif isinstance(piece, Message) and piece.position.startswith("byte "):
                yield replace(piece, offset=int(piece.position[5:]))
            else:
                yield piece
