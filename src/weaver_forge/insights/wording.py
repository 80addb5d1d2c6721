"""Numbers in words, the same in every family. No cause is claimed, here or anywhere: "goes with", never "because"."""

from weaver_forge.insights.intervals import Effect

MONTH_DAYS = 30.0


def percent(value: float) -> str:
    """``12 %``; small ones with a digit more."""
    scaled = 100.0 * value
    if 0 < abs(scaled) < 0.1:
        return f"{scaled:.2g} %"
    return f"{scaled:.1f} %" if abs(scaled) < 10 else f"{scaled:.0f} %"


def ends(effect: Effect) -> str:
    """``8.1 % to 14 %``."""
    return f"{percent(effect.low)} to {percent(effect.high)}"


def points(effect: Effect) -> str:
    """``8.9 to 42 points``: of a difference of two shares."""
    return f"{100 * effect.low:.2g} to {100 * effect.high:.2g} points"


def plural(n: int, noun: str) -> str:
    """``1 day``, ``2 days``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def milliseconds(value: float) -> str:
    """In the unit that reads best."""
    if value >= 120_000:
        return f"{value / 60_000:.1f} min"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.3g} ms"


def lacking(n: int, m: int, noun: str) -> str:
    """``insufficient data: 9 of 14 days``; empty where there is enough."""
    return f"insufficient data: {n:,} of {m:,} {noun}" if n < m else ""
