"""Which of the tests that a runner found run, and in which order. Pure.

Put here the rules that all runners share: what the order does not name is new and comes first, nothing that may run
later is chosen unless something is left to run, and equal places keep the runner's own order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

Names = tuple[str, ...]
"""What one test may be called, the likeliest name first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Places among what was found.

    Args:
        keep: Those to run, in order.
        rest: Those left for later, as they were found.
        n_unknown: How many of the kept ones the order does not name.
        problem: Why the order has no effect, or nothing was left for later; empty where there is no such thing.
    """

    keep: tuple[int, ...]
    rest: tuple[int, ...] = ()
    n_unknown: int = 0
    problem: str = ""


def choose(found: Sequence[Names], order: Sequence[str], rest: Collection[str] = ()) -> Chosen:
    """Sort what was found, and leave the rest for later.

    Args:
        found: Names of each test, in the runner's order.
        order: Test ids, first ones first.
        rest: Test ids that may run later. Where that would be all that was found, all of it runs.
    """
    ranks = {name: rank for rank, name in enumerate(order)}
    places = [next((ranks[name] for name in names if name in ranks), -1) for names in found]
    later = {place for place, names in enumerate(found) if places[place] >= 0 and any(name in rest for name in names)}
    n_unknown = sum(place < 0 for place in places)
    problem = ""
    if found and n_unknown == len(found):
        problem = f"none of the {len(found)} tests found here is in the ranking"
    elif found and len(later) == len(found):
        problem = f"all {len(found)} tests found here may run later; a selection is never empty, so all of them run"
        later = set()
    return Chosen(
        keep=tuple(sorted((place for place in range(len(found)) if place not in later), key=places.__getitem__)),
        rest=tuple(sorted(later)),
        n_unknown=n_unknown,
        problem=problem,
    )


def or_files(found: Sequence[Names], nodeids: Sequence[str], order: Sequence[str]) -> list[Names]:
    """Call tests that the order does not name by their file too: before any results a repository's tests are files.

    Args:
        found: Names of each test.
        nodeids: What the runner calls each, its file first.
        order: Test ids.
    """
    known = frozenset(order)
    return [
        names if not known.isdisjoint(names) else (*names, nodeid.partition("::")[0])
        for names, nodeid in zip(found, nodeids, strict=True)
    ]
