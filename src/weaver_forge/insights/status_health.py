"""Health: what the loop is made of, and the weakest of it.

There is no weighting: a mean of unlike things hides the one that is broken. Where an input is missing or stale, the
whole is unknown, because nothing that rests on it can be believed. Put here how components become the whole; where they
come from is ``hooks.status``'s.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from weaver_forge.insights.status_figure import NEEDED, Figure, State, insufficient, measured, unknown
from weaver_forge.insights.status_intervals import wilson

HEALTH = "health"
SHARE = "of 1"


def age(name: str, at: datetime | None, now: datetime, limit: timedelta, *, missing: str) -> Figure:
    """How old an input is; unknown where it is missing or older than it may be.

    Args:
        name: Of the input.
        at: Its newest data; None where there is none.
        now: Naive UTC.
        limit: From which it is stale.
        missing: What to say where there is none.
    """
    if at is None:
        return unknown(name, "h old", missing)
    hours = (now - at) / timedelta(hours=1)
    if now - at > limit:
        most = limit / timedelta(hours=1)
        return unknown(name, "h old", f"stale: {hours:,.0f} h old, {most:,.0f} h at most", evidence={"newest_at": at})
    return measured(name, "h old", (hours, hours, hours), evidence={"newest_at": at})


def share(name: str, good: int, n: int, n_of: str, *, missing: str, needed: int = NEEDED) -> Figure:
    """Good ones of all, with Wilson's interval.

    Args:
        name: Of the component.
        good: How many are good.
        n: Of how many.
        n_of: What they are.
        missing: What to say where there are none.
        needed: Below which there is no share.
    """
    if not n:
        return unknown(name, SHARE, missing)
    if n < needed:
        return insufficient(name, SHARE, n, needed, n_of)
    return measured(name, SHARE, (good / n, *wilson(good, n)), n=n, n_of=n_of, evidence={"good": good})


def health(components: Sequence[Figure]) -> Figure:
    """The weakest share, and unknown or insufficient as soon as one component is."""
    lacking = [part for part in components if part.state is not State.MEASURED]
    lacking.sort(key=lambda part: part.state is State.INSUFFICIENT)
    if lacking:
        first, more = lacking[0], f" (and {len(lacking) - 1} more components)" if len(lacking) > 1 else ""
        parts = tuple(components)
        if first.state is State.INSUFFICIENT and first.n_needed is not None:
            n_of = f"{first.n_of} ({first.name})"
            return insufficient(HEALTH, SHARE, first.n, first.n_needed, n_of, components=parts)
        return unknown(HEALTH, SHARE, f"{first.name}: {first.why}{more}", components=parts)
    shares = [part for part in components if part.unit == SHARE]
    if not shares:
        return unknown(HEALTH, SHARE, "nothing is on record that could be healthy", components=tuple(components))
    weakest = min(shares, key=lambda part: part.value or 0.0)
    assert weakest.value is not None
    assert weakest.low is not None
    assert weakest.high is not None
    return measured(
        HEALTH,
        SHARE,
        (weakest.value, weakest.low, weakest.high),
        n=weakest.n,
        n_of=weakest.n_of,
        why=f"the weakest of {len(shares)} components: {weakest.name}",
        components=tuple(components),
    )
