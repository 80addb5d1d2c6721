"""Cost charges as exported -> the core table: the same money, and when it became known."""

from datetime import timedelta

import polars as pl

from weaver_forge.contracts.tables.cost import CORE_COST_CHARGES

EXPORT_LAG = timedelta(days=1)
"""Providers refresh their exports at least daily: a charge is in one a day after its period has ended."""


def core_cost(raw: pl.DataFrame) -> pl.DataFrame:
    """One row a charge of ``raw_focus__charges``.

    A charge is known a day after its period ended, or when the file came if that was earlier, but never before
    the period has ended. The day is assumed because a file's own time says when the last restatement came, not
    when the charge was first there; without it an old export would tell a replay nothing.
    """
    ended = pl.col("charge_period_end")
    known = pl.max_horizontal(ended, pl.min_horizontal("received_at", ended + EXPORT_LAG))
    return raw.with_columns(known_at=known).select(CORE_COST_CHARGES.column_names)
