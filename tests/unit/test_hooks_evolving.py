"""What a plan has carried out: claimed first, recorded with its check, taken back to the byte, never while halted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli.evolve import _carried
from weaver_forge.errors import PolicyError, SourceError, UsageError
from weaver_forge.hooks import switch
from weaver_forge.hooks.acts import State
from weaver_forge.hooks.evolving import Workshop, carried_out, carry_out, take_back
from weaver_forge.hooks.reproducing import About, reproduced
from weaver_forge.hooks.status_points import active
from weaver_forge.hooks.status_sight import Sight
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.queries_status import Window
from weaver_forge.policy import parse

NOW = datetime(2026, 3, 1)
POLICY = "# kept\r\nversion: 1\ndecisions:\n  deploy_risk:\n    scope: deployment  # where\n"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Workshop]:
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(POLICY.encode())
    times = (NOW + timedelta(minutes=i) for i in range(1000))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield Workshop(
            policy=policy, published=tmp_path / "published", copies=tmp_path / "evolve", ledger=ledger,
            clock=lambda: next(times), actor="ana",
        )  # fmt: skip


def planned(path: str = "src/hot.py", *, edit: bool = True) -> dict[str, Any]:
    return {
        "item_id": f"id-{path}", "kind": "protect_path", "subject": {"path": path}, "what": f"protect {path}",
        "effect": {"text": "touches 3 bugs a month"}, "check": {"query": "select 1 as n, 0.1 as value"},
        "edit": {"decision": "deploy_risk", "pattern": path} if edit else None,
    }  # fmt: skip


def paths(work: Workshop) -> tuple[str, ...]:
    return parse(work.policy.read_text(), "p").decisions["deploy_risk"].protected_paths


def test_an_item_is_carried_out_and_stands_in_the_ledger_with_its_check(work: Workshop) -> None:
    acted = carry_out(work, planned())

    assert (acted.state, paths(work)) == (State.DONE, ("src/hot.py",))
    row = work.ledger.rows("decisions")[0]
    assert (row["hook"], row["actor"], row["level"]) == ("evolve", "ana", "supervised")
    assert row["inputs"]["check"]["query"] == "select 1 as n, 0.1 as value"
    assert [each["state"] for each in work.ledger.rows("acts", "order by batch_seq")] == ["claimed", "done"]
    assert [(each.item_id, each.state) for each in carried_out(work.ledger)] == [("id-src/hot.py", State.DONE)]
    assert work.ledger.verify().ok


def test_taking_it_back_gives_the_file_as_it_was_to_the_byte(work: Workshop) -> None:
    carry_out(work, planned())

    acted = take_back(work, "id-src/hot.py")

    assert work.policy.read_bytes() == POLICY.encode()
    assert acted.state is State.UNDONE
    assert carried_out(work.ledger)[0].state is State.UNDONE
    with pytest.raises(UsageError, match="nothing to take back"):
        take_back(work, "id-src/hot.py")


def test_several_are_taken_back_in_any_order(work: Workshop) -> None:
    for path in ("a/x.py", "b/y.py", "c/z.py"):
        carry_out(work, planned(path))

    for path in ("a/x.py", "c/z.py", "b/y.py"):
        take_back(work, f"id-{path}")

    assert work.policy.read_bytes() == POLICY.encode()


def test_what_others_changed_since_is_kept(work: Workshop) -> None:
    carry_out(work, planned())
    work.policy.write_text(work.policy.read_text() + "    ceiling: supervised\n")

    take_back(work, "id-src/hot.py")

    assert "ceiling: supervised" in work.policy.read_text()
    assert paths(work) == ()


def test_after_being_taken_back_it_may_be_done_again(work: Workshop) -> None:
    carry_out(work, planned())
    take_back(work, "id-src/hot.py")

    again = carry_out(work, planned())

    assert (again.state, paths(work)) == (State.DONE, ("src/hot.py",))
    take_back(work, "id-src/hot.py")
    assert work.policy.read_bytes() == POLICY.encode()


def test_while_anything_is_halted_nothing_is_changed(work: Workshop) -> None:
    switch.turn(work.published, scope="operations", is_on=True, actor="bo", reason="fire", now=NOW)

    acted = carry_out(work, planned())

    assert (acted.state, acted.detail) == (State.HALTED, "fire (bo)")
    assert _carried(work, planned())["exit_code"] == 3
    assert work.policy.read_bytes() == POLICY.encode()
    assert work.ledger.rows("acts") == []


def test_one_whose_hook_died_half_way_is_said_and_not_done_again(
    work: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As if the process ended here."""

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("weaver_forge.hooks.evolving._replace", die)
    with pytest.raises(Killed):
        carry_out(work, planned())
    monkeypatch.undo()

    again = carry_out(work, planned())

    assert again.is_uncertain
    assert work.policy.read_bytes() == POLICY.encode()


def test_a_file_that_somebody_changes_meanwhile_is_left_alone(work: Workshop) -> None:
    """Between the claim and the change; the clock is asked for the decision first, then for the claim."""
    theirs = POLICY + "  anomaly: {scope: operations}\n"
    asked: list[datetime] = []

    def clock() -> datetime:
        asked.append(NOW)
        if len(asked) == 2:
            work.policy.write_bytes(theirs.encode())
        return NOW

    with pytest.raises(SourceError, match="meanwhile"):
        carry_out(replace(work, clock=clock), planned())

    assert work.policy.read_bytes() == theirs.encode()
    assert carried_out(work.ledger)[0].state is State.FAILED


def test_what_people_have_to_do_is_never_done_here(work: Workshop) -> None:
    with pytest.raises(UsageError, match="by people"):
        carry_out(work, planned(edit=False))
    with pytest.raises(UsageError, match="nothing was carried out"):
        take_back(work, "unknown")


def test_a_policy_that_does_not_allow_it_is_left_alone(work: Workshop) -> None:
    work.policy.write_text("version: 1\ndecisions:\n  anomaly: {scope: operations}\n")

    with pytest.raises(PolicyError):
        carry_out(work, planned())
    assert work.ledger.rows("decisions") == []


def test_what_holds_until_it_is_taken_back_counts_as_in_force(work: Workshop, tmp_path: Path) -> None:
    carry_out(work, planned())
    sight = Sight(
        ledger=work.ledger, snapshot=None, no_snapshot="nothing is published", policy=parse(POLICY, "p"),
        overview=tmp_path / "none.json", window=Window(NOW - timedelta(days=1), NOW + timedelta(days=400)),
    )  # fmt: skip

    before = active(work.ledger, sight)
    take_back(work, "id-src/hot.py")
    after = active(work.ledger, sight)

    assert (before.value, after.value) == (1, 0)


def test_why_says_who_confirmed_it_and_what_was_done(work: Workshop) -> None:
    carry_out(work, planned())
    (row,) = work.ledger.rows("decisions")

    found = reproduced(work.ledger, About(id=row["decision_id"]))

    assert found["again"] == {"same": None, "why": "ana confirmed it, and no policy was asked", "differences": {}}
    assert [each["state"] for each in found["acts"]] == ["claimed", "done"]
    assert "protected_paths of deploy_risk" in found["acts"][-1]["detail"]
