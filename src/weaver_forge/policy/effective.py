"""What holds for one decision and action: the layers of a policy put over each other, defaults below.

Put here which layer wins. Wide to narrow: built in, scope ``all``, the decision's scope, the decision, the action. The
narrowest that says something holds; of ceilings the lowest, and freeze windows and protected paths of all layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, structs

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.policy import money
from weaver_forge.policy.document import (
    FROM_COSTS,
    BlastRadius,
    DecisionPolicy,
    Freeze,
    OnUnknown,
    Policy,
    RateLimit,
    Rules,
    Select,
    WithinReach,
)
from weaver_forge.policy.money import Derived, Prices

if TYPE_CHECKING:
    from decimal import Decimal

THRESHOLDS = ("review_at", "deny_at", "skip_below", "cover_at")
DEFAULT_BAR = {"skip_tests": 0.99}
"""A skipped failure is found late, a change held wrongly at once: skipping must be surer."""

_RANK = {level: place for place, level in enumerate(Level)}

_LAYERS: dict[str, Any] = {
    "on_unknown": OnUnknown.FAIL_OPEN,
    "max_age_hours": 24.0,
    "approval_hours": 24.0,
    "select": None,
    "quarantine_days": 30.0,
    "holdout": 0.03,
    "bar": 0.95,
    "supervised_bar": 0.80,
    "rate_limit": None,
    "blast_radius": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRule:
    """How outcomes become standing; see ``document.Evidence``."""

    half_life_days: float = 90.0
    enforced_half_life_days: float = 365.0
    replay_weight: float = 0.25
    promotion_delay_hours: float = 24.0
    stale_days: float = 30.0
    drift_p: float = 0.001
    drift_distance: float = 0.3
    calibration_tolerance: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for a decision and action. Every key has a value; ``origin`` says which layer it is from.

    Args:
        thresholds derived from money stand in ``derived`` with their formula, beside a given number too.
        origin: Key -> layer in the document's own words; a key that is absent here is built in.
    """

    decision: str
    action: str = ""
    is_named: bool = False
    scope: Scope = Scope.DEPLOYMENT
    ceiling: Level = Level.ASSISTED
    on_unknown: OnUnknown = OnUnknown.FAIL_OPEN
    max_age_hours: float = 24.0
    approval_hours: float = 24.0
    review_at: float | None = None
    deny_at: float | None = None
    skip_below: float | None = None
    cover_at: float | None = None
    select: Select | None = None
    quarantine_days: float = 30.0
    holdout: float = 0.03
    bar: float = 0.95
    supervised_bar: float = 0.80
    rate_limit: RateLimit | None = None
    blast_radius: BlastRadius | None = None
    freeze: tuple[Freeze, ...] = ()
    protected_paths: tuple[str, ...] = ()
    evidence: EvidenceRule = field(default_factory=EvidenceRule)
    prices: Prices = field(default_factory=lambda: Prices("", {}))
    derived: Mapping[str, Derived] = field(default_factory=dict)
    from_costs: frozenset[str] = frozenset()
    origin: Mapping[str, str] = field(default_factory=dict)


def effective(policy: Policy, decision: str, action: str = "", scope: Scope | None = None) -> Rule:
    """Put the layers over each other.

    Args:
        policy: The document.
        decision: Its name; one that is not in the document has the defaults of its scope.
        action: Action class; empty for the decision as a whole.
        scope: Where the hook stands, if that is not the decision's own.
    """
    named = policy.decisions.get(decision)
    within = scope or (named or DecisionPolicy()).scope
    layers = _layers(policy, named, decision, action, within)
    prices = _prices(policy, layers)
    values, origin = _merged(layers)
    if "bar" not in origin:
        values["bar"] = DEFAULT_BAR.get(action, values["bar"])
    made = {key: money.derive(prices, key, action) for key in THRESHOLDS} if prices.amounts else {}
    derived = {key: number for key, number in made.items() if number is not None}
    from_costs = frozenset(key for key in THRESHOLDS if values[key] == FROM_COSTS)
    for key in from_costs:
        values[key] = derived[key].value if key in derived else None
    return Rule(
        decision=decision,
        action=action,
        is_named=named is not None,
        scope=within,
        prices=prices,
        derived=derived,
        from_costs=from_costs,
        origin=origin,
        **values,
    )


def lowest(*levels: Level) -> Level:
    """The level that allows least."""
    return min(levels, key=_RANK.__getitem__)


def _layers(
    policy: Policy, named: DecisionPolicy | None, decision: str, action: str, scope: Scope
) -> list[tuple[str, Rules]]:
    """Name and rules of every layer that there is, widest first."""
    found: list[tuple[str, Rules]] = [
        (f"scopes.{name}", policy.scopes[name])
        for name in (WithinReach.ALL, WithinReach(str(scope)))
        if name in policy.scopes
    ]
    if named is not None:
        found.append((decision, named))
        if action in named.actions:
            found.append((f"{decision}.actions.{action}", named.actions[action]))
    return found


def _merged(layers: Sequence[tuple[str, Rules]]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {**_LAYERS, **dict.fromkeys(THRESHOLDS), "ceiling": Level.ASSISTED}
    origin: dict[str, str] = {}
    evidence: dict[str, float] = {}
    for name, rules in layers:
        for key in (*_LAYERS, *THRESHOLDS):
            said = getattr(rules, key)
            if said is not UNSET:
                values[key], origin[key] = said, name
        if rules.ceiling is not UNSET and (
            "ceiling" not in origin or lowest(values["ceiling"], rules.ceiling) != values["ceiling"]
        ):
            values["ceiling"], origin["ceiling"] = rules.ceiling, name
        if rules.evidence is not UNSET:
            given = {key: said for key, said in structs.asdict(rules.evidence).items() if said is not UNSET}
            evidence |= given
            origin |= {f"evidence.{key}": name for key in given}
    values["evidence"] = EvidenceRule(**evidence)
    values["freeze"] = tuple(window for _, rules in layers for window in rules.freeze)
    values["protected_paths"] = tuple(pattern for _, rules in layers for pattern in rules.protected_paths)
    return values, origin


def _prices(policy: Policy, layers: Sequence[tuple[str, Rules]]) -> Prices:
    amounts: dict[str, Decimal] = {}
    currency = ""
    for costs in (policy.costs, *(rules.costs for _, rules in layers)):
        if costs is UNSET:
            continue
        said = structs.asdict(costs)
        stated = said.pop("currency")
        currency = currency or ("" if stated is UNSET else stated)
        amounts |= {name: amount for name, amount in said.items() if amount is not UNSET}
    return Prices(currency, amounts)
