"""``status`` as a command: text, JSON, exit codes, and a deployment in which nothing has happened yet."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge import __main__ as entry
from weaver_forge.cli import app
from weaver_forge.hooks.status import FIGURES
from weaver_forge.ledger import Ledger

AT = datetime(2026, 3, 1)
NAMES = [name for name, _, _ in FIGURES]


def decision(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "decision_id": f"d{number}", "decision": "deploy_risk", "entity": "changes", "unit": f"r|c{number}",
        "hook": "ci", "prediction_ids": [], "verdict": "deny", "level": "autonomous", "scope": "deployment",
        "applied": True, "exit_code": 1, "made_at": AT - timedelta(hours=number + 1),
        "expires_at": AT + timedelta(hours=1), "action": "hold_change", "ceiling": "autonomous",
        "earned": "autonomous", "held_out": False, "inputs": {"by": "prediction", "takes": True, "acts": True},
        **changed,
    }  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "weaver-forge.toml").write_text(f'[clock]\nnow = "{AT.isoformat()}Z"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def deployment(empty: Path) -> Path:
    """Three changes are held back now; nothing has been published."""
    with Ledger.open(f"sqlite:///{empty / 'data' / 'ledger.sqlite'}") as ledger:
        ledger.append("decisions", [decision(number) for number in range(3)], now=AT)
    return empty


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert app.run(["status", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_empty_deployment_has_no_number_and_says_why(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = app.run(["status"])
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert lines[0] == "Decisions since 2025-12-01 00:00 UTC, scope all; intervals are 95 %"
    assert [line.split()[0] for line in lines[2:8]] == NAMES
    assert all("unknown: there is no ledger yet" in line for line in lines[2:8])
    assert not (empty / "data").exists()


def test_an_empty_ledger_has_no_number_either(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Ledger.open(f"sqlite:///{empty / 'data' / 'ledger.sqlite'}").close()

    found = answer(capsys)["figures"]

    assert [figure["name"] for figure in found] == NAMES
    assert {figure["state"] for figure in found} == {"unknown"}
    assert all(figure["value"] is None and figure["why"] for figure in found)


def test_what_is_in_force_is_counted_and_its_rows_are_shown(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app.run(["status"])
    said = capsys.readouterr().out

    assert "active_optimizations      3 in force now; among 3 decisions and 0 acts on record" in said
    assert "deploy_risk hold_change on r c0 at ci, until 2026-03-01 01:00 UTC" in said
    assert "automation_coverage       unknown: there is no catalogue of decision points" in said


def test_json_has_every_figure_with_its_evidence(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "--days", "7")

    figure = next(figure for figure in said["figures"] if figure["name"] == "active_optimizations")
    assert (said["at"], said["since"], said["scope"]) == ("2026-03-01T00:00:00Z", "2026-02-22T00:00:00Z", "all")
    assert (figure["state"], figure["value"], figure["low"], figure["high"]) == ("measured", 3, 3, 3)
    assert [row["decision_id"] for row in figure["evidence"]["rows"]] == ["d0", "d1", "d2"]
    assert set(figure) >= {"unit", "n", "why", "text", "components", "about"}


def test_a_scope_and_a_window_limit_what_is_looked_at(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = answer(capsys, "--scope", "operations")["figures"]
    later = answer(capsys, "--since", "2026-02-28T23:30")["figures"]

    assert (
        elsewhere[NAMES.index("active_optimizations")]["why"]
        == "no decision and no act is on record in scope operations"
    )
    assert "since 2026-02-28 23:30 UTC" in later[NAMES.index("cost_savings")]["why"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--since", "yesterday"], 2),
        (["--since", "2026-01-01", "--days", "3"], 2),
        (["--days", "-1"], 2),
        (["--days", "nan"], 2),
        (["--days", "1e12"], 2),
        (["--since", "2027-01-01"], 2),
        (["--scope", "moon"], 2),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(deployment: Path, words: list[str], code: int) -> None:
    assert entry.main(["status", *words]) == code


def test_outside_a_deployment_there_is_nothing_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert entry.main(["status"]) == 4


def test_a_ledger_that_cannot_be_read_is_an_error_and_no_figure(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (deployment / "data" / "ledger.sqlite").write_text("no database")

    assert entry.main(["status"]) == 5
    assert not capsys.readouterr().out
