"""What ``intelligence`` and ``evolve`` print: counts first, no certainty, and what could not be asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli import evolve as evolve_module
from weaver_forge.cli import intelligence as intelligence_module


def insight(name: str, category: str = "tests", confidence: float = 0.987654) -> dict[str, Any]:
    return {
        "description": f"{name} goes wrong.", "category": category, "confidence": confidence,
        "impact": {"text": "3 runs a month"}, "evidence": [{"text": "3 of 9", "n": 9, "link": "test:x"}],
        "query": "select 1",
    }  # fmt: skip


def family(name: str, category: str, n: int, missing: str = "") -> dict[str, Any]:
    return {"name": name, "category": category, "n_hypotheses": n, "missing": missing}


REPORT = {
    "insights": [insight(f"test {i}") for i in range(7)] + [insight("leak", "cost", 1 - 1e-9)],
    "families": [
        family("a", "tests", 40), family("b", "ci", 12), family("c", "cost", 3), family("d", "traces", 0, "no data: t"),
    ],
    "n_insights": 8, "n_hypotheses": 55, "false_discovery_rate": 0.05, "method": "BY", "since": "2026-01-01T00:00:00Z",
    "until": "2026-02-01T00:00:00Z", "snapshot": "serving-000001.duckdb",
}  # fmt: skip

ITEM = {
    "item_id": "abc", "area": "security", "what": "protect it", "is_chosen": True, "edit": {"pattern": "x"},
    "expected_hours_a_month": 4.2, "effort_hours": 2.25, "effect": {"text": "touches 3 bugs"}, "way_back": "undo",
    "check": {"text": "less blame"}, "facts": [{"text": "6 fixes", "n": 6}],
}  # fmt: skip


def plan(**changed: Any) -> dict[str, Any]:
    people = {**ITEM, "item_id": "def", "edit": None, "expected_hours_a_month": None, "what": "split it"}
    return {
        "items": [ITEM, people, {**people, "item_id": "ghi", "is_chosen": False}], "effort_hours": 4.5,
        "budget_hours": 40.0, "bound_hours": 0.0, "n_insights": 3, "missing": ["cost: no data"], "past": [],
        "carried_out": [], **changed,
    }  # fmt: skip


def test_insights_are_counted_against_all_that_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    intelligence_module.show(REPORT, everything=False)

    said = capsys.readouterr().out
    assert said.startswith("8 of 55 hypotheses stand; at most 5 % of these are expected to be accidental (BY).")
    assert "What goes together need not be cause and effect." in said
    assert "and 2 more: --category tests --all" in said
    assert "nothing stands out of 12 hypotheses" in said
    assert "d: no data: t" in said


def test_confidence_is_never_rounded_up(capsys: pytest.CaptureFixture[str]) -> None:
    intelligence_module.show(REPORT, everything=True)

    said = capsys.readouterr().out
    assert "confidence 0.9876" in said
    assert "confidence above 0.9999" in said
    assert "- 3 of 9 (n = 9) [test:x]" in said
    assert "query: select 1" in said


def test_a_plan_says_what_it_would_do_itself_and_what_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    evolve_module.show(plan(), everything=False, confirmed=False)

    said = capsys.readouterr().out
    assert said.startswith("2 of 3 items, 4.5 of 40 hours, from 3 insights")
    assert "* abc  protect it" in said
    assert "- def  split it" in said
    assert "check: less blame" in said
    assert "cost: no data" in said
    assert "--confirm carries out 1 of them (marked *); the others are for people." in said
    assert "1 more items were not chosen: --all" in said


def test_what_was_carried_out_is_said_with_its_check(capsys: pytest.CaptureFixture[str]) -> None:
    past = [{"item_id": "abc", "state": "done", "done_at": None, "what": "protect it", "check": "came true: 0.1"}]
    now = [{"item_id": "abc", "state": "halted", "detail": "fire (bo)", "exit_code": 0}]

    evolve_module.show(plan(past=past, carried_out=now, bound_hours=2.0), everything=True, confirmed=True)

    said = capsys.readouterr().out
    assert "2 more hours are bound by what was carried out before" in said
    assert "abc done: protect it" in said
    assert "check came true: 0.1" in said
    assert "abc halted: fire (bo)" in said
    assert "--confirm" not in said


def test_both_say_all_of_it_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def answer(_settings: object, verb: str, arguments: dict[str, Any]) -> tuple[int, Any]:
        asked.append((verb, arguments))
        return 0, REPORT

    monkeypatch.setattr(intelligence_module, "answer", answer)
    monkeypatch.setattr(intelligence_module, "deployment", lambda: None)

    code = intelligence_module.intelligence(category=("tests",), json=True)

    assert code == 0
    assert asked == [("intelligence", {"categories": ["tests"], "days": 90})]
    assert json.loads(capsys.readouterr().out)["n_hypotheses"] == 55


def test_a_plan_alone_makes_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weaver-forge.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evolve_module, "answer", lambda *_: (0, plan()))

    code = evolve_module.evolve()

    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["weaver-forge.toml"]
