"""What the budgets of a policy are counted in, on both databases: different units, in the window, by prediction."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries_usage import acted_units, decided_units

NOW = datetime(2026, 3, 1, 12)
ABOUT: dict[str, Any] = {"decision": "d", "action": "hold_change", "unit": "me", "now": NOW, "hours": 24}


def _row(n: int, unit: str, **changes: Any) -> dict[str, Any]:
    row = {
        "decision_id": f"d-{n:03d}",
        "decision": "d",
        "entity": "changes",
        "unit": unit,
        "hook": "ci",
        "verdict": "deny",
        "level": "autonomous",
        "scope": "deployment",
        "applied": True,
        "exit_code": 1,
        "action": "hold_change",
        "made_at": NOW - timedelta(hours=1),
        "inputs": {"by": "prediction", "question": {}},
    }
    return {**row, **changes}


ROWS = [
    _row(0, "a"),
    _row(1, "a"),  # asked again
    _row(2, "b", made_at=NOW),
    _row(3, "c", made_at=NOW - timedelta(hours=24)),  # just outside
    _row(4, "d", made_at=NOW + timedelta(seconds=1)),  # from a clock ahead of ours
    _row(5, "me"),
    _row(6, "e", exit_code=0, applied=False),  # shadow, holdout or approved
    _row(7, "f", verdict="unknown", exit_code=3),
    _row(8, "g", inputs={"by": "person", "question": {}}),
    _row(9, "h", action="hold_deployment"),
    _row(10, "i", decision="other"),
    _row(11, "j", level="supervised", exit_code=3),
    _row(12, "k", inputs=None, verdict="review", level="supervised", exit_code=3),  # as older programs wrote it
]


@pytest.fixture
def written(ledger_url: str) -> Any:
    """A ledger with a decision of every sort."""
    with Ledger.open(ledger_url) as ledger:
        ledger.append("decisions", ROWS, now=NOW)
        yield ledger


def test_units_that_a_prediction_held_back_in_the_window_count_once(written: Ledger) -> None:
    assert acted_units(written, stops=False, **ABOUT) == 2  # a, b
    assert acted_units(written, stops=True, **ABOUT) == 4  # and j, k


def test_every_unit_that_was_decided_on_counts_towards_the_share(written: Ledger) -> None:
    assert decided_units(written, **ABOUT) == 7  # a, b, e, f, g, j, k


def test_the_decision_as_a_whole_is_told_apart_from_its_actions(written: Ledger) -> None:
    assert decided_units(written, **{**ABOUT, "action": ""}) == 0
    assert acted_units(written, stops=True, **{**ABOUT, "action": "hold_deployment"}) == 1


def test_what_holds_nothing_back_uses_a_budget_up_where_it_was_done(written: Ledger) -> None:
    done = {"by": "prediction", "acts": True, "question": {"holds": False}}
    said = {"action": "leave", "verdict": "allow", "exit_code": 0}
    rows = [
        _row(20, "a", **said, inputs=done),
        _row(21, "b", **said, inputs={**done, "acts": False}),
        _row(22, "c", **said, inputs=done, level="supervised"),
        _row(23, "d", **said, inputs={**done, "by": "person"}),
    ]
    written.append("decisions", rows, now=NOW)

    about = {**ABOUT, "action": "leave"}
    assert acted_units(written, stops=False, **about) == 1  # a
    assert acted_units(written, stops=True, **about) == 2  # and c
