"""Thresholds derived from what things cost: exact decimals in one currency, each with its formula in words.

Put a new derivation here, with the loss that it minimises. What the resulting number does is ``ruling``'s.

With p the probability of a fault, E the cost of an escape and H the cost of a wrong hold: holding costs (1 - p) H on
average, letting go costs p E, so holding is the cheaper one from p = H / (H + E) on. A person's look for R that finds
the fault is cheaper than letting go from p = R / E on. Not running a test of m minutes saves m M at a minute's price
of M and costs p E, so it pays below p = m M / E. Capacity that covers the quantile q of demand is right where a minute
too little (S) and a minute too much (C) balance: q = S / (S + C), the newsvendor's ratio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

MINUTE_MS = 60_000

WRONG_HOLD = {
    "hold_change": "delayed_change",
    "hold_deployment": "false_rollback",
    "page": "review",
}
"""Action -> what taking it wrongly costs; any other one costs a delayed change."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A number made from money.

    Args:
        value: None where money says that the threshold should not be there.
        formula: How it came about, in words and amounts.
        per_minute: The value is for one minute of test duration, and grows with it.
    """

    value: float | None
    formula: str
    per_minute: bool = False


@dataclass(frozen=True, slots=True)
class Prices:
    """Amounts by name, all in one currency."""

    currency: str
    amounts: Mapping[str, Decimal]

    def said(self, name: str) -> str:
        """An amount with its name and currency."""
        return f"{name} {_text(self.amounts[name])} {self.currency}"


def needed(key: str, action: str) -> tuple[str, ...]:
    """The amounts that a derived threshold is made from."""
    return {
        "deny_at": (WRONG_HOLD.get(action, "delayed_change"), "escape"),
        "review_at": ("review", "escape"),
        "skip_below": ("ci_minute", "escape"),
        "cover_at": ("slo_minute", "capacity_minute"),
    }[key]


def missing(prices: Prices, key: str, action: str) -> list[str]:
    """The amounts among them that are not given."""
    return [name for name in needed(key, action) if name not in prices.amounts]


def derive(prices: Prices, key: str, action: str) -> Derived | None:
    """The threshold that minimises the expected cost; None where an amount is missing or both are zero."""
    if missing(prices, key, action):
        return None
    first, second = needed(key, action)
    a, b = prices.amounts[first], prices.amounts[second]
    if key in {"deny_at", "cover_at"}:
        return _ratio(prices, first, a, second, b)
    if b == 0:
        return None
    if key == "review_at":
        value = a / b
        formula = f"{prices.said(first)} / {prices.said(second)} = {_text(value)}"
        if value >= 1:
            return Derived(None, f"{formula}: a look costs more than the escape that it could spare")
        return Derived(float(value), formula)
    value = a / b
    return Derived(float(value), f"minutes x {prices.said(first)} / {prices.said(second)}", per_minute=True)


def of_duration(derived: Derived, duration_ms: float) -> Derived:
    """A threshold per minute for a test of this length, at most 1, with its formula."""
    value = worth(derived, duration_ms)
    return Derived(value, f"{derived.formula} = {value:.4g} for {duration_ms / MINUTE_MS:.4g} minutes")


def worth(derived: Derived, duration_ms: float) -> float:
    """A threshold per minute for a test of this length, at most 1."""
    return min((derived.value or 0.0) * (duration_ms / MINUTE_MS), 1.0)


def _ratio(prices: Prices, first: str, a: Decimal, second: str, b: Decimal) -> Derived | None:
    if a + b == 0:
        return None
    value = a / (a + b)
    return Derived(
        float(value), f"{prices.said(first)} / ({prices.said(first)} + {prices.said(second)}) = {_text(value)}"
    )


def _text(amount: Decimal) -> str:
    """An amount as somebody writes it; a quotient with four digits."""
    exponent = amount.as_tuple().exponent
    short = round(amount, 4) if isinstance(exponent, int) and exponent < -6 else amount
    return f"{short.normalize():f}"
