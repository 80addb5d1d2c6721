"""What looking up, appending and assessing again cost does not grow with the ledger: counted in SQLite's own steps.

Steps of its virtual machine are the same on any machine, however busy it is: a look-up that became a scan shows as ten
times as many among ten times the rows, while one that goes by an index stays as it was.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assets.measuring import ledger_corpus
from models.test_selection import SPEC
from weaver_forge.ledger import Ledger, queries
from weaver_forge.ledger.gathering import Asked, Gathering
from weaver_forge.ledger.queries_autonomy import acts_of

NOW = datetime(2026, 3, 1)
FEW, TIMES = 2_000, 10

Do = Callable[[Ledger, str], Any]


@dataclass
class Steps:
    """Counted while inside ``counting``."""

    n: int = 0

    def one_more(self) -> int:
        """Called at every step; 0 lets SQLite go on."""
        self.n += 1
        return 0


@contextmanager
def counting(ledger: Ledger) -> Generator[Steps]:
    """Count the steps that SQLite takes for this ledger."""
    steps, connection = Steps(), ledger._store._connection  # type: ignore[attr-defined] # SQLite's own
    connection.set_progress_handler(steps.one_more, 1)
    try:
        yield steps
    finally:
        connection.set_progress_handler(None, 1)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Few rows, and ten times as many."""
    folder = tmp_path_factory.mktemp("grown")
    few, many = folder / "few.sqlite", folder / "many.sqlite"
    for path, n in ((few, FEW), (many, FEW * TIMES)):
        ledger_corpus.fill(path, decisions=n, resolved=n)
    return few, many


def decision(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": name, "decision": "deploy_risk", "entity": "changes", "unit": name, "hook": "ci_gate",
        "verdict": "allow", "level": "supervised", "scope": "deployment", "applied": True, "exit_code": 0,
        "made_at": NOW, **changes,
    }  # fmt: skip


def prediction_id(ledger: Ledger) -> str:
    return str(ledger.tail("predictions", 1)[0]["prediction_id"])


LOOKED_UP: dict[str, Do] = {
    "a decision by id": lambda ledger, _: ledger.decision(ledger_corpus.decision_id(777)),
    "a decision by unit and hook": lambda ledger, _: queries.newest_decision(
        ledger, decision="deploy_risk", unit=ledger_corpus.decision_unit(777), hook="ci_gate"
    ),
    "a decision with all that belongs to it": lambda ledger, _: queries.show(ledger, ledger_corpus.decision_id(777)),
    "a prediction by id": lambda ledger, _: ledger.prediction(prediction_id(ledger)),
    "the newest rows": lambda ledger, _: ledger.tail("decisions", 20),
    "what became of an act": lambda ledger, _: acts_of(ledger, "k"),
    "an approval": lambda ledger, _: ledger.approval(decision="deploy_risk", unit="u", hook="ci_gate", now=NOW),
}

APPENDED: dict[str, Do] = {
    "decisions": lambda ledger, tag: ledger.append("decisions", [decision(f"{tag}{n}") for n in range(5)], now=NOW),
    "a decision that is known": lambda ledger, tag: ledger.append("decisions", [decision(f"{tag}0")], now=NOW),
    "an outcome that supersedes one": lambda ledger, _: ledger.append(
        "outcomes", [{"prediction_id": prediction_id(ledger), "maturity": "pending"}], now=NOW
    ),
    "a claim": lambda ledger, tag: ledger.append(
        "acts",
        [
            {
                "act_key": tag, "decision_id": "d", "decision": "deploy_risk", "action": "hold", "unit": "u",
                "hook": "h", "state": "claimed", "made_at": NOW,
            }
        ],
        now=NOW,
    ),
}  # fmt: skip


def steps_of(path: Path, do: Do, tag: str) -> int:
    with Ledger.open(f"sqlite:///{path}") as ledger, counting(ledger) as steps:
        do(ledger, tag)
    return steps.n


@pytest.mark.parametrize("name", LOOKED_UP)
def test_looking_up_takes_as_many_steps_among_ten_times_the_rows(ledgers: tuple[Path, Path], name: str) -> None:
    few, many = (steps_of(path, LOOKED_UP[name], "") for path in ledgers)

    assert 0 < many <= 1.5 * few


@pytest.mark.parametrize("name", APPENDED)
def test_appending_takes_as_many_steps_among_ten_times_the_rows(ledgers: tuple[Path, Path], name: str) -> None:
    few, many = (steps_of(path, APPENDED[name], f"{name}-") for path in ledgers)

    assert 0 < many <= 1.5 * few


def test_assessing_what_was_added_takes_as_many_steps_among_ten_times_the_rows(
    ledgers: tuple[Path, Path], tmp_path: Path
) -> None:
    kind, steps = SPEC.kinds[0], []
    asked = [Asked(action=kind.actions[0], threshold=0.01, weights={"live": 1.0})]
    for path in ledgers:
        with Ledger.open(f"sqlite:///{path}") as ledger:
            look = partial(Gathering, ledger, SPEC.name, kind, tmp_path / path.stem)
            look().trials(asked)
            newest = ledger.tail("predictions", 3)
            known = [{"prediction_id": row["prediction_id"], "maturity": "unresolvable"} for row in newest]
            ledger.append("outcomes", known, now=NOW)
            with counting(ledger) as counted:
                gathering = look()
                gathering.trials(asked)
            assert gathering.is_from_kept
            steps.append(counted.n)

    assert 0 < steps[1] <= 1.5 * steps[0]


def test_a_scan_would_be_noticed(ledgers: tuple[Path, Path]) -> None:
    def scanned(ledger: Ledger, _: str) -> Any:
        return ledger.rows("decisions", "where r.actor = 'nobody'")

    few, many = (steps_of(path, scanned, "") for path in ledgers)

    assert many > 5 * few
