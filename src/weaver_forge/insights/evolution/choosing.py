"""Choosing what a budget of hours is best spent on: a small knapsack, solved exactly.

Only items with an estimable benefit are weighed; of the others nobody can say what an hour on them brings, so that they
are shown beside and never crowd out what was measured.
"""

import math
from collections.abc import Sequence

from weaver_forge.errors import UsageError
from weaver_forge.insights.evolution.item import Item

STEP_HOURS = 0.25
MOST_HOURS = 2000.0


def chosen(items: Sequence[Item], budget_hours: float, bound_hours: float = 0.0) -> list[int]:
    """Places of the items with the largest sum of expected hours whose effort fits; of one path one item at most.

    Two things done to the same file would save the same bugs twice.

    Raises:
        UsageError: If the budget is not a number of hours from 0 to MOST_HOURS.
    """
    if not 0 <= budget_hours <= MOST_HOURS:
        raise UsageError(
            f"a budget of {budget_hours:g} hours", where="--budget", do=f"Give hours from 0 to {MOST_HOURS:g}"
        )
    room = int(max(budget_hours - bound_hours, 0.0) / STEP_HOURS)
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] * (room + 1)
    for group in _groups(items):
        before = list(best)
        for place in group:
            cost, worth = math.ceil(items[place].effort_hours / STEP_HOURS), items[place].effect.hours or 0.0
            for size in range(cost, room + 1):
                value = before[size - cost][0] + worth
                if value > best[size][0] + 1e-12:
                    best[size] = (value, (*before[size - cost][1], place))
    return sorted(best[room][1])


def _groups(items: Sequence[Item]) -> list[list[int]]:
    """Places of the items that are weighed, those about one path together."""
    found: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        if item.effect.hours:
            path = item.subject.get("path")
            found.setdefault(f"{item.subject.get('repo_id')}/{path}" if path else item.item_id, []).append(place)
    return list(found.values())
