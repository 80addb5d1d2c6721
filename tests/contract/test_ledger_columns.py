"""The ledger as columns says what it says as rows, on both databases; and the look-ups that hooks rest on."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge.errors import ConfigurationError, ContractError, SourceError
from weaver_forge.ledger import Ledger, columns, queries
from weaver_forge.ledger.columns_apart import Part, side_by_side
from weaver_forge.ledger.schema import PREDICTIONS

NOW = datetime(2026, 3, 1, 12)


def prediction(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": f"p-{n:03d}", "decision": "test_selection" if n % 4 else "anomaly", "entity": "tests",
        "subject": {"test_id": f"t\u00fc{n}", "repo_id": "a"}, "unit": "u", "predicted_at": NOW + timedelta(minutes=n),
        "made_at": NOW, "origin": "replay" if n % 5 == 0 else "live", "probability": n / 7, "model_name": "m",
        "model_version": "1", "is_baseline": bool(n % 2), "baseline_probability": None if n % 3 else 0.1, **changes,
    }  # fmt: skip


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """Forty predictions of two decisions; outcomes of most, some pending, some taken back, some changed twice."""
    with Ledger.open(ledger_url) as opened:
        opened.append("predictions", [prediction(n) for n in reversed(range(40))], now=NOW)
        for turn, maturity in enumerate(("mature", "pending", "mature", "unresolvable", "mature")):
            some = [n for n in range(40) if n % 7 >= turn and n % 11]
            known = {"outcome": float(turn), "outcome_known_at": NOW} if maturity == "mature" else {}
            rows = [{"prediction_id": f"p-{n:03d}", "maturity": maturity, "cost": 2.0, **known} for n in some]
            opened.append("outcomes", rows, now=NOW - timedelta(hours=turn))
        yield opened


@pytest.mark.parametrize("decision", ["test_selection", "anomaly", "none"])
@pytest.mark.parametrize("origin", [None, "live", "replay"])
def test_resolved_predictions_as_columns_are_those_as_rows(ledger: Ledger, decision: str, origin: str | None) -> None:
    rows = queries.resolved(ledger, decision, "tests", origin=origin)

    frame = queries.resolved_columns(ledger, decision, "tests", origin=origin)

    assert frame.height == len(rows)
    assert set(frame.columns) >= {*(column.name for column in PREDICTIONS.columns), "outcome", "cost"}
    for row, found in zip(rows, frame.iter_rows(named=True), strict=True):
        found["subject"] = json.loads(found["subject"])
        assert {name: found[name] for name in row} == row


def test_parts_read_by_processes_side_by_side_are_the_same(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = columns.resolved(ledger, "test_selection", "tests")
    monkeypatch.setattr(columns, "_APART", 1)

    found = columns.resolved(ledger, "test_selection", "tests")

    assert found.equals(expected)
    assert not found.is_empty()


def test_a_part_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger, pytest.raises(SourceError, match="could not be read"):
        side_by_side(ledger, [Part("predictions", "where nonsense", {}, ()), Part("policies", "", {}, ())], apart=True)


def test_chosen_columns_of_chosen_rows_come_in_their_types(ledger: Ledger) -> None:
    frame = columns.frame(
        ledger, "predictions", "where origin = :o order by batch_seq, position", {"o": "replay"},
        columns=("prediction_id", "made_at", "is_baseline", "probability"),
    )  # fmt: skip

    assert frame.schema == pl.Schema({
        "prediction_id": pl.String, "made_at": pl.Datetime("us"), "probability": pl.Float64, "is_baseline": pl.Boolean,
    })  # fmt: skip
    assert frame["prediction_id"].to_list() == [f"p-{n:03d}" for n in range(35, -1, -5)]
    assert columns.frame(ledger, "decisions").is_empty()
    with pytest.raises(ContractError):
        columns.frame(ledger, "guesses")


def test_without_polars_it_says_what_to_install(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(ConfigurationError, match=r"weaver-forge\[server\]"):
        columns.frame(ledger, "predictions")


def test_the_newest_decision_about_a_unit_at_a_hook_is_found(ledger: Ledger) -> None:
    row = {
        "decision": "d", "entity": "e", "unit": "u", "hook": "h", "verdict": "allow", "level": "assisted",
        "scope": "development", "applied": False, "exit_code": 0, "made_at": NOW,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [{}, {"verdict": "deny"}, {"hook": "other"}, {"unit": "v"}]
    for n, change in enumerate(changes):
        ledger.append("decisions", [{**row, **change, "decision_id": f"d-{n}"}], now=NOW - timedelta(hours=n))

    found = queries.newest_decision(ledger, decision="d", unit="u", hook="h")

    assert found is not None
    assert found["decision_id"] == "d-1"
    assert queries.newest_decision(ledger, decision="d", unit="w", hook="h") is None
