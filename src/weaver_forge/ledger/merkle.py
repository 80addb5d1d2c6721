"""RFC 6962's Merkle tree (section 2.1): the root over hashes in order, and the path from one of them to it. Pure.

A leaf is hashed with a zero byte before it and a node with a one, so that neither can be taken for the other. A
leaf here is itself a SHA-256, of a row or of a link, as its 32 bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence

Step = tuple[str, str]
"""Side on which the other hash stands (``left`` or ``right``), and that hash in hex."""

EMPTY = hashlib.sha256().hexdigest()
"""The root over nothing."""


class Tree:
    """The root over hashes that come one by one; memory grows with the logarithm of their number."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, value: str) -> None:
        """Take the next hash in, as hex."""
        height, node = 0, _leaf(bytes.fromhex(value))
        while self._peaks and self._peaks[-1][0] == height:
            node = _node(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))

    def root(self) -> str:
        """The root over all that came, as hex."""
        if not self._peaks:
            return EMPTY
        node = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            node = _node(peak, node)
        return node.hex()


def root(values: Iterable[str]) -> str:
    """The root over hashes in order, hex to hex."""
    tree = Tree()
    for value in values:
        tree.add(value)
    return tree.root()


def path(values: Sequence[str], place: int) -> list[Step]:
    """The hashes that lead from one of these to their root, lowest first.

    Raises:
        IndexError: If there is no hash at that place.
    """
    if not 0 <= place < len(values):
        raise IndexError(f"no hash {place} among {len(values)}")
    level = [_leaf(bytes.fromhex(value)) for value in values]
    steps: list[Step] = []
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            steps.append(("left" if beside < place else "right", level[beside].hex()))
        paired = [_node(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]  # the odd one out goes up as it is
        place //= 2
    return steps


def climb(value: str, steps: Iterable[Sequence[str]]) -> str:
    """Follow a path up from a hash; equals the root if, and only if, the hash stands where the path says."""
    node = _leaf(bytes.fromhex(value))
    for side, other in steps:
        beside = bytes.fromhex(other)
        node = _node(beside, node) if side == "left" else _node(node, beside)
    return node.hex()


def _leaf(value: bytes) -> bytes:
    return hashlib.sha256(b"\0" + value).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
