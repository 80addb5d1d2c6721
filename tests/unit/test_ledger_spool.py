"""Decisions written where no ledger is in reach get into it exactly once."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.errors import ContractError
from weaver_forge.ledger import Ledger, spool

NOW = datetime(2026, 3, 1, 12)
LATER = datetime(2026, 3, 2, 12)


def decision(**changes: Any) -> dict[str, Any]:
    row = {
        "decision": "test_selection",
        "entity": "tests",
        "unit": "local/a|r1",
        "hook": "ci_gate",
        "verdict": "unknown",
        "level": "assisted",
        "scope": "development",
        "applied": False,
        "exit_code": 0,
        "made_at": NOW,
        "reasons": ["nothing published"],
    }
    return {**row, **changes}


def test_a_spooled_decision_keeps_the_time_it_was_made_and_gets_the_time_it_was_recorded(
    tmp_path: Path,
) -> None:
    path = spool.append(tmp_path / "spool", decision(), now=NOW)
    with Ledger.open("sqlite://") as ledger:
        done = spool.drain(tmp_path / "spool", ledger, LATER)

        row = ledger.tail("decisions", 1)[0]

    assert done == spool.Drained(1, 0, ())
    assert (row["made_at"], row["recorded_at"], row["reasons"]) == (NOW, LATER, ["nothing published"])
    assert not path.exists()


def test_a_drain_killed_before_it_removed_the_files_takes_nothing_twice(tmp_path: Path) -> None:
    path = spool.append(tmp_path, decision(), now=NOW)
    content = path.read_bytes()
    with Ledger.open("sqlite://") as ledger:
        spool.drain(tmp_path, ledger, LATER)
        path.write_bytes(content)

        again = spool.drain(tmp_path, ledger, LATER)

        assert again == spool.Drained(0, 1, ())
        assert ledger.verify().n_batches == 1
    assert not path.exists()


def test_bad_lines_are_reported_and_kept_and_cost_only_themselves(tmp_path: Path) -> None:
    good = spool.append(tmp_path, decision(decision_id="d-1"), now=NOW)
    lines = [
        good.read_text().strip(),
        '{"kind": "decisions", "row": {"decision_id": "d-2", "verdict": "allow"}}',
        '{"kind": "decisions", "ro',
        '{"kind": "scores", "row": {}}',
        "[]",
        "\x00",
        good.read_text().strip().replace("d-1", "d-3"),
    ]
    joined = tmp_path / "joined.jsonl"
    joined.write_text("\n".join(lines) + "\n\n")
    good.unlink()

    with Ledger.open("sqlite://") as ledger:
        done = spool.drain(tmp_path, ledger, LATER)

        assert [row["decision_id"] for row in ledger.tail("decisions", 9)] == ["d-1", "d-3"]
    assert done.n_taken == 2
    assert {item.position for item in done.rejected} == {f"line {n}" for n in (2, 3, 4, 5, 6)}
    assert [path.name for path in tmp_path.iterdir()] == ["joined.jsonl.rejected"]
    assert len((tmp_path / "joined.jsonl.rejected").read_text().splitlines()) == 5


def test_a_decision_is_spooled_with_its_policy_and_taken_in_with_it(tmp_path: Path) -> None:
    policy = {"policy_sha256": "abc", "text": "v: 1", "first_used_at": NOW}
    spool.append(tmp_path, decision(policy_sha256="abc"), now=NOW)
    spool.append(tmp_path, policy, now=NOW, kind="policies")
    spool.append(tmp_path, policy, now=LATER, kind="policies")

    with Ledger.open("sqlite://") as ledger:
        assert spool.drain(tmp_path, ledger, LATER) == spool.Drained(2, 1, ())
        assert spool.drain(tmp_path, ledger, LATER) == spool.Drained(0, 0, ())


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    """Lines are written under another name and renamed when they are whole and on disk."""
    part = tmp_path / ".x.jsonl.part"
    part.write_text('{"kind"')

    with Ledger.open("sqlite://") as ledger:
        done = spool.drain(tmp_path, ledger, LATER)

    assert done == spool.Drained(0, 0, ())
    assert part.exists()


def test_files_stay_when_the_ledger_cannot_take_them(tmp_path: Path) -> None:
    path = spool.append(tmp_path, decision(), now=NOW)
    ledger = Ledger.open("sqlite://")
    ledger._store.execute("drop table decisions")

    with pytest.raises(Exception, match="no such table"):
        spool.drain(tmp_path, ledger, LATER)

    ledger.close()
    assert json.loads(path.read_text())["row"]["verdict"] == "unknown"


def test_what_cannot_be_spooled_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be spooled"):
        spool.append(tmp_path, {}, now=NOW, kind="scores")
    with pytest.raises(ContractError, match="not JSON"):
        spool.append(tmp_path, decision(reasons=[float("nan")]), now=NOW)

    assert not list(tmp_path.iterdir())


def test_a_spool_that_is_not_there_is_empty(tmp_path: Path) -> None:
    with Ledger.open("sqlite://") as ledger:
        assert spool.drain(tmp_path / "none", ledger, NOW) == spool.Drained(0, 0, ())
