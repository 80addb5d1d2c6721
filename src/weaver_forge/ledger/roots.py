"""Daily roots: one Merkle root over the chain's links since the root before, itself a row under the chain.

Put here the making of a root and the reading of those made; checking them is in ``verifying``.

The day of a root is that of the newest link it covers. It is made by the first append, or ``seal``, whose clock says
a later day; a day has one root at most. Clocks of writers may differ: what a slow one still records under a day
that has its root is covered by the next root, so that every link is covered once and in order, whatever the clocks.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from weaver_forge.ledger import merkle
from weaver_forge.ledger.canonical import instant_of
from weaver_forge.ledger.identity import uuid7
from weaver_forge.ledger.schema import ROOTS, Schema
from weaver_forge.ledger.stores import Row, Store

Query = Callable[..., list[Row]]
"""A store's ``query`` or a ledger's ``select``."""


@dataclass(frozen=True, slots=True)
class Root:
    """A daily root as it is recorded.

    Args:
        batch_seq: The link that covers the row of the root itself.
    """

    day: str
    first_batch: int
    last_batch: int
    n_rows: int
    merkle_root: str
    batch_seq: int


def recorded(query: Query) -> list[Root]:
    """All roots in the order of the chain."""
    rows = query(
        "select day, first_batch, last_batch, n_rows, merkle_root, batch_seq from roots order by batch_seq, position"
    )
    return list(starmap(Root, rows))


def covering(query: Query, batch_seq: int) -> Root | None:
    """The root that covers a link; None where its day has not ended yet."""
    rows = query(
        "select day, first_batch, last_batch, n_rows, merkle_root, batch_seq from roots "
        "where first_batch <= :b and last_batch >= :b order by batch_seq limit 1",
        {"b": batch_seq},
    )
    return Root(*rows[0]) if rows else None


def due(store: Store, schema: Schema, newest: dict[str, Any] | None, now: str) -> dict[str, Any] | None:
    """The row of the root that is due before anything is recorded at ``now``; None where none is.

    Within the head lock. Costs a comparison of two texts unless a day has ended.

    Args:
        store: The ledger's database.
        schema: Its schema.
        newest: The newest link.
        now: Canonical instant.
    """
    if newest is None or ROOTS not in schema.present or newest["kind"] == ROOTS.kind:
        return None  # nothing but a root stands since the root before: a quiet ledger grows no roots of roots
    day = str(newest["recorded_at"])[:10]
    if day >= now[:10] or store.query("select 1 from roots where day = :day", {"day": day}):
        return None
    last = store.query("select last_batch from roots order by batch_seq desc, position desc limit 1")
    first_batch = (last[0][0] if last else 0) + 1
    tree, n_rows = merkle.Tree(), 0
    sql = "select hash, n_rows from chain where batch_seq >= :first order by batch_seq"
    for link_hash, n in store.stream(sql, {"first": first_batch}):
        tree.add(link_hash)
        n_rows += n
    return {
        "root_id": uuid7(instant_of(now), os.urandom(10)),
        "day": day,
        "first_batch": first_batch,
        "last_batch": newest["batch_seq"],
        "n_rows": n_rows,
        "merkle_root": tree.root(),
        "made_at": now,
    }
