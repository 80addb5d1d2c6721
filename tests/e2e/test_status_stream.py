"""Real CI histories with a planted hold-back: the intervals of what was prevented and saved hold the known truth.

Every run of eight public histories is a unit, and whether it failed and how long it took is real. The hook is planted:
it would hold every run, the product's own lot draws who is left alone, and acting averts a failure four times of five
and skips three fifths of the minutes. So it is known, unit by unit, what acting changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets.verbs.benchmark import read_sets
from weaver_forge import settings
from weaver_forge.contracts.values import Level
from weaver_forge.hooks.asking import inputs_of
from weaver_forge.insights.status_effects import Known, Unit, prevented, saved
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries_status import Window, allowed
from weaver_forge.ledger.queries_status_units import units
from weaver_forge.policy import PredictionView, Question, draw_of, evaluate, parse

OUTSIDE = settings.test_data()
DECISION, ACTION = "deploy_risk", "hold_change"
SHARE, AVERTED, SKIPPED = 0.05, 0.8, 0.6
POLICY = f"""\
version: 1
decisions:
  {DECISION}: {{scope: deployment, ceiling: autonomous, deny_at: 0.7, holdout: {SHARE}}}
"""
AT = datetime(2026, 1, 1)
REPLAYS = 200
PRICE = Decimal("0.01")

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(OUTSIDE is None, reason="no outside data: set WEAVER_FORGE_TEST_DATA"),
]


@dataclass(frozen=True, slots=True)
class Run:
    """What really happened in a run."""

    name: str
    failed: bool
    minutes: float


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    assert OUTSIDE is not None
    return [run for data in read_sets(OUTSIDE / "tcp") for run in _runs(data.set, data.tables)]


def _runs(name: str, tables: Any) -> Iterator[Run]:
    if "core_ci__test_verdicts" not in tables:
        return
    ran = tables["core_ci__test_verdicts"].filter(pl.col("verdict") != "skipped")
    found = ran.group_by("revision").agg((pl.col("verdict") == "failed").any(), pl.col("duration_ms").sum())
    for revision, failed, ms in found.sort("revision").iter_rows():
        yield Run(f"{name}|{revision}", failed, ms / 60_000)


def planted(runs: list[Run], replay: int) -> tuple[list[Unit], int, float]:
    """The units of a replay, and what acting really averted and spared."""
    rng, found, averted, spared = np.random.default_rng(replay), [], 0, 0.0
    for run in runs:
        held_out = draw_of(DECISION, run.name, f"ci-{replay}") < SHARE
        fails = run.failed and (held_out or rng.random() >= AVERTED)
        averted += run.failed - fails
        spared += 0.0 if held_out else SKIPPED * run.minutes
        found.append(
            Unit(
                name=run.name,
                cluster=run.name,
                is_held_out=held_out,
                known=Known.BAD if fails else Known.GOOD,
                minutes=run.minutes * (1.0 if held_out else 1 - SKIPPED),
                price=PRICE,
                currency="EUR",
            )
        )
    return found, averted, spared


def test_the_intervals_hold_the_truth_in_nine_of_ten_replays(runs: list[Run]) -> None:
    held = {"prevented": 0, "saved": 0}
    for replay in range(REPLAYS):
        found, averted, spared = planted(runs, replay)
        bill = {"EUR": Decimal(10**9)}
        for name, truth, figure in (
            ("prevented", averted, prevented({}, found)),
            ("saved", spared * float(PRICE), saved({}, found, bill)),
        ):
            assert figure.low is not None
            assert figure.high is not None
            held[name] += float(figure.low) <= truth <= float(figure.high)

    assert len(runs) > 2000
    assert min(held.values()) >= 0.9 * REPLAYS, f"{held} of {REPLAYS}"


@pytest.mark.parametrize("replay", [0, 1])
def test_the_record_of_a_gate_gives_the_same_units(tmp_path: Path, runs: list[Run], replay: int) -> None:
    """Through policy, decision rows and the ledger's queries instead of by hand."""
    expected, _, _ = planted(runs, replay)
    policy = parse(POLICY, "policy.yaml")
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        for kind, made in (("predictions", _prediction), ("outcomes", _outcome)):
            ledger.append(kind, [made(unit) for unit in expected], now=AT)
        ledger.append("decisions", [_decision(policy, unit.name, f"ci-{replay}") for unit in expected], now=AT)
        window = Window(AT - timedelta(days=1), AT + timedelta(days=1))
        found = [unit for _, unit in units(ledger, allowed(ledger, window), {}, window.now)]

    assert [(u.name, u.is_held_out, u.known) for u in found] == [(u.name, u.is_held_out, u.known) for u in expected]
    assert prevented({}, found) == prevented({}, expected)


def _prediction(unit: Unit) -> dict[str, Any]:
    return {
        "prediction_id": unit.name, "decision": DECISION, "entity": "changes", "unit": unit.name,
        "subject": {"revision": unit.name}, "predicted_at": AT, "made_at": AT, "origin": "live", "probability": 0.9,
        "model_name": "m", "model_version": "1", "is_baseline": False,
    }  # fmt: skip


def _outcome(unit: Unit) -> dict[str, Any]:
    outcome = float(unit.known is Known.BAD)
    return {"prediction_id": unit.name, "outcome": outcome, "maturity": "mature", "outcome_known_at": AT}


def _decision(policy: Any, name: str, hook: str) -> dict[str, Any]:
    asked = Question(
        decision=DECISION, action=ACTION, now=AT, earned=Level.AUTONOMOUS, draw=draw_of(DECISION, name, hook),
        prediction=PredictionView(probability=0.9, made_at=AT),
    )  # fmt: skip
    ruling = evaluate(policy, asked)
    return {
        "decision": DECISION, "entity": "changes", "unit": name, "hook": hook, "prediction_ids": [name],
        "verdict": ruling.verdict, "level": ruling.level, "scope": ruling.scope, "applied": ruling.applied,
        "exit_code": ruling.exit_code, "rules": list(ruling.rules), "freshness": ruling.freshness, "made_at": AT,
        "expires_at": ruling.expires_at, "action": ACTION, "ceiling": ruling.ceiling, "earned": ruling.earned,
        "held_out": ruling.held_out, "draw": ruling.draw, "inputs": inputs_of(asked, ruling),
    }  # fmt: skip
