"""What acting would have saved and cost, in minutes and money: exact decimals in the policy's currency.

Put here what each action is compared with: holding back with letting everything through, skipping with running
everything. An escape costs once a decision unit, whatever number of failures escaped with it; a review costs a look and
finds the fault, as in the derivation of ``review_at``. An amount that is needed and not given leaves the sum unknown.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from weaver_forge.autonomy.accounting import CAUGHT, ESCAPED, bucket
from weaver_forge.contracts.values import Verdict
from weaver_forge.policy.money import MINUTE_MS, WRONG_HOLD, Prices

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Minutes and money; None where not known, with the reason in ``note``.

    Args:
        minutes: Of running that would have been spared; None where the action spares none.
        n_without_duration: Subjects spared whose duration nobody measured; they count as 0 minutes.
        saved: Money that acting spares.
        lost: Money that acting costs.
        against: What it is compared with.
    """

    against: str
    minutes: Decimal | None = None
    n_without_duration: int = 0
    saved: Decimal | None = None
    lost: Decimal | None = None
    currency: str = ""
    note: str = ""

    @property
    def net(self) -> Decimal | None:
        """Saved less lost."""
        return None if self.saved is None or self.lost is None else self.saved - self.lost

    def as_data(self) -> dict[str, Any]:
        """For JSON; amounts are texts, so that no digit is lost."""
        return {
            "against": self.against,
            "minutes": None if self.minutes is None else str(self.minutes),
            "n_without_duration": self.n_without_duration,
            "saved": None if self.saved is None else str(self.saved),
            "lost": None if self.lost is None else str(self.lost),
            "net": None if self.net is None else str(self.net),
            "currency": self.currency,
            "note": self.note,
        }


def of_skipping(rows: pl.DataFrame, prices: Prices) -> Saved:
    """What leaving tests for later would have spared.

    Args:
        rows: Subjects with is_acted, is_covered, unit, cost (the measured duration in ms), outcome, maturity and
            link_method.
        prices: Amounts of the policy.
    """
    skipped = rows.filter(pl.col("is_acted"))
    ms = skipped["cost"].fill_null(0.0).fill_nan(0.0).sum()
    minutes = (Decimal(round(ms)) / MINUTE_MS).quantize(_CENT)
    n_escaped = rows.filter(bucket() == ESCAPED)["unit"].n_unique()
    saved, lost, note = _sums(prices, [("ci_minute", minutes)], [("escape", Decimal(n_escaped))])
    return Saved(
        against="running every test",
        minutes=minutes,
        n_without_duration=int(skipped["cost"].is_null().sum()),
        saved=saved,
        lost=lost,
        currency=prices.currency,
        note=note,
    )


def of_holding(rows: pl.DataFrame, prices: Prices, action: str, *, review_only: bool = False) -> Saved:
    """What holding units back, or having a person look at them, would have spared.

    Args:
        rows: Subjects with unit, verdict, is_acted, is_covered, outcome, maturity and link_method.
        prices: Amounts of the policy.
        action: Says what a wrong one costs.
        review_only: The action stops nothing (a page): it costs a person's look, and what it spares is not known.
    """
    held = (
        rows.with_columns(bucket())
        .filter(pl.col("is_acted"))
        .group_by("unit", "predicted_at")
        .agg(
            is_right=(pl.col("bucket") == CAUGHT).any(),
            is_known=(pl.col("maturity") == "mature").all(),
            verdict=pl.col("verdict").first(),
        )
    )
    is_review = pl.col("verdict") == Verdict.REVIEW.value
    n_right = held.filter(pl.col("is_right")).height
    n_wrong = held.filter(~pl.col("is_right"), pl.col("is_known"), ~is_review).height
    n_reviews = held.filter(is_review).height
    wrong = WRONG_HOLD.get(action, "delayed_change")
    if review_only:
        _, lost, note = _sums(prices, [], [("review", Decimal(held.height))])
        return Saved(
            against="paging nobody",
            lost=lost,
            currency=prices.currency,
            note=note or "what a page spares is not in the policy",
        )
    saved, lost, note = _sums(
        prices, [("escape", Decimal(n_right))], [(wrong, Decimal(n_wrong)), ("review", Decimal(n_reviews))]
    )
    return Saved(against="letting everything through", saved=saved, lost=lost, currency=prices.currency, note=note)


def _sums(
    prices: Prices, gains: list[tuple[str, Decimal]], losses: list[tuple[str, Decimal]]
) -> tuple[Decimal | None, Decimal | None, str]:
    """Both sums in cents; None with the reason where an amount is needed that the policy does not give."""
    absent = sorted({name for name, n in (*gains, *losses) if n and name not in prices.amounts})
    if absent:
        return None, None, f"{', '.join(f'costs.{name}' for name in absent)} not in the policy"

    def total(parts: list[tuple[str, Decimal]]) -> Decimal:
        return sum((prices.amounts[name] * n for name, n in parts if n), Decimal(0)).quantize(_CENT)

    return total(gains), total(losses), ""
