"""The hash chain: what a link is, and making the next one. Finding what does not fit is in ``verifying``.

A link covers a batch of rows: since schema version 2 by the Merkle root over the rows' hashes, before by a hash over
them all. What the chain alone cannot show is a ledger cut off after a whole batch, or replaced by an older copy of
itself: every link left is genuine. Keep heads and daily roots somewhere else (:mod:`weaver_forge.ledger.anchors`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weaver_forge.ledger import merkle
from weaver_forge.ledger.canonical import link_sha256
from weaver_forge.ledger.schema import CHAIN
from weaver_forge.ledger.stores import Store

GENESIS = "0" * 64
"""What the first link names as the hash before it."""

MERKLE_SINCE = 2
"""Schema version whose links cover their rows by a Merkle root."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link: enough to notice later that the ledger was cut off or replaced."""

    batch_seq: int
    hash: str


def rows_sha256(row_hashes: Iterable[str], version: int) -> str:
    """What a link of this schema version says about its rows, from their hashes in order."""
    if version >= MERKLE_SINCE:
        return merkle.root(row_hashes)
    digest = hashlib.sha256()
    for row_hash in row_hashes:
        digest.update(row_hash.encode("ascii"))
    return digest.hexdigest()


def newest_link(store: Store) -> dict[str, Any] | None:
    """The newest link with all its columns."""
    names = [column.name for column in CHAIN]
    listed = ", ".join(f'"{name}"' for name in names)
    rows = store.query(f"select {listed} from chain order by batch_seq desc limit 1")  # noqa: S608 - our own names
    return dict(zip(names, rows[0], strict=True)) if rows else None


def head_of(store: Store) -> Head | None:
    """The newest link's number and hash."""
    newest = newest_link(store)
    return Head(newest["batch_seq"], newest["hash"]) if newest else None


def make_link(
    before: dict[str, Any] | None, *, kind: str, row_hashes: Sequence[str], recorded_at: str, version: int
) -> dict[str, Any]:
    """The link after ``before`` that covers rows with these hashes."""
    link: dict[str, Any] = {
        "batch_seq": (before["batch_seq"] if before else 0) + 1,
        "kind": kind,
        "n_rows": len(row_hashes),
        "schema_version": version,
        "recorded_at": recorded_at,
        "rows_sha256": rows_sha256(row_hashes, version),
        "previous_hash": before["hash"] if before else GENESIS,
    }
    return {**link, "hash": link_sha256(link)}
