"""What the figures of ``status`` are made of, on both databases."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from weaver_forge.insights.status_effects import Known
from weaver_forge.ledger import Ledger
from weaver_forge.ledger import queries_status as queries
from weaver_forge.ledger.queries_status_units import units

NOW = datetime(2026, 3, 1, 12)
HOUR = timedelta(hours=1)
WINDOW = queries.Window(NOW - 24 * HOUR, NOW)


def decision(n: int, unit: str, **changed: Any) -> dict[str, Any]:
    return {
        "decision_id": f"d-{n:03d}", "decision": "d", "entity": "e", "unit": unit, "hook": "ci", "action": "hold",
        "prediction_ids": [f"p-{unit}"], "verdict": "deny", "level": "autonomous", "scope": "deployment",
        "applied": True, "exit_code": 1, "rules": ["d.deny_at=0.7"], "freshness": "fresh", "policy_sha256": "x",
        "made_at": NOW - HOUR, "expires_at": NOW + HOUR, "ceiling": "autonomous", "earned": "autonomous",
        "held_out": False, "inputs": {"by": "prediction", "takes": True, "acts": True, "question": {}}, **changed,
    }  # fmt: skip


HELD = {"held_out": True, "applied": False, "exit_code": 0}
ROWS = [
    decision(0, "a"),
    decision(1, "a", level="assisted", applied=False, exit_code=0, earned="assisted"),  # asked again, later
    decision(2, "b", **HELD),
    decision(3, "c", verdict="unknown", inputs=None),
    decision(4, "old", made_at=NOW - 25 * HOUR, expires_at=NOW),
    decision(5, "frozen", rules=["freeze=no Fridays"]),
    decision(6, "person", inputs={"by": "person", "acts": True}),
    decision(7, "halted", inputs={"by": "prediction", "takes": True, "question": {"halted": "fire"}}),
    decision(8, "calm", verdict="allow", inputs={"by": "prediction", "takes": False, "acts": False}, exit_code=0),
    decision(9, "elsewhere", scope="operations"),
    decision(10, "old"),  # asked first before the window
    decision(11, "let"),
    decision(12, "let", verdict="unknown", exit_code=0, expires_at=None, freshness="stale", made_at=NOW),
]


def prediction(unit: str) -> dict[str, Any]:
    return {
        "prediction_id": f"p-{unit}", "decision": "d", "entity": "e", "unit": unit, "subject": {"name": unit},
        "predicted_at": NOW - HOUR, "made_at": NOW - HOUR, "model_name": "m", "model_version": "1", "origin": "live",
        "is_baseline": False,
    }  # fmt: skip


@pytest.fixture
def ledger(ledger_url: str) -> Any:
    with Ledger.open(ledger_url) as opened:
        opened.append("decisions", ROWS, now=NOW)
        opened.append("predictions", [prediction(unit) for unit in "ab"], now=NOW)
        outcome = {"prediction_id": "p-b", "outcome": 1.0, "maturity": "mature", "outcome_known_at": NOW}
        opened.append("outcomes", [outcome], now=NOW)
        yield opened


def test_an_event_is_counted_once_with_its_newest_decision(ledger: Ledger) -> None:
    found = {row["scope"]: (row["n"], row["n_unknown"]) for row in queries.points(ledger, WINDOW)}
    above = [row["unit"] for row in queries.above_assisted(ledger, WINDOW)]

    assert found == {"deployment": (9, 2), "operations": (1, 0)}
    assert above == ["b", "c", "frozen", "person", "halted", "calm", "elsewhere", "old", "let"]


def test_units_that_acting_was_allowed_for_are_found_at_their_first_decision(ledger: Ledger) -> None:
    found = queries.allowed(ledger, WINDOW)
    within = queries.allowed(ledger, queries.Window(WINDOW.since, NOW, "operations"))

    assert [row["decision_id"] for row in found] == ["d-000", "d-002", "d-009", "d-011"]
    assert [row["unit"] for row in within] == ["elsewhere"]


def test_a_unit_is_known_as_its_newest_outcome_says(ledger: Ledger) -> None:
    found = {unit.name: unit for _, unit in units(ledger, queries.allowed(ledger, WINDOW), {}, NOW)}

    assert {name: unit.known for name, unit in found.items()} == {
        "a": Known.PENDING, "b": Known.BAD, "elsewhere": Known.LOST, "let": Known.LOST,
    }  # fmt: skip
    assert found["b"].is_held_out


def test_what_holds_now_is_the_newest_of_a_unit(ledger: Ledger) -> None:
    acting = [row["unit"] for row in queries.valid_now(ledger, WINDOW) if queries.acts(row)]

    assert acting == ["frozen", "halted", "elsewhere", "old"]


def test_an_act_has_the_decision_that_it_carries_out(ledger: Ledger) -> None:
    acts = [
        {"act_key": key, "decision_id": by, "decision": "d", "action": "hold", "unit": "u", "hook": "ci",
         "state": state, "made_at": NOW}
        for key, by, state in (("k", "d-000", "claimed"), ("k", "d-000", "done"), ("lost", "gone", "claimed"))
    ]  # fmt: skip
    ledger.append("acts", acts, now=NOW)

    found = [(row["act_key"], row["state"], row["is_decided"], row["scope"]) for row in queries.newest_acts(ledger)]

    assert found == [("k", "done", True, "deployment"), ("lost", "claimed", False, None)]


def test_a_whole_record_lacks_nothing(ledger: Ledger) -> None:
    assert queries.missing_rows(ledger) == {}
    assert queries.newest_predictions(ledger) == {("d", "e"): NOW - HOUR}


def test_windows_of_one_day_are_one_piece_of_evidence(ledger: Ledger) -> None:
    rows = [
        {**row, "subject": {"service_key": "web", "window_at": f"2026-03-01T0{n}:00:00Z"}}
        for n, row in enumerate(queries.allowed(ledger, WINDOW)[:2])
    ]

    found = {unit.cluster for _, unit in units(ledger, rows, {("d", "e"): ("service_key", "window_at")}, NOW)}

    assert found == {"web|2026-03-01"}
