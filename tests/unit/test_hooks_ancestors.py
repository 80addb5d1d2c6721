"""The order of an ancestor: whose is taken, and what the list becomes that runs everything."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.contracts.values import Freshness, Verdict
from weaver_forge.hooks.ancestors import Earlier, in_order_of, nearest_order, or_ancestor
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, gate
from weaver_forge.hooks.rank_tests import OrderOf, Ranking, ordered, rank
from weaver_forge.hooks.revision import LocalRepository, repository_at
from weaver_forge.policy import in_force

NOW = datetime(2026, 3, 6, 15)
MADE = NOW - timedelta(days=3)
KIND = {
    "entity": "tests",
    "key": ["repo_id", "revision", "test_id"],
    "decided_per": ["repo_id", "revision"],
    "table": "p",
    "actions": [{"name": "skip_tests", "on": "low", "doc": "tests wait"}],
}
TAKES = {"t.a::x": 10.0, "t.b::x": 20.0, "t.c::x": None}


def row(revision: str, test_id: str, probability: float | None, **more: Any) -> dict[str, Any]:
    known = {"repo_id": "h/o/n", "revision": revision, "test_id": test_id, "score": None}
    return {**known, "probability": probability, "made_at": MADE, "sources_missing": "[]", **more}


class FakeSnapshot:
    """Predictions of some revisions, and what their tests take."""

    version, path = 7, Path("serving-000007.duckdb")

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.specs = {"test_selection": {"name": "test_selection", "kinds": [KIND], "sources": {}}}
        self._rows = rows

    def tables(self) -> list[str]:
        """Predictions and verdicts of runs."""
        return ["core_ci__test_verdicts", "p"]

    def rows(self, sql: str, parameters: list[str]) -> list[dict[str, Any]]:
        """Which revisions are published, mean durations, or files of tests: none is named."""
        if "distinct revision" in sql:
            return [row for row in self._rows if row["revision"] in parameters]
        if "avg(" in sql:
            return [{"test_id": name, "duration_ms": ms} for name, ms in TAKES.items()]
        return []

    def predictions(self, _decision: str, _entity: str, match: dict[str, str]) -> list[dict[str, Any]]:
        """Those of one revision."""
        return [row for row in self._rows if row["revision"] == match["revision"]]


def git(at: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    said = subprocess.run(["git", "-C", str(at), *who, *arguments], check=True, capture_output=True, text=True)
    return said.stdout.strip()


def answered(tmp_path: Path, snapshot: FakeSnapshot, revision: str, *paths: str) -> tuple[GateAnswer, Circumstances]:
    around = Circumstances(
        snapshot=snapshot, policy=in_force("version: 1\n", "policy"), policy_text="", spool=tmp_path, now=NOW,
        entropy=bytes(10), changed_paths=lambda _: paths,
    )  # type: ignore[arg-type]  # a fake in the snapshot's place  # fmt: skip
    request = GateRequest(decision="test_selection", match={"revision": revision}, repo_id="h/o/n", acts_on="low")
    return gate(request, around), around


@pytest.fixture
def repository(tmp_path: Path) -> LocalRepository:
    """Three commits on main, and beside them one that was merged into the third."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    for n in range(2):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", f"main {n}")
    git(tmp_path, "checkout", "--quiet", "-b", "side")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "side")
    git(tmp_path, "checkout", "--quiet", "main")
    git(tmp_path, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    found = repository_at(tmp_path)
    assert found is not None
    return found


def test_first_parents_are_the_commit_and_what_it_was_made_on_but_nothing_merged(repository: LocalRepository) -> None:
    head = git(repository.root, "rev-parse", "HEAD")

    found = repository.first_parents(head)

    assert found == tuple(git(repository.root, "rev-parse", "HEAD", "HEAD~1", "HEAD~2").splitlines())
    assert repository.first_parents(head, 1) == found[:2]
    assert repository.first_parents("f" * 40) == ()


def test_the_nearest_published_order_is_taken_and_everything_runs(tmp_path: Path, repository: LocalRepository) -> None:
    head, parent, first = repository.first_parents("HEAD")
    snapshot = FakeSnapshot(
        *(row(first, name, 0.1) for name in TAKES), row(parent, "t.a::x", 0.1), row(parent, "t.b::x", 0.9)
    )
    answer, around = answered(tmp_path / "spool", snapshot, head, "src/a.py")

    found, _ = or_ancestor(around, answer, rank(answer, around.policy), (), repository)

    assert [test.test_id for test in found.run] == ["t.b::x", "t.a::x", "t.c::x"]
    assert [(test.rank, test.score, test.probability) for test in found.run] == [(n, None, None) for n in (1, 2, 3)]
    assert (found.run_everything, found.rest, found.below) == (True, (), ())
    assert found.order_of == OrderOf(parent, 1, MADE)
    assert found.reasons[0].startswith("RUN EVERYTHING")
    assert found.reasons[1] == (
        f"all 3 known tests, in the order of {parent[:12]}, 1 commit before: published 2026-03-03 15:00 UTC, 3 days ago"
        "; 1 that it does not rank come last"
    )
    assert (answer.ruling.verdict, answer.ruling.exit_code) == (Verdict.UNKNOWN, 0)


def test_tests_that_the_change_touches_come_first(tmp_path: Path, repository: LocalRepository) -> None:
    head, parent, _ = repository.first_parents("HEAD")
    snapshot = FakeSnapshot(row(parent, "t.a::x", 0.1), row(parent, "t.b::x", 0.9))
    answer, around = answered(tmp_path / "spool", snapshot, head, "t/test_c.py", "t/c_test.py", "tests/t/a.py")

    found, rules = or_ancestor(around, answer, rank(answer, around.policy), (), repository)

    assert [test.test_id for test in found.run] == ["t.a::x", "t.b::x", "t.c::x"]
    assert "the 1 that the change touches first" in found.reasons[1]
    assert [rule.tests for rule in rules if rule.rule == "changed_test"] == [("t.a::x",)]


@pytest.mark.parametrize(
    "broken",
    [
        [("t.a::x", float("nan"))],
        [("t.a::x", 1.5)],
        [("t.a::x", None)],
        [("t.a::x", 0.1), ("t.a::x", 0.2)],
    ],
)
def test_an_order_that_is_not_sound_is_passed_over(
    tmp_path: Path, repository: LocalRepository, broken: list[tuple[str, float | None]]
) -> None:
    lineage = repository.first_parents("HEAD")
    spoilt = [row(lineage[1], name, chance) for name, chance in broken]
    snapshot = FakeSnapshot(*spoilt, row(lineage[2], "t.b::x", 0.5))
    answer, _ = answered(tmp_path / "spool", snapshot, lineage[0])

    found = nearest_order(snapshot, answer, lineage)  # type: ignore[arg-type]  # a fake in the snapshot's place

    assert found == Earlier(OrderOf(lineage[2], 2, MADE), "h/o/n", ("t.b::x",))


def test_without_a_published_ancestor_or_a_repository_the_list_stays_by_name(
    tmp_path: Path, repository: LocalRepository
) -> None:
    head = repository.first_parents("HEAD")[0]
    answer, around = answered(tmp_path / "spool", FakeSnapshot(row("0" * 40, "t.c::x", 0.5)), head)
    plain = rank(answer, around.policy)

    assert or_ancestor(around, answer, plain, (), repository) == (plain, ())
    assert or_ancestor(around, answer, plain, (), None) == (plain, ())
    assert [test.test_id for test in plain.run] == list(TAKES)


def test_a_revision_with_an_order_of_its_own_keeps_it(tmp_path: Path, repository: LocalRepository) -> None:
    own = Ranking(run=ordered([row("r", "t.c::x", 0.5)], TAKES), rest=(), reasons=("",), run_everything=False)
    lineage = repository.first_parents("HEAD")
    answer, around = answered(tmp_path / "spool", FakeSnapshot(row(lineage[1], "t.a::x", 0.5)), lineage[0])

    assert or_ancestor(around, answer, own, (), repository)[0] is own


def test_an_order_of_its_own_that_is_too_old_is_nearer_than_that_of_any_ancestor(
    tmp_path: Path, repository: LocalRepository
) -> None:
    head, parent, _ = repository.first_parents("HEAD")
    snapshot = FakeSnapshot(row(head, "t.c::x", 0.5), row(parent, "t.b::x", 0.5))
    answer, around = answered(tmp_path / "spool", snapshot, head)

    found, _ = or_ancestor(around, answer, rank(answer, around.policy), (), repository)

    assert answer.ruling.freshness is Freshness.STALE
    assert found.order_of == OrderOf(head, 0, MADE)
    assert [test.test_id for test in found.run] == ["t.c::x", "t.a::x", "t.b::x"]


@pytest.mark.parametrize(
    ("n", "hours", "says"),
    [(0, 30, "the revision itself: published"), (2, 47, "47 h ago"), (99, 480, "99 commits before: published")],
)
def test_whose_order_it_is_and_how_old_is_one_line(n: int, hours: int, says: str) -> None:
    order_of = OrderOf("a" * 40, n, NOW - timedelta(hours=hours))
    everything = Ranking(run=(), rest=(), reasons=("RUN EVERYTHING: why", "by name"), run_everything=True)

    found = in_order_of(everything, Earlier(order_of, "h/o/n", ("t.b::x", "t.gone::x")), TAKES, (), NOW)

    assert says in found.reasons[1]
    assert [test.test_id for test in found.run] == ["t.b::x", "t.gone::x", "t.a::x", "t.c::x"]
    assert order_of.as_data()["made_at"].endswith("Z")
