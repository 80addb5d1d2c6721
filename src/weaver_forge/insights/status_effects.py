"""What acting changed: incidents prevented, money saved, services made faster; against what was left alone.

Put here estimates of an effect from units that are already put together. Prevented incidents and savings rest on the
holdout: units that would have been acted on and were not, by lot. Everything else about them is alike, so that the
difference is the effect of acting. Who was drawn is compared with **all** others that acting was allowed for, whether
or not a budget or a person then stood in the way (intention to treat): leaving those out would compare unlike units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from statistics import fmean

from weaver_forge.insights.status_figure import Figure, insufficient, measured, not_estimable
from weaver_forge.insights.status_intervals import difference, mean_difference, median_of, share_of

HELD_OUT_NEEDED = 10
"""Units of the holdout with a known outcome below which there is no number. With 10 the interval is wide, and right: a
score interval holds for few units, and at 3 % held out 30 would ask for a thousand."""

TIMED_NEEDED = 20
"""The same where minutes are compared: they are skewed, and a mean takes more units than a share."""

LOST = 0.05
"""Share of units of one side whose outcome nobody will know, above which the sides cannot be compared."""

SERVICES_NEEDED = 6
"""Services below which no interval of a median reaches 95 %."""

PREVENTED, SAVED, FASTER = "prevented_incidents", "cost_savings", "performance_improvement"
LOG_RATIO = "log-ratio of p95 after to before, against untouched services (below 0: faster)"
CENT = Decimal("0.01")


class Known(StrEnum):
    """What is known of how a unit turned out."""

    GOOD = "good"
    BAD = "bad"
    PENDING = "pending"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One decision unit at one hook that the action would have been taken on, with a level above assisted in force.

    Args:
        name: The unit.
        cluster: Units of one cluster are no independent evidence of each other.
        is_held_out: Drawn into the holdout: not acted on.
        known: How it turned out.
        minutes: What it took, where that is measured; 0 where nothing ran.
        price: What a minute costs under the policy that it was decided by; None where that does not say.
        currency: Of the price.
    """

    name: str
    cluster: str
    is_held_out: bool
    known: Known
    minutes: float | None = None
    price: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a service's p95 changed around one action on it.

    Args:
        log_ratio: Of the service, after to before.
        untouched: The same of each service that no action touched at the time.
    """

    service: str
    log_ratio: float
    untouched: Sequence[float]


def prevented(about: Mapping[str, str], units: Sequence[Unit]) -> Figure:
    """(rate in held-out - rate in treated) x treated, of units whose outcome is known.

    Args:
        about: Decision, entity, action and hook.
        units: All that the action was allowed for.
    """
    name, unit = PREVENTED, "units that did not go wrong"
    counts = _counts(units)
    said = {"about": about, "evidence": counts}
    if why := _no_comparison(units):
        return not_estimable(name, unit, why, **said)
    held, treated = _known(units, held_out=True), _known(units, held_out=False)
    if why := _lost(units):
        return not_estimable(name, unit, why, n=len(held) + len(treated), n_of="units", **said)
    if len(held) < HELD_OUT_NEEDED:
        return insufficient(name, unit, len(held), HELD_OUT_NEEDED, "held-out units with a known outcome", **said)
    if not treated:
        return not_estimable(name, unit, "no outcome of a treated unit is known yet", n=len(held), **said)
    rate_held, rate_treated = (share_of((u.cluster, u.known is Known.BAD) for u in side) for side in (held, treated))
    low, high = (end * len(treated) for end in difference(rate_held, rate_treated)[1:])
    value = (rate_held.value - rate_treated.value) * len(treated)
    why = (
        f"{rate_held.value:.1%} of {len(held)} held out went wrong, {rate_treated.value:.1%} of {len(treated)} treated"
    )
    rates = {
        "rate_held_out": rate_held.value, "rate_treated": rate_treated.value,
        "n_held_out_effective": rate_held.n_effective, "n_treated_effective": rate_treated.n_effective,
        "method": "Newcombe 1998, method 10; design effect of clusters",
    }  # fmt: skip
    return measured(
        name, unit, (value, low, high), n=len(held) + len(treated), n_of="units", about=about,
        why=why,
        evidence={**counts, **rates},
    )  # fmt: skip


def saved(about: Mapping[str, str], units: Sequence[Unit], billed: Mapping[str, Decimal]) -> Figure:
    """(minutes held out - minutes treated) x treated x the price of a minute, of one currency and price.

    What treated units ran later counts as run: moved is not saved. Never more than was billed.

    Args:
        about: Decision, entity, action, hook and billing currency.
        units: All that the action was allowed for, of one price.
        billed: Currency -> what was billed for the time.
    """
    name, unit = SAVED, next((u.currency for u in units if u.currency), "money")
    counts = _counts(units)
    said = {"about": about, "evidence": counts}
    if why := _no_comparison(units):
        return not_estimable(name, unit, why, **said)
    price = units[0].price
    if price is None:
        return not_estimable(name, unit, "the policy they were decided by gives no price of a CI minute", **said)
    if unit not in billed:
        why = f"no charge in {unit} is on record for the time, so that nothing shows it stays below what was billed"
        return not_estimable(name, unit, why, **said)
    held, treated = (
        [u.minutes for u in units if u.is_held_out is side and u.known is not Known.PENDING and u.minutes is not None]
        for side in (True, False)
    )
    if unmeasured := sum(u.known is not Known.PENDING and u.minutes is None for u in units):
        why = f"how long {unmeasured} of {len(units)} units took was not measured"
        return not_estimable(name, unit, why, n=len(held) + len(treated), n_of="units", **said)
    if min(len(held), len(treated)) < TIMED_NEEDED:
        side, n = ("held-out", len(held)) if len(held) <= len(treated) else ("treated", len(treated))
        return insufficient(name, unit, n, TIMED_NEEDED, f"{side} units whose minutes are known", **said)
    minutes = [end * len(treated) for end in mean_difference(held, treated)]
    ends = [(Decimal(repr(end)) * price).quantize(CENT) for end in minutes]
    value, low, high = (min(end, billed[unit]) for end in ends)
    capped = "; cut off at what was billed" if (value, low, high) != tuple(ends) else ""
    why = f"{fmean(held):.4g} minutes a held-out unit, {fmean(treated):.4g} a treated one, {price} {unit} a minute"
    return measured(
        name, unit, (value, low, high), n=len(held) + len(treated), n_of="units", why=why + capped, about=about,
        evidence={**counts, "minutes": minutes, "price": price, "billed": billed[unit], "method": _TIMED},
    )  # fmt: skip


def improved(changes: Sequence[Change]) -> Figure:
    """The median over services of how much more their p95 changed than that of untouched ones; each counts once."""
    name, unit = FASTER, LOG_RATIO
    compared: dict[str, list[float]] = {}
    for change in changes:
        if change.untouched:
            control = sorted(change.untouched)
            middle = (control[(len(control) - 1) // 2] + control[len(control) // 2]) / 2
            compared.setdefault(change.service, []).append(change.log_ratio - middle)
    if changes and not compared:
        return not_estimable(name, unit, "at no time was there an untouched service to compare with", n=len(changes))
    effects = {service: fmean(found) for service, found in compared.items()}
    found = median_of(list(effects.values()))
    evidence = {"n_actions": len(changes), "services": effects, "method": "order statistics of the sign test"}
    if found is None:
        n_of = "services with p95 before and after an action"
        return insufficient(name, unit, len(effects), SERVICES_NEEDED, n_of, evidence=evidence)
    return measured(name, unit, found, n=len(effects), n_of="services", evidence=evidence)


def _counts(units: Sequence[Unit]) -> dict[str, int]:
    found = {"n_held_out": 0, "n_treated": 0, "n_pending": 0, "n_lost": 0}
    for unit in units:
        found["n_held_out" if unit.is_held_out else "n_treated"] += 1
        found["n_pending"] += unit.known is Known.PENDING
        found["n_lost"] += unit.known is Known.LOST
    return found


def _no_comparison(units: Sequence[Unit]) -> str:
    """Why there are no two sides; empty where there are."""
    if all(unit.is_held_out for unit in units):
        return "nothing was acted on: the level was assisted, or no prediction called for it"
    if not any(unit.is_held_out for unit in units):
        n = len(units)
        return f"no unit of {n} was held out, so that nobody knows what would have happened without acting"
    return ""


def _known(units: Sequence[Unit], *, held_out: bool) -> list[Unit]:
    return [u for u in units if u.is_held_out is held_out and u.known in {Known.GOOD, Known.BAD}]


def _lost(units: Sequence[Unit]) -> str:
    """Why the known ones do not speak for all; empty where they do."""
    for held_out, side in ((True, "held-out"), (False, "treated")):
        settled = [u for u in units if u.is_held_out is held_out and u.known is not Known.PENDING]
        lost = sum(u.known is Known.LOST for u in settled)
        if lost > LOST * len(settled):
            return f"how {lost} of {len(settled)} {side} units turned out nobody will know"
    return ""


_TIMED = "Welch, the spread of the held-out side at least that of the treated one"
