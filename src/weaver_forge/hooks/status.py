"""The figures of ``status``, each from the record and the published snapshot, or in words why there is none.

Put here which figures there are and what stands between a reader and each: no ledger, a damaged one, no decision.
Where the record lacks rows that its chain speaks of, no figure is shown: what is left of it proves nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from weaver_forge.hooks.acts import State as Acted
from weaver_forge.hooks.status_health import health_of
from weaver_forge.hooks.status_points import ACTIVE, COVERAGE, COVERED, IN_FORCE, active, coverage
from weaver_forge.hooks.status_services import billed, changes, has_p95
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.insights.status_effects import FASTER, LOG_RATIO, PREVENTED, SAVED, Unit, improved, prevented, saved
from weaver_forge.insights.status_figure import Figure, not_estimable, of_parts, unknown
from weaver_forge.insights.status_health import HEALTH, SHARE
from weaver_forge.ledger import queries_status as queries
from weaver_forge.ledger.queries_status_units import units

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

Group = tuple[str, str, str, str]
"""Decision, entity, action and hook; the hook is empty where none has acted yet."""

_UNITS, _MONEY = "units that did not go wrong", "money"


def figures(sight: Sight) -> list[Figure]:
    """The six, in the order in which they are shown."""
    if sight.ledger is None:
        return [unknown(name, unit, sight.no_ledger) for name, unit, _ in FIGURES]
    with sight.ledger.one_view():
        if why := queries.damage(sight.ledger):
            return [unknown(name, unit, why) for name, unit, _ in FIGURES]
        return [make(sight.ledger, sight) for _, _, make in FIGURES]


def prevented_incidents(ledger: "Reading", sight: Sight) -> Figure:
    """What the holdout shows to have been prevented, by decision, action and hook."""
    if not sight.specs:
        return unknown(PREVENTED, _UNITS, f"what an action prevents is not known: {sight.no_snapshot}")
    parts = []
    for (decision, entity, action, hook), found in sorted(_groups(ledger, sight).items()):
        about = {"decision": decision, "entity": entity, "action": action, "hook": hook}
        if (on := _on(sight, decision, entity, action)) == "high":
            parts.append(prevented(about, found))
        elif on == "upper":
            why = "whether capacity fell short of the load is not in the record"
            parts.append(not_estimable(PREVENTED, _UNITS, why, about=about))
        elif not on:
            parts.append(not_estimable(PREVENTED, _UNITS, _NOT_CATALOGUED, about=about))
    if not _has_decisions(ledger, sight):
        return unknown(PREVENTED, _UNITS, f"no decision is on record {sight.reach}", components=tuple(parts))
    many = "one incident may be stopped by several hooks, so that the parts must not be added up: see each"
    return of_parts(PREVENTED, _UNITS, parts, none="no action that prevents anything is catalogued", many=many)


def cost_savings(ledger: "Reading", sight: Sight) -> Figure:
    """What is realized and can be held against a bill, by decision, action, hook, currency and price."""
    if not _has_decisions(ledger, sight):
        return unknown(SAVED, _MONEY, f"no decision is on record {sight.reach}")
    if sight.snapshot is None:
        return unknown(SAVED, _MONEY, f"what was billed is not known: {sight.no_snapshot}")
    bills = billed(sight.snapshot, sight.window.since, sight.window.now)
    if not bills:
        return unknown(SAVED, _MONEY, f"no charge is on record {sight.since}: import FOCUS exports")
    parts = []
    for (decision, entity, action, hook), found in sorted(_groups(ledger, sight).items()):
        about = {"decision": decision, "entity": entity, "action": action, "hook": hook}
        on = _on(sight, decision, entity, action)
        if on == "low":  # what skips work: the one kind whose minutes are measured on both sides
            parts += [saved({**about, "currency": currency}, some, bills) for currency, some in _by_price(found)]
        else:
            why = {"high": _NO_BILL, "upper": _NO_COUNTERFACTUAL}.get(on, _NOT_CATALOGUED)
            parts.append(not_estimable(SAVED, _MONEY, why, about=about))
    many = "they are in several currencies or of several actions and prices, and are not added up: see each"
    parts.sort(key=lambda part: part.why in {_NO_BILL, _NO_COUNTERFACTUAL, _NOT_CATALOGUED})
    return of_parts(SAVED, _MONEY, parts, none="no action is catalogued", many=many)


def performance_improvement(ledger: "Reading", sight: Sight) -> Figure:
    """How p95 changed where something was done to a service, against services that nothing was done to."""
    acts = [row for row in queries.newest_acts(ledger) if row["state"] in {Acted.DONE, Acted.UNDONE}]
    on_services = [
        {"service_key": row["subject"]["service_key"], "made_at": row["made_at"]}
        for row in acts
        if (row["subject"] or {}).get("service_key") and sight.window.scope in {queries.ALL, row["scope"]}
    ]
    if not acts and not _has_decisions(ledger, sight):
        return unknown(FASTER, LOG_RATIO, f"no decision and no act is on record {sight.reach}")
    if sight.snapshot is None or not has_p95(sight.snapshot):
        why = sight.no_snapshot if sight.snapshot is None else "no p95 of a service is published: no traces"
        return unknown(FASTER, LOG_RATIO, why)
    if not any(act["made_at"] >= sight.window.since for act in on_services):
        return not_estimable(FASTER, LOG_RATIO, f"no hook did anything to a service {sight.reach}")
    return improved(changes(sight.snapshot, on_services, sight.window.since, sight.window.now))


def _has_decisions(ledger: "Reading", sight: Sight) -> bool:
    return bool(queries.points(ledger, sight.window))


def _groups(ledger: "Reading", sight: Sight) -> dict[Group, list[Unit]]:
    """Units by decision, entity, action and hook; a catalogued action without any has an empty list."""
    clusters = {
        (name, kind["entity"]): kind.get("judged_per") or ()
        for name, spec in sight.specs.items()
        for kind in spec["kinds"]
    }
    found: dict[Group, list[Unit]] = {}
    for row, unit in units(ledger, queries.allowed(ledger, sight.window), clusters, sight.window.now):
        key = (row["decision"], row["entity"], row["action"] or "", row["hook"])
        found.setdefault(key, []).append(unit)
    seen = {key[:3] for key in found}
    return found | {(*key, ""): [] for key in _catalogued(sight) if key not in seen}


def _catalogued(sight: Sight) -> Iterator[tuple[str, str, str]]:
    for name, spec in sight.specs.items():
        for kind in spec["kinds"]:
            for action in kind.get("actions", ()):
                yield name, kind["entity"], action["name"]


def _on(sight: Sight, decision: str, entity: str, action: str) -> str:
    """Where an action is taken; empty for one that is not in the catalogue."""
    for kind in sight.specs.get(decision, {}).get("kinds", ()):
        for known in kind.get("actions", ()):
            if (kind["entity"], known["name"]) == (entity, action):
                return str(known["on"])
    return ""


def _by_price(found: Sequence[Unit]) -> list[tuple[str, list[Unit]]]:
    """Units of one currency and price together; nothing is ever added up across either."""
    if not found:
        return [("", [])]
    groups: dict[tuple[str, Any], list[Unit]] = {}
    for unit in found:
        groups.setdefault((unit.currency, unit.price), []).append(unit)
    return [(currency, some) for (currency, _), some in groups.items()]


_NO_BILL = "what a prevented escape would have cost is an amount of the policy, not a bill; see prevented_incidents"
_NOT_CATALOGUED = "the catalogue does not say what the action does"
_NO_COUNTERFACTUAL = "no charge names what the same services would have cost without it"

FIGURES: tuple[tuple[str, str, Callable[["Reading", Sight], Figure]], ...] = (
    (HEALTH, SHARE, health_of),
    (COVERAGE, COVERED, coverage),
    (ACTIVE, IN_FORCE, active),
    (PREVENTED, _UNITS, prevented_incidents),
    (SAVED, _MONEY, cost_savings),
    (FASTER, LOG_RATIO, performance_improvement),
)
"""Name, unit and how each figure is made."""
