"""The order that a revision's nearest ancestor has, for a revision that has none: all its tests run in that order.

Put here how such an order is found and what becomes of the list. It is an order and nothing more: what nobody knows of
this revision stays unknown, nothing is left for later by it, and no probability of another revision is handed on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from weaver_forge.errors import SourceError
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer
from weaver_forge.hooks.durations import known_durations
from weaver_forge.hooks.found import Durations, Rows, of_one_unit
from weaver_forge.hooks.rank_tests import OrderOf, Ranking, ordered
from weaver_forge.hooks.revision import LocalRepository
from weaver_forge.hooks.selecting.always import Fired
from weaver_forge.hooks.selecting.reading import rules_of

if TYPE_CHECKING:
    from weaver_forge.snapshot import Snapshot


Rules = tuple[Fired, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An order that is published for an ancestor.

    Args:
        order_of: Whose order it is.
        repo_id: The repository as the snapshot knows it.
        names: Its tests, those to run first first.
    """

    order_of: OrderOf
    repo_id: str
    names: tuple[str, ...]


def or_ancestor(
    around: Circumstances, answer: GateAnswer, ranking: Ranking, rules: Rules, repository: LocalRepository | None
) -> tuple[Ranking, Rules]:
    """A ranking without an order in that of the nearest ancestor that has one, and the rules about the tests in it.

    Everything runs all the same. Any other ranking, and one that no ancestor helps, stays as it is.

    Args:
        around: What may be reached.
        answer: About all tests of a revision.
        ranking: What was made of it.
        rules: Those that the change fires, of the tests that are predicted for it.
        repository: The clone that has the revision; None where there is none.
    """
    snapshot = around.snapshot
    if not ranking.run_everything or snapshot is None or repository is None:
        return ranking, rules
    earlier = nearest_order(snapshot, answer, repository.first_parents(str(answer.subject.get("revision") or "")))
    if earlier is None:
        return ranking, rules
    durations = answer.durations or known_durations(snapshot, earlier.repo_id)
    rules = rules_of(around, answer.subject, earlier.repo_id, {*earlier.names, *durations})
    return in_order_of(ranking, earlier, durations, {test for rule in rules for test in rule.tests}, around.now), rules


def nearest_order(snapshot: "Snapshot", answer: GateAnswer, lineage: Sequence[str]) -> Earlier | None:
    """The published order of the nearest of these revisions that has a sound one; None where none has.

    Args:
        snapshot: What is published.
        answer: About a revision whose own order cannot be relied on.
        lineage: The revision and its first parents, nearest first.
    """
    table = str(answer.kind.get("table") or "")
    if not lineage or table not in snapshot.tables():
        return None
    holes = ", ".join("?" * len(lineage))
    sql = f'select distinct revision from "{table}" where revision in ({holes})'  # noqa: S608 - the spec's own table
    try:
        published = {str(row["revision"]) for row in snapshot.rows(sql, list(lineage))}
        for n_commits, revision in enumerate(lineage):
            if revision in published:
                earlier = _order_of(snapshot, answer, revision, n_commits)
                if earlier is not None:
                    return earlier
    except (SourceError, duckdb.Error):  # that it cannot be read is the gate's to say: it asks it for predictions too
        return None
    return None


def in_order_of(
    ranking: Ranking, earlier: Earlier, durations: Durations, touched: Collection[str], now: datetime
) -> Ranking:
    """The same list in an ancestor's order: what the change touches, what the ancestor ranked, the others by name.

    Args:
        ranking: One that runs everything, for want of an order.
        earlier: The order to take.
        durations: All known tests, with what they take.
        touched: Tests that the change touches, by the rules of changes.
        now: For the age of the order, naive UTC.
    """
    names = tuple(dict.fromkeys((*earlier.names, *sorted(durations))))
    first = frozenset(touched)
    by_name = {test.test_id: test for test in ordered([{"test_id": name} for name in names], durations)}
    sequence = (*(name for name in names if name in first), *(name for name in names if name not in first))
    run = tuple(by_name[name]._replace(rank=rank) for rank, name in enumerate(sequence, 1))
    n_first = len(first & by_name.keys())
    what = f"all {len(run)} known tests" + (f", the {n_first} that the change touches first" if n_first else "")
    n_later = len(names) - len(earlier.names)
    more = f"; {n_later} that it does not rank come last" if n_later else ""
    said = f"{what}, {earlier.order_of.words(now)}{more}"
    return replace(ranking, run=run, reasons=(ranking.reasons[0], said), order_of=earlier.order_of)


def _order_of(snapshot: "Snapshot", answer: GateAnswer, revision: str, n_commits: int) -> Earlier | None:
    """The order of one revision; None where its predictions contradict each other or hold what is no number."""
    request, kind = answer.request, answer.kind
    rows = snapshot.predictions(request.decision, answer.entity, {"revision": revision})
    found = of_one_unit(rows, kind, request.repo_id)
    if found.contradiction or not found.rows or not _are_sound(found.rows):
        return None
    names = tuple(dict.fromkeys(test.test_id for test in ordered(found.rows, {})))
    order_of = OrderOf(revision, n_commits, max(row["made_at"] for row in found.rows))
    return Earlier(order_of, str(found.rows[0].get("repo_id") or ""), names)


def _are_sound(rows: Rows) -> bool:
    """Whether an order can be made of all rows: what is no number, or no probability, spoils the whole of it."""
    for row in rows:
        score, probability = row.get("score"), row.get("probability")
        if probability is not None and not 0 <= probability <= 1:
            return False
        if score is None and probability is None:
            return False
        if score is not None and score - score != 0:
            return False
    return True
