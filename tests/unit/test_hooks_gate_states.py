"""What a gate does with fresh, stale, missing and wrong predictions, and when something that it reads is down.

The page docs/policy.md says the same in words; a test here holds the two together.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.errors import SourceError, StoreBusy
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, gate
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.policy import draw_of, in_force

NOW = datetime(2026, 3, 6, 15)
KIND = {
    "entity": "changes",
    "key": ["repo_id", "revision"],
    "decided_per": ["repo_id", "revision"],
    "table": "p",
    "actions": [{"name": "hold", "on": "high", "doc": "the change waits"}],
}
SPEC = {"name": "d", "kinds": [KIND], "sources": {}, "score_unit": "p"}
REVISION = next(f"r{n}" for n in range(500) if draw_of("d", f"h/o/n|r{n}", "ci") >= 0.05)
PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


class FakeSnapshot:
    """Rows of one revision, or a file that cannot be read."""

    version, path = 7, Path("serving-000007.duckdb")

    def __init__(self, rows: list[dict[str, Any]], error: Exception | None = None) -> None:
        self.specs, self._rows, self._error = {"d": SPEC}, rows, error

    def tables(self) -> list[str]:
        """None but predictions."""
        return []

    def predictions(self, _decision: str, _entity: str, _match: Mapping[str, str]) -> list[dict[str, Any]]:
        """All rows."""
        if self._error:
            raise self._error
        return self._rows


def row(probability: float | None, age: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    return {
        "repo_id": "h/o/n", "revision": REVISION, "probability": probability, "score": None, "made_at": NOW - age,
        "prediction_id": "p", "sources_missing": "[]",
    }  # fmt: skip


def failing(*_: Any) -> Any:
    raise SourceError("computing it took longer than 10 s")


UNKNOWN: dict[str, dict[str, Any]] = {
    "stale": {"snapshot": FakeSnapshot([row(0.9, timedelta(hours=25))])},
    "stale, and computing it now fails": {
        "snapshot": FakeSnapshot([row(0.9, timedelta(hours=25))]), "on_demand": failing,
    },
    "missing": {"snapshot": FakeSnapshot([])},
    "missing, and computing it now fails": {"snapshot": FakeSnapshot([]), "on_demand": failing},
    "not a number": {"snapshot": FakeSnapshot([row(float("nan"))])},
    "above 1": {"snapshot": FakeSnapshot([row(1.2)])},
    "below 0": {"snapshot": FakeSnapshot([row(-0.1)])},
    "without a number": {"snapshot": FakeSnapshot([row(None)])},
    "from the future": {"snapshot": FakeSnapshot([row(0.9, timedelta(minutes=-6))])},
    "two that disagree": {"snapshot": FakeSnapshot([row(0.1), row(0.9)])},
    "snapshot that cannot be read": {"snapshot": FakeSnapshot([], SourceError("the file is gone"))},
    "no snapshot": {"snapshot": None, "problem": "nothing is published"},
}  # fmt: skip
FRESH = {0.1: ("allow", (0, 0, 0)), 0.5: ("review", (0, 3, 3)), 0.9: ("deny", (0, 3, 1))}


def ask(folder: Path, *, level: Level = Level.AUTONOMOUS, rules: str = "", **more: Any) -> GateAnswer:
    text = f"version: 1\ndecisions:\n  d: {{ceiling: autonomous, review_at: 0.3, deny_at: 0.7{rules}}}\n"
    standings = Standings(levels={("d", "changes", "hold", "deployment"): level})
    around = Circumstances(**{
        "policy": in_force(text, "policy.yaml"), "policy_text": text, "ledger": None, "spool": folder / "spool",
        "now": NOW, "entropy": os.urandom(10), "standings": standings, **more,
    })  # fmt: skip
    return gate(GateRequest(decision="d", match={"repo_id": "h/o/n", "revision": REVISION}), around)


@pytest.mark.parametrize("state", UNKNOWN)
@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize(("mode", "code"), [("fail_open", 0), ("fail_closed", 3)])
def test_what_is_not_fresh_is_unknown_and_does_what_policy_says_of_it(
    tmp_path: Path, state: str, level: Level, mode: str, code: int
) -> None:
    answer = ask(tmp_path, level=level, rules=f", on_unknown: {mode}", **UNKNOWN[state])

    assert (str(answer.ruling.verdict), answer.ruling.exit_code) == ("unknown", code)
    assert answer.ruling.reasons[0]
    assert answer.recorded.startswith("spool")


@pytest.mark.parametrize("probability", FRESH)
@pytest.mark.parametrize("level", list(Level))
def test_what_is_fresh_gets_its_verdict_and_the_exit_code_of_the_level(
    tmp_path: Path, probability: float, level: Level
) -> None:
    answer = ask(tmp_path, level=level, snapshot=FakeSnapshot([row(probability)]))

    verdict, codes = FRESH[probability]
    assert (str(answer.ruling.verdict), answer.ruling.exit_code) == (verdict, codes[list(Level).index(level)])


class Busy:
    """A ledger that answers questions and takes nothing."""

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to let go of."""

    def approval(self, **_: Any) -> None:
        """Nobody said yes."""

    def rows(self, *_: Any, **__: Any) -> list[Any]:
        """Nothing is in it."""
        return []

    def append(self, *_: Any, **__: Any) -> None:
        """Refuses."""
        raise StoreBusy("another writer holds it", where="ledger")


def gone() -> Ledger:
    raise SourceError("no answer from the server")


@pytest.mark.parametrize(("ledger", "says"), [(gone, "cannot be reached"), (Busy, "did not take the decision")])
@pytest.mark.parametrize("level", list(Level))
def test_a_ledger_that_is_down_changes_no_verdict_and_the_decision_waits_in_the_spool(
    tmp_path: Path, ledger: Any, says: str, level: Level
) -> None:
    snapshot = FakeSnapshot([row(0.9)])

    answer = ask(tmp_path, level=level, snapshot=snapshot, ledger=ledger)

    assert answer.ruling == ask(tmp_path, level=level, snapshot=snapshot).ruling
    assert answer.recorded.startswith("spool")
    assert len(list((tmp_path / "spool").glob("*.jsonl"))) >= 1
    assert any(says in note for note in answer.notes)


def test_a_budget_that_nobody_can_count_is_used_up_so_that_less_is_held(tmp_path: Path) -> None:
    answer = ask(tmp_path, snapshot=FakeSnapshot([row(0.9)]), rules=", rate_limit: {max: 9, per_hours: 1}", ledger=gone)

    assert (str(answer.ruling.verdict), answer.ruling.exit_code) == ("deny", 0)
    assert any("counts as used up" in reason for reason in answer.ruling.reasons)


@pytest.mark.parametrize(("name", "says"), [("standings.json", "nothing counts as earned"), ("halted.json", "halted")])
def test_a_file_beside_the_snapshot_that_cannot_be_read_gives_a_gate_no_power(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / name).write_text('{"standings": [', encoding="utf-8")
    standings = read_standings(tmp_path)

    answer = ask(tmp_path, snapshot=FakeSnapshot([row(0.9)]), standings=standings)

    assert (str(answer.ruling.verdict), str(answer.ruling.level), answer.ruling.exit_code) == ("deny", "assisted", 0)
    assert any(says in note for note in answer.notes)
    assert bool(standings.halted(Scope.DEPLOYMENT)) is (name == "halted.json")


def test_the_page_declares_what_each_hook_does_in_every_state() -> None:
    table = PAGE.split("## When something is missing or down")[1].split("\n## ")[0]

    for state in ("fresh", "stale", "missing", "no number", "disagree", "future", "ledger", "spool", "standings.json"):
        assert state in table, state
    assert "| state | `gate` | `rank-tests` |" in table
