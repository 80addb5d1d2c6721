"""The shape of ``policy.yaml`` as structs: which keys there are, their types, ranges and meaning.

Put a new key here, and nowhere else: reading (``reading``), errors and the published JSON schema follow from the
structs. Which of several layers holds is ``effective``'s; what a key does to a verdict is ``ruling``'s.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from weaver_forge.contracts.values import Level, Scope

VERSION = 1
FROM_COSTS: Literal["from_costs"] = "from_costs"

Share = Annotated[float, Meta(ge=0, le=1, description="a share from 0 to 1")]
Precision = Annotated[float, Meta(gt=0, lt=1, description="a precision above 0 and below 1")]
Probability = Annotated[float, Meta(ge=0, le=1, description="a probability from 0 to 1")]
Hours = Annotated[float, Meta(gt=0, le=87_600, description="hours above 0 and at most 87600")]
Days = Annotated[float, Meta(gt=0, le=3_650, description="days above 0 and at most 3650")]
Minutes = Annotated[float, Meta(gt=0, le=100_000, description="minutes above 0 and at most 100000")]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
HoldoutShare = Annotated[float, Meta(ge=0.02, le=0.05, description="a share from 0.02 to 0.05")]
Text = Annotated[str, Meta(min_length=1, description="a text")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="three capital letters such as EUR")]
Amount = Annotated[Decimal, Meta(description="an amount of money, at least 0, such as 12.50 or 12.50 EUR")]
Instant = Annotated[datetime, Meta(description="a date or a date with a time, such as 2026-12-24 or 2026-12-24T18:00")]
Threshold = Probability | Literal["from_costs"] | UnsetType | None
"""Given, derived from money, or null: none, although a wider layer has one."""


class OnUnknown(StrEnum):
    """What a hook does where nothing trustworthy is known."""

    FAIL_OPEN = "fail_open"
    FAIL_CLOSED = "fail_closed"


class Weekday(StrEnum):
    """Days as the calendar of a freeze window names them, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class WithinReach(StrEnum):
    """``scopes`` may name every scope of the product, and all of them together."""

    ALL = "all"
    DEVELOPMENT = "development"
    DEPLOYMENT = "deployment"
    OPERATIONS = "operations"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """No key is ever silently ignored."""


class Costs(_Strict, frozen=True):
    """What things cost, in one currency; amounts are exact decimals.

    Args:
        currency: Of every amount in the document; an amount that names another one is refused.
        escape: A fault that reaches users because nothing held it back.
        ci_minute: A minute of CI.
        slo_minute: A minute in which a service breaks its objective.
        false_rollback: A rollback, or a deployment held, that was not needed.
        delayed_change: A change held back that was in order.
        review: A person's look at one change.
        capacity_minute: A minute of capacity that nobody used, for the unit a forecast counts in.
    """

    currency: Currency | UnsetType = UNSET
    escape: Amount | UnsetType = UNSET
    ci_minute: Amount | UnsetType = UNSET
    slo_minute: Amount | UnsetType = UNSET
    false_rollback: Amount | UnsetType = UNSET
    delayed_change: Amount | UnsetType = UNSET
    review: Amount | UnsetType = UNSET
    capacity_minute: Amount | UnsetType = UNSET


class RateLimit(_Strict, frozen=True):
    """At most so many units are acted on in the window.

    Args:
        max: Units.
        per_hours: The window, back from now.
        then: The level in force once it is used up.
    """

    max: Count
    per_hours: Hours
    then: Level = Level.ASSISTED


class BlastRadius(_Strict, frozen=True):
    """At most this much of what is decided in the window is acted on.

    Args:
        max_share: Of the units decided on in the window; one unit is always allowed.
        max_units: Units.
        per_hours: The window, back from now.
        then: The level in force once it is used up.
    """

    max_share: Share | UnsetType = UNSET
    max_units: Count | UnsetType = UNSET
    per_hours: Hours = 24.0
    then: Level = Level.ASSISTED


class Freeze(_Strict, frozen=True, rename={"from_": "from", "except_": "except"}):
    """A window in which nothing changes: a range of instants, recurring days and hours, or both together.

    Args:
        from_: First instant, on the window's wall clock unless it has an offset of its own.
        until: First instant after it.
        days: Days of the week; with hours that pass midnight, the day on which they begin.
        hours: ``HH:MM-HH:MM``; the second may be the smaller one: past midnight.
        time_zone: The wall clock that all of it is read on, such as Europe/Berlin.
        environments: Where it holds; everywhere when it names none. ``*`` matches any text.
        except_: Tags of questions that it does not hold for, such as hotfix or rollback.
        reason: Said with the verdict.
    """

    reason: Text
    from_: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    days: tuple[Weekday, ...] = ()
    hours: (
        Annotated[
            str,
            Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$", description="HH:MM-HH:MM"),
        ]
        | UnsetType
    ) = UNSET
    time_zone: Text = "UTC"
    environments: tuple[Text, ...] = ()
    except_: tuple[Text, ...] = ()


class Select(_Strict, frozen=True):
    """What ``weaver-forge select`` is to reach where nobody asks for anything else: one of the first three.

    Args:
        confidence: Share of failing runs that the selected tests have caught on past runs.
        time_minutes: Expected minutes that they may take.
        target: Share of the expected time of all tests.
        objective: What tests are ordered for; the order that is published where it says nothing.
    """

    confidence: Precision | UnsetType = UNSET
    time_minutes: Minutes | UnsetType = UNSET
    target: Share | UnsetType = UNSET
    objective: Literal["time", "failures", "budget"] | UnsetType = UNSET


class Evidence(_Strict, frozen=True):
    """How outcomes become standing; read by ``weaver_forge.autonomy``.

    Args:
        half_life_days: An outcome counts half after this long.
        enforced_half_life_days: The same for what was enforced: acting must not starve the record.
        replay_weight: What a replayed trial counts beside a live one.
        promotion_delay_hours: From proposing a promotion to the re-check at which it takes effect.
        stale_days: Without a mature trial for this long the level is withdrawn.
        drift_p: Chance at which a shift of the predicted probabilities counts as one.
        drift_distance: Least distance of the two distributions (Kolmogorov-Smirnov) that counts.
        calibration_tolerance: Bias of the predicted probabilities that is borne.
    """

    half_life_days: Days | UnsetType = UNSET
    enforced_half_life_days: Days | UnsetType = UNSET
    replay_weight: Share | UnsetType = UNSET
    promotion_delay_hours: Hours | UnsetType = UNSET
    stale_days: Days | UnsetType = UNSET
    drift_p: Precision | UnsetType = UNSET
    drift_distance: Share | UnsetType = UNSET
    calibration_tolerance: Share | UnsetType = UNSET


class Rules(_Strict, frozen=True):
    """What may be said for a scope, a decision or one of its actions. An absent key is asked of the wider layer.

    Args:
        ceiling: How far a hook may act at most, whatever has been earned. The lowest of all layers holds.
        on_unknown: What happens where the prediction is missing, stale, contradictory or not a number.
        max_age_hours: A prediction made longer ago than this is stale.
        approval_hours: How long a person's yes holds.
        review_at: Probability from which a person should look.
        deny_at: Probability from which the subject is held back, or the action is taken.
        skip_below: Probability below which a test need not run now.
        cover_at: Quantile of the forecast that capacity must cover.
        select: What a selection of tests is to reach.
        quarantine_days: How long a flaky test may be in quarantine at most.
        holdout: Share of decisions that is never enforced, so that labels stay unbiased.
        bar: Precision that the lower bound must reach for autonomous.
        supervised_bar: The same for supervised.
        rate_limit: How often a hook may act.
        blast_radius: How much it may act on.
        freeze: Windows in which nothing changes; those of all layers hold.
        protected_paths: Patterns as in .gitignore; a change to one needs a person. Those of all layers hold.
        evidence: How outcomes become standing; key by key.
        costs: Amounts that differ from the document's, key by key, in its currency.
    """

    ceiling: Level | UnsetType = UNSET
    on_unknown: OnUnknown | UnsetType = UNSET
    max_age_hours: Hours | UnsetType = UNSET
    approval_hours: Hours | UnsetType = UNSET
    review_at: Threshold = UNSET
    deny_at: Threshold = UNSET
    skip_below: Threshold = UNSET
    cover_at: Threshold = UNSET
    select: Select | UnsetType | None = UNSET
    quarantine_days: Days | UnsetType = UNSET
    holdout: HoldoutShare | UnsetType = UNSET
    bar: Precision | UnsetType = UNSET
    supervised_bar: Precision | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    blast_radius: BlastRadius | UnsetType | None = UNSET
    freeze: tuple[Freeze, ...] = ()
    protected_paths: tuple[Text, ...] = ()
    evidence: Evidence | UnsetType = UNSET
    costs: Costs | UnsetType = UNSET


class ActionPolicy(Rules, frozen=True):
    """What holds for one action of a decision."""


class DecisionPolicy(Rules, frozen=True):
    """What holds for one decision. A decision that the file does not name gets the defaults of its scope.

    Args:
        scope: Where in the life of a change its hooks stand.
        actions: Action class -> what holds for it beyond the decision.
    """

    scope: Scope = Scope.DEPLOYMENT
    actions: dict[str, ActionPolicy] = {}


class Policy(_Strict, frozen=True):
    """A whole policy document.

    Args:
        version: Version of this shape; 1.
        costs: What thresholds are derived from.
        scopes: Defaults by scope; ``all`` is the widest.
        decisions: Decision name -> what holds for it.
    """

    version: Annotated[int, Meta(ge=VERSION, le=VERSION, description=f"{VERSION}")]
    costs: Costs | UnsetType = UNSET
    scopes: dict[WithinReach, Rules] = {}
    decisions: dict[str, DecisionPolicy] = {}
