"""The plan: all items, which of them the budget buys, and what could not be said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from weaver_forge.insights.evolution import from_insights, hot_spots
from weaver_forge.insights.evolution.choosing import chosen
from weaver_forge.insights.evolution.item import HOURS, Item
from weaver_forge.insights.finding import DAY_S, Report
from weaver_forge.insights.hypothesis import Rows
from weaver_forge.policy import Policy, effective

BUDGET_HOURS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan.

    Args:
        items: All, those that are chosen first, then by expected hours for an hour.
        is_chosen: Whether each is chosen.
        budget_hours: What it was chosen for, with what is bound.
        bound_hours: Of these, what was carried out before takes.
        missing: What could not be counted, in words.
    """

    items: tuple[Item, ...]
    is_chosen: tuple[bool, ...]
    budget_hours: float
    bound_hours: float
    missing: tuple[str, ...]


def plan(
    report: Report,
    ask: Callable[[str], Rows],
    present: Sequence[str],
    *,
    policy: Policy,
    holding: Sequence[str],
    budget_hours: float = BUDGET_HOURS,
    bound_hours: float = 0.0,
) -> Plan:
    """Make the plan.

    Args:
        report: What intelligence found.
        ask: Runs a query on the snapshot.
        present: Tables that there are.
        policy: The deployment's.
        holding: Decisions that may hold a change back.
        budget_hours: Of people, a month.
        bound_hours: What was carried out before and still holds takes of it.

    Raises:
        UsageError: If the budget is not one.
    """
    days = max((report.until - report.since).total_seconds() / DAY_S, 1.0)

    def protects(decision: str) -> Sequence[str]:
        return effective(policy, decision).protected_paths

    counted, missing = hot_spots.items(
        ask,
        present,
        since=report.since,
        days=days,
        protects=protects,
        holding=[name for name in holding if name in policy.decisions],
    )
    items = _once([*from_insights.items(report.insights), *counted])
    picked = set(chosen(items, budget_hours, bound_hours))
    order = sorted(range(len(items)), key=lambda i: (i not in picked, -_rate(items[i])))
    return Plan(
        items=tuple(items[i] for i in order),
        is_chosen=tuple(i in picked for i in order),
        budget_hours=budget_hours,
        bound_hours=bound_hours,
        missing=(*missing, *(f"{each.name}: {each.missing}" for each in report.families if each.missing)),
    )


def plan_data(made: Plan) -> dict[str, Any]:
    """The plan as plain data."""
    items = [{**item.as_data(), "is_chosen": each} for item, each in zip(made.items, made.is_chosen, strict=True)]
    return {
        "items": items,
        "budget_hours": made.budget_hours,
        "bound_hours": made.bound_hours,
        "effort_hours": sum(item["effort_hours"] for item in items if item["is_chosen"]),
        "hours_that_one_costs": dict(HOURS),
        "missing": list(made.missing),
    }


def _rate(item: Item) -> float:
    return (item.effect.hours or -1.0) / item.effort_hours


def _once(items: list[Item]) -> list[Item]:
    """Two insights may suggest the same thing: the one that is expected to bring more stands."""
    best: dict[str, Item] = {}
    for item in items:
        known = best.get(item.item_id)
        if known is None or (item.effect.hours or 0.0) > (known.effect.hours or 0.0):
            best[item.item_id] = item
    return list(best.values())
