"""Actions are taken at most once: claimed before, said after, and never repeated where nobody knows."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from weaver_forge.errors import UsageError
from weaver_forge.hooks.acts import Act, Acted, State, act_once, settle, undo
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries_autonomy import acts_of, uncertain_acts

NOW = datetime(2026, 3, 1)
ACT = Act(decision_id="0190", decision="anomaly", action="page", unit="shop|web", hook="pager")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def once(ledger: Ledger, done: list[str], *, act: Act = ACT, halted: str = "") -> Acted:
    def do() -> str:
        done.append(act.unit)
        return "paged ana"

    return act_once(ledger, act, do, clock=lambda: NOW, halted=lambda: halted)


def test_an_action_is_taken_once_however_often_and_by_whichever_decision_it_is_asked_for(ledger: Ledger) -> None:
    done: list[str] = []

    first = once(ledger, done)
    again = once(
        ledger, done, act=Act(decision_id="0191", decision="anomaly", action="page", unit="shop|web", hook="pager")
    )

    assert done == ["shop|web"]
    assert (first.state, first.is_new, first.detail) == (State.DONE, True, "paged ana")
    assert (again.state, again.is_new, again.is_uncertain) == (State.DONE, False, False)
    assert [row["state"] for row in acts_of(ledger, ACT.key)] == ["claimed", "done"]


def test_another_unit_action_or_hook_is_another_action() -> None:
    others = [
        Act(decision_id="0190", decision="anomaly", action="page", unit="shop|api", hook="pager"),
        Act(decision_id="0190", decision="anomaly", action="halt", unit="shop|web", hook="pager"),
        Act(decision_id="0190", decision="anomaly", action="page", unit="shop|web", hook="chat"),
    ]

    assert len({ACT.key, *(act.key for act in others)}) == 4


def test_a_failure_is_recorded_raised_and_not_tried_again(ledger: Ledger) -> None:
    def fail() -> str:
        raise OSError("no line")

    with pytest.raises(OSError, match="no line"):
        act_once(ledger, ACT, fail, clock=lambda: NOW, halted=str)
    done: list[str] = []

    again = once(ledger, done)

    assert (again.state, again.detail, done) == (State.FAILED, "OSError: no line", [])


def test_a_claim_that_nobody_finished_is_said_and_never_repeated_until_a_person_says_what_became_of_it(
    ledger: Ledger,
) -> None:
    class Killed(BaseException):
        """As if the process ended here."""

    def die() -> str:
        raise Killed

    with pytest.raises(Killed):
        act_once(ledger, ACT, die, clock=lambda: NOW, halted=str)
    done: list[str] = []

    again = once(ledger, done)
    listed = uncertain_acts(ledger)
    settle(ledger, ACT, State.FAILED, "ana: it was not paged", clock=lambda: NOW)

    assert (again.state, again.is_uncertain, done) == (State.CLAIMED, True, [])
    assert "not finished" in again.detail
    assert [row["unit"] for row in listed] == ["shop|web"]
    assert uncertain_acts(ledger) == []
    with pytest.raises(UsageError, match="cannot be settled"):
        settle(ledger, ACT, State.DONE, "", clock=lambda: NOW)


def test_a_halted_hook_claims_nothing(ledger: Ledger) -> None:
    done: list[str] = []

    said = once(ledger, done, halted="fire (ana)")

    assert (said.state, said.detail, done) == (State.HALTED, "fire (ana)", [])
    assert acts_of(ledger, ACT.key) == []


def test_a_halt_between_claim_and_action_stops_it(ledger: Ledger) -> None:
    answers = iter(["", "fire (ana)"])

    said = act_once(ledger, ACT, pytest.fail, clock=lambda: NOW, halted=lambda: next(answers))

    assert said.state is State.FAILED
    assert "nothing was done" in said.detail


def test_what_was_done_can_be_taken_back_once_and_is_not_done_again(ledger: Ledger) -> None:
    done: list[str] = []
    once(ledger, done)

    undone = undo(ledger, ACT, lambda: "page closed", clock=lambda: NOW)
    again = once(ledger, done)

    assert (undone.state, again.state, done) == (State.UNDONE, State.UNDONE, ["shop|web"])
    with pytest.raises(UsageError, match="nothing to take back"):
        undo(ledger, ACT, lambda: "", clock=lambda: NOW)


_HOOK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from weaver_forge.hooks.acts import Act, act_once
from weaver_forge.ledger import Ledger

folder, done = Path(sys.argv[1]), os.open(Path(sys.argv[1]) / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
clock = lambda: datetime.now(UTC).replace(tzinfo=None)
with Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
    print("ready", flush=True)
    for n in range(int(sys.argv[2])):
        act = Act(decision_id="d", decision="anomaly", action="page", unit=f"u{n}", hook="pager")
        act_once(ledger, act, lambda: str(os.write(done, f"u{n}\\n".encode())), clock=clock, halted=str)
"""


def test_processes_killed_at_random_points_take_no_action_twice(tmp_path: Path) -> None:
    n_units, waits = 40, np.random.default_rng(7).uniform(0, 0.02, 24)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}"):
        pass
    for round_ in range(12):
        hooks = [
            subprocess.Popen([sys.executable, "-c", _HOOK, str(tmp_path), str(n_units)], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for hook in hooks:
            assert hook.stdout is not None
            hook.stdout.readline()
        for number, hook in enumerate(hooks):
            time.sleep(waits[2 * round_ + number])
            hook.kill()
            hook.communicate()
    subprocess.run([sys.executable, "-c", _HOOK, str(tmp_path), str(n_units)], check=True, capture_output=True)

    done = Counter((tmp_path / "done").read_text().split())
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        uncertain = {row["unit"] for row in uncertain_acts(ledger)}
        states = Counter(row["state"] for row in ledger.rows("acts"))
        assert ledger.verify().ok

    assert max(done.values()) == 1
    assert set(done) | uncertain == {f"u{n}" for n in range(n_units)}
    assert states["claimed"] == n_units
    assert states["done"] == n_units - len(uncertain)
