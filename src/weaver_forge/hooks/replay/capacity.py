"""What capacity at an upper quantile of the forecast would have cost, and how often it would have fallen short.

Put here the accounting of quantities: they have no caught and escaped, only too much and too little. A judged point
counts for one minute of what the forecast counts in; quantiles between those that were predicted are interpolated.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from weaver_forge.autonomy.sequential import ALPHA, lower_bound
from weaver_forge.contracts.values import Maturity
from weaver_forge.policy.money import Prices

LEVELS = ((0.025, "q_025"), (0.1, "q_100"), (0.5, "value"), (0.9, "q_900"), (0.975, "q_975"))
HIGHEST = LEVELS[-1][0]
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Capacity against load.

    Args:
        level: The quantile that capacity followed.
        n: Points whose load is known.
        n_short: Points at which the load exceeded it.
        short_upper: One-sided time-uniform upper bound of the share that falls short, counted by units and days,
            which are the independent evidence; None below ``needed``.
        idle: Sum of capacity that nobody used, in the forecast's unit times points.
        idle_share: Of the load.
        cost: Idle capacity and short minutes in money; None where an amount is missing.
    """

    level: float
    n: int
    n_short: int
    n_open: int
    short_upper: float | None
    text: str
    idle: float
    idle_share: float | None
    cost: Decimal | None
    currency: str
    note: str = ""

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        names = [name for name in self.__slots__ if name != "cost"]
        return {**{name: getattr(self, name) for name in names}, "cost": None if self.cost is None else str(self.cost)}


def capacity(rows: pl.DataFrame, level: float | None, prices: Prices, *, needed: int) -> Capacity:
    """Follow the quantile at every point.

    Args:
        rows: Predictions with value, quantiles, outcome, maturity and cluster.
        level: The quantile to cover; the highest predicted one where none is asked for.
        prices: Amounts of the policy: slo_minute for a minute too little, capacity_minute for one too much.
        needed: Clusters below which no bound is given.
    """
    asked = HIGHEST if level is None else level
    covered = min(max(asked, LEVELS[0][0]), HIGHEST)
    known = rows.filter(pl.col("maturity") == Maturity.MATURE.value).with_columns(_at(covered).alias("capacity"))
    known = known.filter(pl.col("capacity").is_not_null(), pl.col("outcome").is_not_null()).with_columns(
        is_short=pl.col("outcome") > pl.col("capacity"),
        idle=(pl.col("capacity") - pl.col("outcome")).clip(lower_bound=0.0),
    )
    shares = known.group_by("cluster").agg(share=pl.col("is_short").mean())["share"]
    n, n_short = known.height, int(known["is_short"].sum())
    idle, load = (float(known[name].sum()) for name in ("idle", "outcome"))
    upper = None
    text = f"insufficient data: {len(shares)} of {needed}"
    if len(shares) >= needed:
        wrong = float(shares.sum())
        upper = 1.0 - float(lower_bound(len(shares) - wrong, wrong, alpha=ALPHA))
        text = f"{n_short / n:.1%}, at most {upper:.1%} of a series' day on average, n = {len(shares)}"
    cost, note = _cost(prices, idle, n_short)
    if asked != covered:
        note = f"the quantile {asked:g} is not predicted: {covered:g} stands in" + (f"; {note}" if note else "")
    return Capacity(
        level=covered,
        n=n,
        n_short=n_short,
        n_open=rows.height - n,
        short_upper=upper,
        text=text,
        idle=idle,
        idle_share=idle / load if load else None,
        cost=cost,
        currency=prices.currency,
        note=note,
    )


def _at(level: float) -> pl.Expr:
    """The forecast's quantile of this level; null where those around it were not predicted."""
    for (low, below), (high, above) in pairwise(LEVELS):
        if low <= level <= high:
            part = (level - low) / (high - low)
            if part in {0.0, 1.0}:
                return pl.col(above if part else below)
            return pl.col(below) + part * (pl.col(above) - pl.col(below))
    raise ValueError(f"{level} is none of the predicted quantiles")


def _cost(prices: Prices, idle: float, n_short: int) -> tuple[Decimal | None, str]:
    absent = [f"costs.{name}" for name in ("capacity_minute", "slo_minute") if name not in prices.amounts]
    if absent:
        return None, f"{' and '.join(absent)} not in the policy"
    spent = prices.amounts["capacity_minute"] * Decimal(str(round(idle, 3)))
    return (spent + prices.amounts["slo_minute"] * n_short).quantize(_CENT), ""
