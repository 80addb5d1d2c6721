"""A growing file on its way in, and the pieces of it that are decoded together.

Reading such files, and noting how far they are in, belongs in ``streaming``.
"""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from assets.raw.books import REFUSED, Request, Row
from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import Message, Tail
from weaver_forge.errors import SourceError
from weaver_forge.sources.prefix import Prefix


@dataclass(slots=True, kw_only=True)
class Growing:
    """A file on its way in.

    Args:
        prefix: What of it is taken in; of a compressed file all of it, whose inside is told by offsets.
        start: Where in what it holds the reading begins.
        size: As it was before it was read, like ``modified_at``.
        resolves: Under what digest a tail was refused that is no longer cut off.
        noted: What was noted of it last, as a digest.
        stat: Of the file, before anything of it was read.
        head: The first bytes of a compressed file.
        is_new: Nothing of it was known before.
        lost: Why no more of it can be noted: it is gone, or another file has its name.
        same: Another file with the same in it was noted while it was read.
    """

    request: Request
    prefix: Prefix
    compressed: bool
    start: int
    size: int
    modified_at: datetime | None
    resolves: str = ""
    noted: str = ""
    stat: os.stat_result
    head: bytes = b""
    is_new: bool = False
    lost: SourceError | None = None
    same: bool = False

    def check(self, opened: IO[bytes], taken: int) -> None:
        """Make sure that a file under the same name is the one that was read, of which ``taken`` bytes are in.

        A path is opened more than once on the way in. What was put in its place meanwhile was not read: to note its
        bytes as known would be to lose them.

        Raises:
            SourceError: If it is another file, or was cut.
        """
        was, now = self.stat, os.fstat(opened.fileno())
        same = (was.st_dev, was.st_ino) == (now.st_dev, now.st_ino) and was.st_mtime_ns <= now.st_mtime_ns
        if not same or now.st_size < taken:
            raise SourceError(
                "the file was replaced or cut while it was read: what was read of it is stored",
                where=str(self.request.path),
                do="Run the same command again to take in what has its name now",
            )

    def place(self, item: Rejected) -> str:
        """A digest of a refused piece and of where it is: the same however its file is cut, copied or moved."""
        piece = item.data if item.data is not None else item.raw.encode()
        if not self.compressed and self.lost is None:
            return self.prefix.sha256_with(piece)
        head = self.head if self.compressed else str(self.request.path).encode()
        return hashlib.sha256(b"%b%d\0%b" % (head, item.offset or 0, piece)).hexdigest()


@dataclass(slots=True)
class Chunk:
    """Messages of one file that are decoded together.

    Args:
        end: How many bytes of the file are taken in with it.
        tail: What follows them, where the file ends inside a message.
        last: The file has no more.
    """

    file: Growing
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    end: int = 0
    tail: Tail | None = None
    last: bool = False


def refused_tail(file: Growing, row: Row | None) -> str:
    """The digest under which a tail was refused that has grown to a whole message since; empty without one."""
    if row is None or row["tail_state"] != REFUSED:
        return ""
    if file.compressed:
        return file.place(Rejected("", "", "", offset=file.start))
    if file.start + row["tail_bytes"] >= file.size:
        return ""
    through = file.prefix.copy()
    through.advance(file.start + row["tail_bytes"])
    return through.sha256
