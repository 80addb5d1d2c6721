"""Files that grow, are renamed and rotated: known by the bytes they begin with, not by their names.

Put here how far into a file its content is known. What is done with the rest is its reader's business.
"""

import hashlib
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from weaver_forge.errors import SourceError

HEAD_BYTES = 4096
"""A longer known beginning is compared by this much of it first: most files differ there."""

_BLOCK = 1 << 20
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstd


@dataclass(frozen=True, slots=True)
class Known:
    """A beginning that was taken in.

    Args:
        n_bytes: Its length.
        sha256: Hex digest of exactly these bytes.
        head_sha256: Hex digest of the first ``HEAD_BYTES`` of them; None where it is shorter.
    """

    n_bytes: int
    sha256: str
    head_sha256: str | None = None


class Prefix:
    """The SHA-256 of a file's first ``n_bytes`` bytes, which can be advanced.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = hashlib.sha256()
        self.n_bytes = 0
        self.head_sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes so far."""
        return self._state.hexdigest()

    def known(self) -> Known:
        """What it stands for."""
        return Known(self.n_bytes, self.sha256, self.head_sha256)

    def sha256_with(self, piece: bytes) -> str:
        """Hex digest of the bytes so far and a piece after them."""
        state = self._state.copy()
        state.update(piece)
        return state.hexdigest()

    def advance(self, to: int, opened: IO[bytes] | None = None) -> None:
        """Hash on, up to ``to`` bytes from the file's beginning.

        Args:
            to: How far.
            opened: The file, where its reader has to be sure that it is still the same; else it is opened here.

        Raises:
            SourceError: If the file is shorter: somebody cut it while it was read.
        """
        if opened is not None:
            self._advance(to, opened)
            return
        with self._path.open("rb", buffering=0) as file:
            self._advance(to, file)

    def _advance(self, to: int, file: IO[bytes]) -> None:
        file.seek(self.n_bytes)
        while self.n_bytes < to:
            stop = HEAD_BYTES if self.n_bytes < HEAD_BYTES <= to else to
            block = file.read(min(_BLOCK, stop - self.n_bytes))
            if not block:
                raise SourceError(
                    f"the file ends at byte {self.n_bytes}, before byte {to} that was read already",
                    where=str(self._path),
                    do="It was cut while it was read: run the same command again",
                )
            self._state.update(block)
            self.n_bytes += len(block)
            if self.n_bytes == HEAD_BYTES:
                self.head_sha256 = self._state.hexdigest()

    def copy(self) -> Self:
        """The same, advanced independently."""
        other = copy(self)
        vars(other)["_state"] = self._state.copy()
        return other


def known_prefix(path: Path, candidates: Iterable[Known]) -> Prefix:
    """The longest beginning of a file that is among the candidates; of no bytes where none is.

    One pass over the file, up to the longest candidate that its first bytes leave possible.
    """
    size = path.stat().st_size
    possible = [known for known in candidates if 0 < known.n_bytes <= size]
    walked = Prefix(path)
    if size >= HEAD_BYTES and any(known.head_sha256 for known in possible):
        head = Prefix(path)
        head.advance(HEAD_BYTES)
        possible = [known for known in possible if known.head_sha256 in {None, head.head_sha256}]
    digests: dict[int, set[str]] = {}
    for known in possible:
        digests.setdefault(known.n_bytes, set()).add(known.sha256)
    longest = walked.copy()
    for n_bytes in sorted(digests):
        walked.advance(n_bytes)
        if walked.sha256 in digests[n_bytes]:
            longest = walked.copy()
    return longest


def is_compressed(path: Path) -> bool:
    """Whether a file is compressed as a whole: what is appended to it is no continuation of what it says."""
    with path.open("rb") as file:
        return file.read(4).startswith(_COMPRESSED)
