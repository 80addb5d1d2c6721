"""The level that an action class has earned: proposed and promoted slowly, taken back at once.

Put here the order of events from one assessment to the next. Numbers come from ``sequential``, trials from
``trials``, what a policy asks from the caller.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import polars as pl

from weaver_forge.autonomy import sequential
from weaver_forge.autonomy.promises import WORSE_AT, weighed
from weaver_forge.autonomy.trials import Floats, Trials
from weaver_forge.contracts.values import Level, Origin

LEVELS = (Level.ASSISTED, Level.SUPERVISED, Level.AUTONOMOUS)
"""From the least to the most."""

LOOKED_BACK = 500
"""Newest live trials in which a stretch that speaks against the level is looked for."""

BIASED_AT = 1000.0
"""The e-value at which probabilities are taken to be off."""


class Cause(StrEnum):
    """What made a standing what it is."""

    EVIDENCE = "evidence"
    PRECISION = "precision"
    CALIBRATION = "calibration"
    DRIFT = "drift"
    STALENESS = "staleness"
    DECAY = "decay"
    CEILING = "ceiling"
    SWITCH = "switch"


_COUNTS_ANEW = frozenset({Cause.PRECISION, Cause.CALIBRATION, Cause.DRIFT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a policy asks of an action class.

    Args:
        ceiling: The most it may have.
        bar: Precision whose lower bound makes it autonomous.
        supervised_bar: The same for supervised; at most ``bar``.
        alpha: Chance that a precision at the bar passes it, over all looks.
        half_life: After which a trial counts half.
        enforced_half_life: The same where the hook acted; longer, so that acting does not starve the record.
        promotion_delay: Between a promotion's proposal and the earliest assessment that may make it.
        stale_after: Age of the newest mature trial, or of the newest data, from which nothing counts as known.
        calibration_tolerance: How far probabilities may be off.
        drift_distance: Kolmogorov-Smirnov distance from which what comes in is not what earned the level.
        drift_p: Chance at which such a distance is none.
    """

    ceiling: Level
    bar: float = 0.95
    supervised_bar: float = 0.80
    alpha: float = sequential.ALPHA
    half_life: timedelta = timedelta(days=90)
    enforced_half_life: timedelta = timedelta(days=365)
    promotion_delay: timedelta = timedelta(hours=24)
    stale_after: timedelta = timedelta(days=30)
    calibration_tolerance: float = 0.05
    drift_distance: float = 0.3
    drift_p: float = 0.001

    def bar_of(self, level: Level) -> float:
        """The bar of a level above assisted."""
        return self.bar if level is Level.AUTONOMOUS else self.supervised_bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an action class has earned at one assessment.

    Args:
        level: In force from now on, unless policy or the kill switch say less.
        proposed: A higher level that the evidence would carry and that waits to be confirmed; else None.
        proposed_at: Since when it has been proposed.
        cause: What decided.
        reason: The same in words, with its numbers.
        n: Trials behind the bound, weighted by origin and age.
        n_right: Those of them that came out right.
        n_mature: Trials as they are counted by hand.
        n_replay: Those of them that are from replayed history.
        n_needed: Trials that the next level needs if all further ones come out right; None at the highest.
        bound: Time-uniform lower bound of the precision.
        next_bar: Bar of the next level; None at the highest.
        counts_from: Trials known before do not count: since the last demotion for what they showed.
        oldest_at: When the oldest trial that counts became known.
        newest_at: When the newest mature trial became known.
        earned_until: Trials known until then carried the promotion; what comes in is compared with those.
    """

    level: Level
    proposed: Level | None = None
    proposed_at: datetime | None = None
    cause: Cause = Cause.EVIDENCE
    reason: str = ""
    n: float = 0.0
    n_right: float = 0.0
    n_mature: int = 0
    n_replay: int = 0
    n_needed: int | None = None
    bound: float = 0.0
    next_bar: float | None = None
    counts_from: datetime | None = None
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    earned_until: datetime | None = None


NOTHING_EARNED = Standing(level=Level.ASSISTED, reason="no trial yet")


def assess(trials: Trials, before: Standing, terms: Terms, *, now: datetime, halted: str = "") -> Standing:
    """Look again: what the evidence carries now, and which step follows from it.

    Args:
        trials: All trials of the action class.
        before: The standing of the assessment before; :data:`NOTHING_EARNED` at the first.
        terms: What policy asks.
        now: Naive UTC; trials known later do not count.
        halted: Why the kill switch is on; empty where it is off.
    """
    known = trials.mature.filter(pl.col("known_at") <= now)
    if before.counts_from is not None:
        known = known.filter(pl.col("known_at") > before.counts_from)
    measured = _measured(known, before, terms, now)
    doubt = _switched_off(terms, halted) or _doubt(known, trials, before, terms, now)
    if doubt is not None:
        return _without_trust(measured, doubt, terms, now)
    carried = _carried(measured.bound, terms)
    if _rank(carried) < _rank(before.level):
        return _lowered(measured, carried, before, terms)
    if _rank(carried) > _rank(before.level):
        return _raised(measured, carried, before, terms, now)
    said = _progress(measured, before.level)
    return replace(measured, level=before.level, reason=said, earned_until=before.earned_until)


def _measured(known: pl.DataFrame, before: Standing, terms: Terms, now: datetime) -> Standing:
    """Counts and bound; the lower of two bounds, of which the first never forgets and the second only what is new.

    The first holds at all times together, as every weight is fixed when a trial is seen. The second lets old evidence
    go. Whoever needs both to pass a bar passes it wrongly no more often than the first alone.
    """
    right = known["right"].to_numpy()
    weight = known["weight"].to_numpy()
    faded = weight * _fading(known, terms, now)
    counts = [(float((w * right).sum()), float((w * (1 - right)).sum())) for w in (weight, faded)]
    bounds = sequential.lower_bound(*np.transpose(counts), alpha=terms.alpha)
    s, f = counts[int(np.argmin(bounds))]
    upper = _next(before.level)
    bar = terms.bar_of(upper) if upper is not None else None
    more = sequential.trials_needed(bar, s, f, alpha=terms.alpha) if bar is not None else None
    return replace(
        before,
        proposed=None,
        proposed_at=None,
        cause=Cause.EVIDENCE,
        n=s + f,
        n_right=s,
        n_mature=known.height,
        n_replay=known.filter(pl.col("origin") == Origin.REPLAY).height,
        n_needed=None if more is None else math.ceil(s + f) + more,
        bound=float(np.min(bounds)),
        next_bar=bar,
        oldest_at=_instant(known["known_at"].min()),
        newest_at=_newest(known),
    )


def _newest(known: pl.DataFrame) -> datetime | None:
    return _instant(known["known_at"].max())


def _instant(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _fading(known: pl.DataFrame, terms: Terms, now: datetime) -> Floats:
    age = (pl.lit(now) - pl.col("known_at")).dt.total_seconds(fractional=True)
    half = (
        pl.when("is_enforced").then(terms.enforced_half_life.total_seconds()).otherwise(terms.half_life.total_seconds())
    )
    return known.select(0.5 ** (age / half)).to_series().to_numpy()


@dataclass(frozen=True, slots=True)
class _Doubt:
    cause: Cause
    reason: str


def _switched_off(terms: Terms, halted: str) -> _Doubt | None:
    if halted:
        return _Doubt(Cause.SWITCH, f"the kill switch is on: {halted}")
    if terms.ceiling is Level.ASSISTED:
        return _Doubt(Cause.CEILING, "the ceiling is assisted")
    return None


def _doubt(known: pl.DataFrame, trials: Trials, before: Standing, terms: Terms, now: datetime) -> _Doubt | None:
    """Why nothing may rest on the record now; None where nothing speaks against it."""
    if before.level is Level.ASSISTED and before.proposed is None:
        return None
    live = known.filter(pl.col("origin") != Origin.REPLAY).tail(LOOKED_BACK)
    bar = terms.bar_of(before.level if before.level is not Level.ASSISTED else before.proposed or Level.SUPERVISED)
    return (
        _worse(live, bar)
        or _biased(live, terms)
        or _drift(known, trials.recent_probability, before, terms)
        or _staleness(known, trials.data_as_of, terms, now)
    )


def _worse(live: pl.DataFrame, bar: float) -> _Doubt | None:
    evidence, length = sequential.worst_stretch(live["right"].to_numpy(), bar)
    if evidence < math.log(WORSE_AT):
        return None
    wrong = length - float(live["right"].tail(length).sum())
    return _Doubt(
        Cause.PRECISION, f"{wrong:.3g} of the last {length} trials came out wrong: the precision is below {bar:g}"
    )


def _biased(live: pl.DataFrame, terms: Terms) -> _Doubt | None:
    chance, share = live["probability"].to_numpy(), live["share"].to_numpy()
    if sequential.bias_evidence(chance, share, terms.calibration_tolerance) < math.log(BIASED_AT):
        return None
    return _Doubt(
        Cause.CALIBRATION,
        f"its probabilities are off by more than {terms.calibration_tolerance:g}: predicted"
        f" {chance.mean():.3f}, came out {share.mean():.3f} in {live.height} trials",
    )


DRIFT_LEAST, DRIFT_MOST = 50, 2000
"""Trials on either side from which what comes in may be held to be other than what earned the level, and the newest
of the latter that it is compared with."""


def _drift(known: pl.DataFrame, recent: Floats, before: Standing, terms: Terms) -> _Doubt | None:
    if before.earned_until is None:
        return None
    carried = known.filter(pl.col("known_at") <= before.earned_until)["probability"]
    earned = carried.drop_nulls().tail(DRIFT_MOST).to_numpy()
    if min(len(earned), len(recent)) < DRIFT_LEAST:
        return None
    from scipy import stats  # slow to load, and most deployments have nothing to compare yet

    found = stats.ks_2samp(earned, recent, method="asymp")  # the exact way fails where many are equal, loudly
    if found.statistic < terms.drift_distance or found.pvalue > terms.drift_p:
        return None
    return _Doubt(
        Cause.DRIFT,
        f"the newest {len(recent)} probabilities are not like the {len(earned)} that earned the level"
        f" (Kolmogorov-Smirnov distance {found.statistic:.2f})",
    )


def _staleness(known: pl.DataFrame, data_as_of: datetime | None, terms: Terms, now: datetime) -> _Doubt | None:
    for newest, what in ((_newest(known), "trial became known"), (data_as_of, "data behind a prediction came in")):
        if newest is not None and now - newest > terms.stale_after:
            days = (now - newest) / timedelta(days=1)
            return _Doubt(Cause.STALENESS, f"the newest {what} {days:.0f} days ago")
    return None


def _without_trust(measured: Standing, doubt: _Doubt, terms: Terms, now: datetime) -> Standing:
    """Assisted, and where the record itself spoke against the level, all trials count anew."""
    fallen = replace(measured, level=Level.ASSISTED, cause=doubt.cause, reason=doubt.reason, earned_until=None)
    if doubt.cause is Cause.CEILING and measured.next_bar is not None:
        return replace(fallen, reason=f"{doubt.reason}; {_counted(measured)}")
    if doubt.cause not in _COUNTS_ANEW:
        return fallen
    needed = sequential.trials_needed(terms.supervised_bar, alpha=terms.alpha)
    return replace(
        fallen, n=0.0, n_right=0.0, n_mature=0, n_replay=0, n_needed=needed, bound=0.0,
        next_bar=terms.supervised_bar, counts_from=now, oldest_at=None,
    )  # fmt: skip


def _lowered(measured: Standing, carried: Level, before: Standing, terms: Terms) -> Standing:
    if _rank(before.level) > _rank(terms.ceiling) and carried is terms.ceiling:
        return replace(measured, level=carried, cause=Cause.CEILING, reason=f"the ceiling is {carried}")
    bar = terms.bar_of(before.level)
    return replace(
        measured,
        level=carried,
        cause=Cause.DECAY,
        reason=f"the lower bound {measured.bound:.3f} no longer reaches {bar:g}, which {before.level} needs",
        earned_until=before.earned_until if carried is not Level.ASSISTED else None,
    )


def _raised(measured: Standing, carried: Level, before: Standing, terms: Terms, now: datetime) -> Standing:
    """A promotion that was proposed long enough ago and still holds; else the proposal."""
    confirmed = min(carried, before.proposed, key=_rank) if before.proposed is not None else before.level
    since = before.proposed_at
    if since is not None and _rank(confirmed) > _rank(before.level) and now - since >= terms.promotion_delay:
        reason = f"the lower bound {measured.bound:.3f} reached {terms.bar_of(confirmed):g} and still did when checked"
        return replace(measured, level=confirmed, reason=reason, earned_until=now)
    waits = since is not None and before.proposed is not None and _rank(before.proposed) <= _rank(carried)
    return replace(
        measured,
        level=before.level,
        proposed=before.proposed if waits else carried,
        proposed_at=since if waits else now,
        reason=f"{carried} is proposed: the lower bound {measured.bound:.3f} reaches {terms.bar_of(carried):g};"
        " checked again before it takes effect",
        earned_until=before.earned_until,
    )


def _carried(bound: float, terms: Terms) -> Level:
    """The highest level that a bound carries, at most the ceiling."""
    reached = [level for level in LEVELS[1:] if bound >= terms.bar_of(level)]
    return min(max([Level.ASSISTED, *reached], key=_rank), terms.ceiling, key=_rank)


def _next(level: Level) -> Level | None:
    """The level above, beyond the ceiling too: whoever thinks of raising it wants to know what has been shown."""
    above = [other for other in LEVELS if _rank(level) < _rank(other)]
    return above[0] if above else None


def _progress(measured: Standing, level: Level) -> str:
    return f"{level}: {_counted(measured)}"


def _counted(measured: Standing) -> str:
    of = f" of {measured.n_needed}" if measured.n_needed is not None else ""
    return f"{weighed(measured.n)}{of} trials, lower bound {measured.bound:.3f}"


def _rank(level: Level) -> int:
    return LEVELS.index(level)
