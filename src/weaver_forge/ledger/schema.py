"""The ledger's whole schema by version: the chain, and the tables put together. Nothing here touches a database.

Put a new table beside its like in ``tables_record`` (what was predicted, decided and seen) or ``tables_autonomy``
(what was earned and done, and the daily roots) and name it in :data:`CURRENT`. DDL is made from these values in
:mod:`weaver_forge.ledger.ddl`.
"""

from weaver_forge.ledger.declared import ROW_SHA256, STAMPS, LedgerColumn, LedgerTable, Schema, count, instant, text
from weaver_forge.ledger.tables_autonomy import ACTS, CEILINGS, ROOTS, STANDINGS, SWITCHES
from weaver_forge.ledger.tables_record import (
    APPROVALS,
    DECISIONS,
    EVALUATIONS,
    OUTCOMES,
    POLICIES,
    PREDICTIONS,
    QUARANTINES,
    SCORES,
)

__all__ = [
    "ACTS", "APPROVALS", "CEILINGS", "CHAIN", "CHAIN_INDEXES", "CURRENT", "DECISIONS", "EVALUATIONS", "OUTCOMES",
    "POLICIES", "PREDICTIONS", "QUARANTINES", "ROOTS", "ROW_SHA256", "SCORES", "STAMPS", "STANDINGS", "SWITCHES",
    "LedgerColumn", "LedgerTable", "Schema",
]  # fmt: skip

CHAIN: tuple[LedgerColumn, ...] = (
    count("batch_seq", "1, 2, 3, ... without a gap."),
    text("kind", "Table of the batch."),
    count("n_rows", "Rows in the batch, at least 1."),
    count("schema_version", "Version its rows are hashed under."),
    instant("recorded_at", "When it was appended, UTC."),
    text("rows_sha256", "Hex SHA-256 of the rows' hashes in order."),
    text("previous_hash", "hash of the link before; 64 zeros for the first."),
    text("hash", "Hex SHA-256 of the other columns as canonical JSON."),
)

CHAIN_INDEXES: tuple[tuple[int, tuple[str, ...]], ...] = ((2, ("kind", "batch_seq")),)
"""Schema version and columns of each index of the chain."""

CURRENT = Schema(
    version=4,
    tables=(
        *(PREDICTIONS, DECISIONS, APPROVALS, OUTCOMES, EVALUATIONS, SCORES, POLICIES),
        *(STANDINGS, SWITCHES, CEILINGS, ACTS, ROOTS),
        QUARANTINES,
    ),
)
