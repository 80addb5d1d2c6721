"""``autonomy``, ``enable`` and the kill switch as commands, in a deployment of their own."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli import app
from weaver_forge.contracts.values import Level, Scope
from weaver_forge.errors import UsageError
from weaver_forge.hooks.matrix import autonomy_matrix, without_trials
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger, spool
from weaver_forge.policy import parse

AT = datetime(2026, 3, 1)
POLICY = """\
version: 1
decisions:
  deploy_risk:
    scope: deployment
    ceiling: autonomous
    deny_at: 0.7
  anomaly:
    scope: operations
    ceiling: supervised
    deny_at: 0.9
"""


def standing(decision: str, action: str, scope: str, level: str, **changed: Any) -> dict[str, Any]:
    return {
        "decision": decision, "entity": "changes", "action": action, "scope": scope, "level": level,
        "previous_level": "assisted", "cause": "evidence", "reason": "the lower bound 0.957 reached 0.95",
        "n_trials": 100.0, "n_right": 100.0, "n_replay": 4, "n_pending": 3, "n_unresolvable": 2, "bound": 0.957,
        "ceiling": "autonomous", "evidence_from": AT, "evidence_until": AT, "assessed_at": AT, **changed,
    }  # fmt: skip


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One action is autonomous, one supervised with a proposal."""
    (tmp_path / "weaver-forge.toml").write_text("")
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ana")
    rows = [
        standing("deploy_risk", "hold_change", "deployment", "autonomous"),
        standing(
            "anomaly", "page", "operations", "assisted", n_trials=12.0, n_needed=8, bar=0.8, bound=0.69,
            proposed_level="supervised", reason="assisted: 12 of 20 trials, lower bound 0.693",
        ),
    ]  # fmt: skip
    with Ledger.open(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}") as ledger:
        ledger.append("standings", rows, now=AT)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert app.run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def level_of(capsys: pytest.CaptureFixture[str], action: str) -> str:
    rows = answer(capsys, "autonomy")["rows"]
    return str(next(row["level"] for row in rows if row["action"] == action))


def test_the_matrix_has_reasons_and_counts(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app.run(["autonomy"])
    said = capsys.readouterr().out

    assert "12 of 20 trials" in said
    assert "proposed: supervised since 2026-03-01 00:00 UTC; checked again 24 h later" in said
    assert "taken back at once by: 3 wrong in a row, 4 of the last 5, 5 of the last 10" in said
    assert "newest mature trial 2026-03-01 00:00 UTC; 4 replayed; 2 units whose outcome nobody will know" in said
    assert level_of(capsys, "hold_change") == "autonomous"


def test_the_history_says_what_changed(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = answer(capsys, "autonomy", "--history", "--decision", "deploy_risk")["rows"]

    assert [(row["action"], row["previous_level"], row["level"]) for row in rows] == [
        ("hold_change", "assisted", "autonomous")
    ]


def test_halting_makes_everything_assisted_and_resuming_gives_it_back(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted = answer(capsys, "autonomy", "halt", "--reason", "fire")
    during = level_of(capsys, "hold_change")
    answer(capsys, "autonomy", "resume", "--reason", "over")

    assert (halted["recorded"], halted["switches"][0]["actor"]) == (["ledger"], "ana")
    assert (during, level_of(capsys, "hold_change")) == ("assisted", "autonomous")
    with Ledger.open(f"sqlite:///{deployment / 'data' / 'ledger.sqlite'}") as ledger:
        assert [(row["scope"], row["is_on"]) for row in ledger.rows("switches")] == [("all", True), ("all", False)]


def test_halting_works_without_a_ledger_and_is_recorded_when_there_is_one_again(
    deployment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (deployment / "gone").write_text("no database")
    monkeypatch.setenv("WEAVER_FORGE_LEDGER_URL", f"sqlite:///{deployment / 'gone'}")

    said = answer(capsys, "autonomy", "halt", "--reason", "fire", "--scope", "deployment")

    assert said["recorded"][0].startswith("spool")
    assert read_standings(deployment / "data" / "published").halted(Scope.DEPLOYMENT) == "fire (ana)"
    with Ledger.open(f"sqlite:///{deployment / 'data' / 'ledger.sqlite'}") as ledger:
        taken = spool.drain(deployment / "data" / "inbox" / "decisions", ledger, AT)
        assert (taken.n_taken, [row["reason"] for row in ledger.rows("switches")]) == (1, ["fire"])


def test_enable_says_what_would_change_before_it_changes_it(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="nothing was changed"):
        app.run(["enable", "--level", "supervised", "--scope", "all"])
    said = capsys.readouterr().out

    assert "deploy_risk  hold_change" in said
    assert "autonomous" in said
    with Ledger.open(f"sqlite:///{deployment / 'data' / 'ledger.sqlite'}") as ledger:
        assert ledger.rows("ceilings") == []


def test_a_lower_ceiling_holds_for_hooks_at_once(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--level", "supervised", "--scope", "deployment", "--business-context", "Black Friday", "--yes"]

    said = answer(capsys, "enable", *words)

    [change] = said["changes"]
    assert (change["ceiling_now"], change["ceiling_then"]) == ("autonomous", "supervised")
    assert (change["level_now"], change["level_then"]) == ("autonomous", "supervised")
    assert said["ceiling"]["context"] == "Black Friday"
    assert said["rows"][0]["level"] == "supervised"
    read = read_standings(deployment / "data" / "published")
    assert read.ceiling("deploy_risk", Scope.DEPLOYMENT) is Level.SUPERVISED
    assert read.ceiling("deploy_risk", Scope.OPERATIONS) is None


def test_a_higher_ceiling_than_the_policys_changes_nothing_and_says_so(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app.run(["enable", "--level", "autonomous", "--scope", "operations", "--decision", "anomaly", "--yes"])
    said = capsys.readouterr().out

    assert "policy.yaml allows less" in said
    assert "a ceiling allows, outcomes promote" in said
    assert "anomaly page (operations): assisted in force; 12 of 20 trials" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["enable", "--level", "supervised", "--scope", "all", "--decision", "guess", "--yes"], "no decision"),
        (["enable", "--level", "total", "--scope", "all"], "Invalid value"),
        (["autonomy", "halt", "--reason", " "], "no reason"),
        (["autonomy", "halt", "--reason", "x", "--scope", "moon"], "no scope"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(deployment: Path, words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        app.run(words)


SPECS = {
    "deploy_risk": {"kinds": [{"entity": "changes", "actions": [{"name": "hold_change", "on": "high"}]}]},
    "t": {
        "kinds": [{"entity": "tests", "actions": [{"name": "leave", "on": "low"}, {"name": "follow", "on": "upper"}]}]
    },
}


def test_an_action_that_policy_can_never_have_taken_is_said_to_earn_nothing(deployment: Path) -> None:
    policy = parse(POLICY, "policy.yaml")

    idle = without_trials(policy, SPECS)
    with Ledger.open(f"sqlite:///{deployment / 'data' / 'ledger.sqlite'}") as ledger:
        rows = autonomy_matrix(ledger, policy, SPECS, Standings())

    assert [(row["decision"], row["action"]) for row in idle] == [("t", "leave")]
    assert "policy sets no skip_below for leave: write one below decisions.t.actions.leave" in idle[0]["why"]
    assert {row["action"] for row in rows if row["no_trials_because"]} == {"leave"}
