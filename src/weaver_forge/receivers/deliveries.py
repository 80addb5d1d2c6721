"""Which deliveries have come before: senders repeat themselves, and one delivery is stored once.

Put here the memory of delivery ids and nothing about what they mean. It outlives a restart and stays small: the
newest ids are kept in a file beside the received envelopes, one digest a line. An id is written after its envelope is
on disk and without a sync: one that is lost with the power costs a row stored again, which its key makes the same row.
"""

import hashlib
from pathlib import Path

KEPT = 50_000
"""Ids that are remembered at least: days of a busy sender, and 1.7 MB."""


class Deliveries:
    """The newest delivery ids of one deployment.

    Args:
        path: The file; made when the first id is added.
        kept: How many ids are remembered at least; at most twice as many are.
    """

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self.path, self._kept = path, kept
        # A torn last line, of a crash while it was written, is no digest that anything could equal.
        found = path.read_text(encoding="ascii", errors="replace").split() if path.is_file() else []
        self._ids = dict.fromkeys(found[-2 * kept :])
        self._is_torn = path.is_file() and path.read_bytes()[-1:] not in {b"", b"\n"}

    def __contains__(self, key: tuple[str, ...]) -> bool:
        """Whether a delivery with this key was added."""
        return _digest(key) in self._ids

    def add(self, key: tuple[str, ...]) -> None:
        """Remember a delivery.

        Raises:
            OSError: If the file cannot be written; the id is remembered until the process ends.
        """
        digest = _digest(key)
        self._ids[digest] = None
        if len(self._ids) > 2 * self._kept:
            self._ids = dict.fromkeys(list(self._ids)[-self._kept :])
            self._rewrite()
            return
        with self.path.open("ab") as file:
            file.write(b"\n" * self._is_torn + f"{digest}\n".encode())
        self._is_torn = False

    def _rewrite(self) -> None:
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.write_text("".join(f"{digest}\n" for digest in self._ids), encoding="ascii")
        beside.replace(self.path)


def _digest(key: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()[:32]
