"""What a decoder returns: the good rows as tables, and the rejected rest with the reason for each."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

VARYING = r"(byte|bytes|character|line|column|row) [0-9]+|'[^']*'"
"""What differs between reasons of one kind: where it is, and the value that is quoted. Read by Python and DuckDB."""

_VARYING = re.compile(VARYING)


def kind_of_reason(reason: str) -> str:
    """A reason without what differs from piece to piece: pieces of one kind are told together."""
    return _VARYING.sub(r"\1 *", reason)


@dataclass(frozen=True, slots=True)
class Frame:
    """One unit of input bytes: a whole small file, or one message of a large one.

    Args:
        name: Where it came from, for messages (a path).
        offset: Byte offset of the frame in that file.
    """

    name: str
    data: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A piece of input that could not be stored, and why. Nothing is dropped without one of these.

    Args:
        name: The file or repository.
        position: Line, row, byte offset or element, in words ("line 3", "byte 1024").
        reason: What is wrong and, where there is one, what to do.
        raw: The refused piece itself, cut to 4,000 characters; bytes are shown escaped.
        data: The whole refused bytes (at most 64 MiB), where the piece can be decoded again by itself; None
            where it cannot, or where it is too large to keep.
        offset: Byte offset of the piece in the (decompressed) file, where that is known.
    """

    name: str
    position: str
    reason: str
    raw: str = ""
    data: bytes | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of decoding: one polars frame a raw table name, and the rejected pieces.

    Args:
        tables: ``{table name: rows}``; columns are exactly the contract's. A table without rows may be absent.
        rejected: One entry a refused piece.
        notes: Things a person should know that refuse nothing ("shallow clone", "12 results without a revision").
    """

    tables: "dict[str, pl.DataFrame]" = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
