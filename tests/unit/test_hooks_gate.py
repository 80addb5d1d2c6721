"""The gate's order of events with a fake snapshot: published, else computed now, else unknown; and what is recorded."""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.contracts.values import Level
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, OnDemand, gate
from weaver_forge.hooks.facts import answer_as_data
from weaver_forge.hooks.found import of_one_unit
from weaver_forge.hooks.revision import SHALLOW, repository_at
from weaver_forge.hooks.standing import Standings
from weaver_forge.hooks.subject import kind_for, unit_of
from weaver_forge.ledger import Ledger
from weaver_forge.policy import Policy, parse

NOW = datetime(2026, 3, 1, 12)
POLICY = "version: 1\ndecisions:\n  d: {ceiling: supervised, review_at: 0.3, deny_at: 0.7}\n"
EARNED = Standings(levels={("d", "changes", "", "deployment"): Level.SUPERVISED})
CHANGES = {"entity": "changes", "key": ["repo_id", "revision"], "decided_per": ["repo_id", "revision"], "table": "p"}
DEPLOYED = {
    "entity": "deployments",
    "key": ["service_key", "environment", "version"],
    "decided_per": ["service_key", "environment", "version"],
    "table": "q",
}
SPEC = {"name": "d", "kinds": [CHANGES, DEPLOYED], "sources": {"incidents": "labels come late"}, "score_unit": "p"}


class FakeSnapshot:
    """Rows by entity, as ``Snapshot`` gives them."""

    version, path = 7, Path("serving-000007.duckdb")

    def tables(self) -> list[str]:
        """None but predictions."""
        return []

    def __init__(self, rows: list[dict[str, Any]], error: Exception | None = None) -> None:
        self.specs = {"d": SPEC}
        self._rows, self._error = rows, error

    def predictions(self, decision: str, entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows that match."""
        if self._error:
            raise self._error
        return [row for row in self._rows if all(row.get(k) == v for k, v in match.items())]


def _row(probability: float | None, *, repo: str = "h/o/n", revision: str = "abc", **more: Any) -> dict[str, Any]:
    return {
        "repo_id": repo,
        "revision": revision,
        "probability": probability,
        "score": None,
        "made_at": NOW - timedelta(hours=1),
        "prediction_id": f"p-{probability}",
        "sources_missing": "[]",
        **more,
    }


def _ask(
    tmp_path: Path,
    rows: list[dict[str, Any]] | None,
    *,
    on_demand: OnDemand | None = None,
    error: Exception | None = None,
    standings: Standings = EARNED,
    **request: Any,
) -> GateAnswer:
    snapshot: Any = None if rows is None else FakeSnapshot(rows, error)
    around = Circumstances(
        snapshot=snapshot,
        problem="nothing is published" if rows is None else "",
        policy=parse(POLICY, "policy.yaml"),
        policy_text=POLICY,
        ledger=lambda: Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}"),
        on_demand=on_demand,
        spool=tmp_path / "spool",
        now=NOW,
        entropy=os.urandom(10),
        standings=standings,
    )
    return gate(GateRequest(decision="d", **{"match": {"revision": "abc"}, **request}), around)


def test_a_published_prediction_is_judged_and_recorded_with_its_ids(tmp_path: Path) -> None:
    answer = _ask(tmp_path, [_row(0.9)])

    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        row = ledger.decision(answer.decision_id)
        policies = ledger.tail("policies", 5)
    assert row is not None
    assert (row["verdict"], row["exit_code"], row["unit"]) == ("deny", 3, "h/o/n|abc")
    assert (row["prediction_ids"], row["snapshot_version"]) == (["p-0.9"], 7)
    assert [policy["text"] for policy in policies] == [POLICY]
    assert answer.recorded == "ledger"


def test_what_is_not_earned_is_said_and_not_enforced(tmp_path: Path) -> None:
    """A ceiling is no licence: without a standing a hook is assisted, whatever policy would let it become."""
    answer = _ask(tmp_path, [_row(0.9)], standings=Standings())

    assert (answer.ruling.verdict, answer.ruling.exit_code, answer.ruling.applied) == ("deny", 0, False)
    assert any("earned so far is assisted" in reason for reason in answer.ruling.reasons)


def test_the_policy_text_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        _ask(tmp_path, [_row(0.1)])

    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        assert len(ledger.tail("policies", 5)) == 1


def test_what_is_not_published_is_computed_now(tmp_path: Path) -> None:
    asked: list[Any] = []

    def compute(decision: str, entity: str, subject: Mapping[str, str]) -> list[dict[str, Any]]:
        asked.append((decision, entity, dict(subject)))
        return [_row(0.5)]

    answer = _ask(tmp_path, [], on_demand=compute, repo_id="h/o/n")

    assert asked == [("d", "changes", {"repo_id": "h/o/n", "revision": "abc"})]
    assert answer.ruling.verdict == "review"


def test_a_stale_prediction_is_made_anew_where_that_is_possible(tmp_path: Path) -> None:
    old = _row(0.1, made_at=NOW - timedelta(days=3))

    anew = _ask(tmp_path, [old], on_demand=lambda *_: [_row(0.5)])
    neither = _ask(tmp_path, [old], on_demand=lambda *_: [])

    assert (anew.ruling.verdict, anew.ruling.freshness) == ("review", "fresh")
    assert (neither.ruling.verdict, neither.ruling.freshness) == ("unknown", "stale")


def test_a_failing_computation_is_unknown_with_its_reason(tmp_path: Path) -> None:
    def fail(*_: Any) -> list[dict[str, Any]]:
        raise SourceError("no answer within 10 s")

    answer = _ask(tmp_path, [], on_demand=fail)

    assert answer.ruling.verdict == "unknown"
    assert "no answer within 10 s" in answer.ruling.reasons[0]


def test_a_shallow_clone_computes_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    def never(*_: Any) -> list[dict[str, Any]]:
        raise AssertionError("asked in a shallow clone")

    answer = _ask(tmp_path, [], on_demand=never, no_on_demand=SHALLOW)

    assert answer.ruling.verdict == "unknown"
    assert "fetch-depth: 0" in answer.ruling.reasons[0]


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        (None, None, "nothing is published"),
        ([], None, "no prediction is published for revision abc"),
        ([], SourceError("file is gone"), "file is gone"),
        ([_row(0.1), _row(0.9)], None, "two predictions for the same subject disagree"),
        ([_row(0.1), _row(0.9, repo="another/repo/x")], None, "matches 2 subjects"),
        ([_row(float("nan"))], None, "is no probability"),
        ([_row(0.1, made_at=NOW - timedelta(days=3))], None, "72.0 h old"),
    ],
)
def test_whatever_cannot_be_trusted_is_unknown(
    tmp_path: Path, rows: list[dict[str, Any]] | None, error: Exception | None, says: str
) -> None:
    answer = _ask(tmp_path, rows, error=error)

    assert answer.ruling.verdict == "unknown"
    assert says in answer.ruling.reasons[0]
    assert json.dumps(answer_as_data(answer), allow_nan=False)


def test_the_callers_repository_chooses_between_forks(tmp_path: Path) -> None:
    answer = _ask(tmp_path, [_row(0.1), _row(0.9, repo="another/repo/x")], repo_id="h/o/n")

    assert (answer.ruling.verdict, answer.unit) == ("allow", "h/o/n|abc")


WINDOWS = {
    "entity": "windows",
    "key": ["service_key", "window"],
    "decided_per": ["service_key", "window"],
    "table": "w",
}


def _window(number: int, probability: float, service: str = "shop/web/prod") -> dict[str, Any]:
    return _row(probability, service_key=service, window=NOW - timedelta(minutes=10 * number))


def test_of_units_that_differ_in_an_instant_alone_the_newest_is_meant() -> None:
    found = of_one_unit([_window(number, number / 10) for number in (2, 1, 3)], WINDOWS, "")

    assert [row["probability"] for row in found.rows] == [0.1]
    assert found.remark == "the newest of 3 is meant: window 2026-03-01 11:50 UTC"


def test_units_that_differ_in_more_than_an_instant_contradict_each_other() -> None:
    found = of_one_unit([_window(1, 0.1), _window(2, 0.9, "shop/api/prod")], WINDOWS, "")

    assert "matches 2 subjects" in found.contradiction


def test_missing_sources_are_said_with_what_they_cost(tmp_path: Path) -> None:
    answer = _ask(tmp_path, [_row(0.1, sources_missing='["incidents"]')])

    assert answer.losses == {"incidents": "labels come late"}
    assert any("without incidents" in reason for reason in answer.ruling.reasons)


def test_a_wrong_question_is_a_usage_error_not_an_unknown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no subject that is identified by colour"):
        _ask(tmp_path, [], match={"colour": "red"})


def test_a_record_that_can_be_written_nowhere_still_answers(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file in the way")
    around = Circumstances(
        snapshot=None, policy=Policy(version=1), policy_text="", spool=tmp_path / "spool", now=NOW, entropy=bytes(10)
    )

    answer = gate(GateRequest(decision="d", match={"revision": "abc"}), around)

    assert answer.recorded == "nowhere"
    assert any("RECORDED NOWHERE" in note for note in answer.notes)


def test_the_kind_is_the_one_that_the_columns_name() -> None:
    assert kind_for(SPEC, ["revision"])["entity"] == "changes"
    assert kind_for(SPEC, ["service_key", "version"])["entity"] == "deployments"
    assert unit_of(DEPLOYED, {"service_key": "a/b/c", "version": "1"}) == "a/b/c||1"


def test_git_says_where_a_revision_is_from_and_what_it_means(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        config = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
        command = ["git", *config, "-C", str(tmp_path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("remote", "add", "origin", "git@Example.org:team/shop.git")

    found = repository_at(tmp_path)

    assert found is not None
    assert (found.repo_id, found.is_shallow) == ("example.org/team/shop", False)
    assert found.resolve("HEAD") == git("rev-parse", "HEAD")
    assert found.resolve("nothing-like-it") is None
    assert found.resolve("--all") is None
