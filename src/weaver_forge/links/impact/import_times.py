"""Imports while they lasted: from trees of the history to rows with a beginning and an end, and back to a moment's.

Put here how the rows of ``core_changes__imports`` come about and what of them held at a moment. Reading trees belongs
in ``sources.git_trees``; who is reached from whom is asked of ``closures``.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.imports import CORE_CHANGES_IMPORTS

RULES = 1
"""Version of how imports are found; a higher one reads trees anew."""


def changed_rows(
    repo_id: str, at: datetime, imports: Mapping[str, frozenset[str]], open_rows: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What a tree changes, and what is open after it.

    Args:
        repo_id: The repository.
        at: When the tree was committed, after every earlier tree.
        imports: Of every Python file of the tree.
        open_rows: Rows of ``core_changes__imports`` that have no end yet.

    Returns:
        Rows to write (those that begin, and those that end with their end), and all open rows.
    """
    pairs = [(path, other) for path, others in sorted(imports.items()) for other in ("", *sorted(others))]
    now = pl.DataFrame(pairs, schema={"path": pl.String, "imported": pl.String}, orient="row")
    both = ["path", "imported"]
    instant = pl.lit(at, pl.Datetime("us"))
    begun = now.join(open_rows, on=both, how="anti").with_columns(
        repo_id=pl.lit(repo_id), known_at=instant, gone_at=pl.lit(None, pl.Datetime("us"))
    )
    ended = open_rows.join(now, on=both, how="anti").with_columns(gone_at=instant)
    begun = shaped(CORE_CHANGES_IMPORTS, begun)
    stayed = open_rows.join(now, on=both, how="semi")
    return pl.concat([begun, shaped(CORE_CHANGES_IMPORTS, ended)]), pl.concat([stayed, begun.select(stayed.columns)])


def held_at(rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Rows of ``core_changes__imports`` that held at a moment, as far as trees had been committed by then."""
    return rows.filter(pl.col("known_at") <= at, pl.col("gone_at").is_null() | (pl.col("gone_at") > at))
