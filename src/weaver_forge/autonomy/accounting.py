"""Caught, escaped, unstable: what became of real failures under a policy, with a bound on how many escape.

The one accounting of the product: a replay counts what a policy would have done, the ledger what hooks did, both here.

* caught: a real failure that was stopped or run;
* escaped: a real failure that was let through or skipped;
* unstable: flaky, or attempts that disagreed: it is neither.

Failures of one decision unit come together and are no independent evidence, nor are neighbouring units of one cluster
(windows of one service on one day). The escape rate is therefore one of clusters: each counts by the share of its
failing units from which anything escaped. Its upper bound is time-uniform, as everything that is looked at more than
once has to be (``sequential``): wrong at any time with a probability of at most 5 %; a bound for a single look (Clopper
and Pearson) would be a little lower and would not hold for who replays again tomorrow.
"""

from dataclasses import dataclass

import polars as pl

from weaver_forge.autonomy.sequential import ALPHA, lower_bound
from weaver_forge.contracts.decision import FLAKY
from weaver_forge.contracts.values import Maturity

NEEDED = 30
"""Clusters with a real failure below which there is no rate: the same as for every other figure of the ledger."""

ROWS = pl.Schema(
    {
        "unit": pl.String(),
        "cluster": pl.String(),
        "is_covered": pl.Boolean(),
        "outcome": pl.Float64(),
        "maturity": pl.String(),
        "link_method": pl.String(),
    }
)
"""What is counted: a row a subject. ``is_covered``: stopped or run, so that a failure would have been noticed."""

CAUGHT, ESCAPED, UNSTABLE = "caught", "escaped", "unstable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EscapeRate:
    """How often something escapes, of clusters in which something failed for real.

    Args:
        n: Clusters with a real failure.
        escaped: Those from which something escaped; a part of one where only some of its units let something through.
        rate: None below ``needed``.
        upper: One-sided time-uniform upper bound; None below ``needed``.
        text: The same in words.
    """

    n: int
    escaped: float
    rate: float | None
    upper: float | None
    needed: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The three buckets, in subjects, and what they say in decision units.

    Args:
        n_mature: Subjects whose outcome is known.
        failing_units: Units with a real failure, of which ``escaped_units`` let at least one through.
    """

    n_mature: int
    n_pending: int
    n_unresolvable: int
    caught: int
    escaped: int
    unstable: int
    failing_units: int
    escaped_units: int
    escape_rate: EscapeRate


def account(rows: pl.DataFrame, *, needed: int = NEEDED, alpha: float = ALPHA) -> Account:
    """Count subjects into the buckets.

    Args:
        rows: In the shape of :data:`ROWS`; further columns do not matter.
        needed: Clusters below which no rate is given.
        alpha: Chance that the bound is ever too low.
    """
    counted = rows.with_columns(bucket())
    n = dict(counted.group_by("bucket").len().iter_rows())
    units = (
        counted.filter(pl.col("bucket").is_in([CAUGHT, ESCAPED]))
        .group_by("cluster", "unit")
        .agg(escaped=(pl.col("bucket") == ESCAPED).any())
    )
    states = dict(rows.group_by("maturity").len().iter_rows())
    return Account(
        n_mature=states.get(Maturity.MATURE, 0),
        n_pending=states.get(Maturity.PENDING, 0) + states.get(None, 0),
        n_unresolvable=states.get(Maturity.UNRESOLVABLE, 0),
        caught=n.get(CAUGHT, 0),
        escaped=n.get(ESCAPED, 0),
        unstable=n.get(UNSTABLE, 0),
        failing_units=units.height,
        escaped_units=int(units["escaped"].sum()),
        escape_rate=_rate(units, needed, alpha),
    )


def bucket() -> pl.Expr:
    """``bucket``: caught, escaped or unstable; null for what did not fail or is not known."""
    is_known = pl.col("maturity") == Maturity.MATURE.value
    failed = is_known & (pl.col("outcome") == 1)
    return (
        pl.when(is_known & is_unstable())
        .then(pl.lit(UNSTABLE))
        .when(failed & pl.col("is_covered"))
        .then(pl.lit(CAUGHT))
        .when(failed)
        .then(pl.lit(ESCAPED))
        .otherwise(pl.lit(None, pl.String))
        .alias("bucket")
    )


def is_unstable() -> pl.Expr:
    """Whether a label says flaky: both outcomes on one subject."""
    return pl.col("link_method").str.ends_with(FLAKY).fill_null(value=False)


def _rate(units: pl.DataFrame, needed: int, alpha: float) -> EscapeRate:
    clusters = units.group_by("cluster").agg(share=pl.col("escaped").mean())
    n, escaped = clusters.height, float(clusters["share"].sum())
    said = {"n": n, "escaped": escaped, "needed": needed}
    if n < needed:
        return EscapeRate(**said, rate=None, upper=None, text=f"insufficient data: {n} of {needed}")  # type: ignore[arg-type] # numbers by name
    upper = 1.0 - float(lower_bound(n - escaped, escaped, alpha=alpha))
    text = f"{escaped / n:.1%}, at most {upper:.1%}, n = {n}"
    return EscapeRate(**said, rate=escaped / n, upper=upper, text=text)  # type: ignore[arg-type] # numbers by name
