"""What the ledger promises, on both databases: SQLite, and a real PostgreSQL server where one can be started."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.errors import (
    ConfigurationError,
    ContractError,
    MissingInput,
    SourceError,
    UsageError,
    WeaverForgeError,
)
from weaver_forge.ledger import Ledger, queries
from weaver_forge.ledger.schema import CURRENT

NOW = datetime(2026, 3, 1, 12)


def prediction(n: int, **changes: Any) -> dict[str, Any]:
    row = {
        "prediction_id": f"p-{n:05d}",
        "decision": "test_selection",
        "entity": "tests",
        "subject": {"repo_id": "local/a", "revision": "r1", "test_id": f"t::{n}"},
        "unit": "local/a|r1",
        "predicted_at": NOW,
        "made_at": NOW,
        "origin": "live",
        "probability": 0.1,
        "baseline_probability": 0.2,
        "model_name": "recency_weighted_failure_rate",
        "model_version": "3",
        "is_baseline": False,
        "evidence": '[{"fact": "failed 3 of 9 runs", "contribution": 0.4, "link": null}]',
        "sources_missing": [],
        "resolve_by": NOW + timedelta(days=1),
    }
    return {**row, **changes}


def decision(**changes: Any) -> dict[str, Any]:
    row = {
        "decision_id": "d-1",
        "decision": "test_selection",
        "entity": "tests",
        "unit": "local/a|r1",
        "subject": {"repo_id": "local/a", "revision": "r1"},
        "hook": "ci_gate",
        "prediction_ids": ["p-00001"],
        "verdict": "review",
        "level": "supervised",
        "scope": "development",
        "applied": True,
        "exit_code": 3,
        "reasons": ["1 test likely fails"],
        "policy_sha256": "abc",
        "snapshot_version": 4,
        "made_at": NOW,
    }
    return {**row, **changes}


STANDING = {
    "decision": "d",
    "entity": "e",
    "action": "hold",
    "scope": "deployment",
    "level": "assisted",
    "previous_level": "assisted",
    "cause": "evidence",
    "reason": "12 of 90 trials",
    "ceiling": "autonomous",
    "n_trials": 12.0,
    "n_right": 12.0,
    "n_replay": 0,
    "n_pending": 3,
    "n_unresolvable": 0,
    "bound": 0.71,
    "assessed_at": NOW,
}

ACT = {
    "act_key": "k",
    "decision_id": "d-1",
    "decision": "d",
    "action": "hold",
    "unit": "u",
    "hook": "h",
    "state": "claimed",
    "made_at": NOW,
}


@pytest.fixture
def url(ledger_url: str) -> str:
    return ledger_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


def test_rows_come_out_as_they_went_in(ledger: Ledger) -> None:
    ledger.append("predictions", [prediction(1, value=1e-300, score=-0.0)], now=NOW)

    row = ledger.prediction("p-00001")

    assert row is not None
    assert row["subject"] == {"repo_id": "local/a", "revision": "r1", "test_id": "t::1"}
    assert row["predicted_at"] == NOW
    assert row["is_baseline"] is False
    assert repr(row["value"]) == "1e-300"
    assert row["evidence"] == [{"fact": "failed 3 of 9 runs", "contribution": 0.4, "link": None}]
    assert row["q_900"] is None
    assert row["recorded_at"] == NOW
    assert ledger.prediction("p-") is None


def test_a_prediction_already_there_adds_nothing_and_a_batch_with_nothing_new_writes_no_link(
    ledger: Ledger,
) -> None:
    first = ledger.append("predictions", [prediction(1), prediction(2)], now=NOW)

    again = ledger.append("predictions", [prediction(1, prediction_id="other")], now=NOW)
    mixed = ledger.append("predictions", [prediction(2), prediction(3), prediction(3)], now=NOW)

    assert (first, again, mixed) == (2, 0, 1)
    assert ledger.append("predictions", [], now=NOW) == 0
    found = ledger.verify()
    assert (found.ok, found.n_batches, found.n_rows) == (True, 2, 3)


def test_a_row_sent_twice_adds_nothing_but_one_that_says_otherwise_is_refused(ledger: Ledger) -> None:
    ledger.append("decisions", [decision()], now=NOW)

    again = ledger.append("decisions", [decision()], now=NOW + timedelta(hours=1))

    assert again == 0
    with pytest.raises(ContractError, match="says otherwise in \\['verdict'\\]"):
        ledger.append("decisions", [decision(verdict="allow")], now=NOW)


def test_a_batch_with_one_bad_row_adds_nothing(ledger: Ledger) -> None:
    with pytest.raises(ContractError):
        ledger.append("predictions", [prediction(1), prediction(2, probability=float("nan"))], now=NOW)
    with pytest.raises(ContractError):  # known to the database only: the id is taken under another key
        ledger.append("predictions", [prediction(1), prediction(2, prediction_id="p-00001")], now=NOW)

    assert ledger.verify().n_rows == 0
    assert ledger.append("predictions", [prediction(1)], now=NOW) == 1


def test_the_newest_outcome_holds_and_names_the_one_it_supersedes(ledger: Ledger) -> None:
    ledger.append("predictions", [prediction(n) for n in range(4)], now=NOW)
    outcome = {"prediction_id": "p-00001", "outcome": 1.0, "maturity": "mature", "outcome_known_at": NOW}
    ledger.append("outcomes", [{"prediction_id": "p-00001", "maturity": "pending"}], now=NOW)
    # The clock went backwards (a simulated one does): the order of the chain decides, not the clock.
    ledger.append("outcomes", [outcome, {**outcome, "outcome": 0.0}], now=NOW - timedelta(days=1))
    ledger.append("outcomes", [{"prediction_id": "p-00002", "maturity": "unresolvable"}], now=NOW)
    ledger.append("outcomes", [{"prediction_id": "p-00003", "maturity": "pending"}], now=NOW)

    resolved = ledger.resolved("test_selection", "tests")

    assert [(row["prediction_id"], row["outcome"]) for row in resolved] == [("p-00001", 0.0)]
    assert repr(resolved[0]["probability"]) == "0.1"
    assert ledger.resolved("test_selection", "tests", origin="replay") == []
    history = ledger.tail("outcomes", 5)[:3]
    assert [row["supersedes"] for row in history] == [None, history[0]["outcome_id"], history[1]["outcome_id"]]
    assert [row["prediction_id"] for row in ledger.unresolved("test_selection", "tests")] == [
        "p-00000",
        "p-00003",
    ]
    assert ledger.counts("test_selection", "tests") == {
        "live": {"n": 4, "n_mature": 1, "n_pending": 2, "n_unresolvable": 1}
    }
    assert ledger.counts("test_selection", "other") == {}


def test_an_approval_holds_until_the_instant_it_expires(ledger: Ledger) -> None:
    what = {"decision": "test_selection", "unit": "local/a|r1", "hook": "ci_gate"}
    row = {**what, "decision_id": "d-1", "actor": "ada", "approved_at": NOW}
    ledger.append("approvals", [{**row, "expires_at": NOW + timedelta(hours=1)}], now=NOW)

    held = ledger.approval(**what, now=NOW)

    assert held is not None
    assert held["actor"] == "ada"
    assert ledger.approval(**what, now=NOW + timedelta(hours=1)) is None
    assert ledger.approval(**what, now=NOW - timedelta(microseconds=1)) is None
    assert ledger.approval(**{**what, "hook": "git_hook"}, now=NOW) is None


def test_a_decision_is_shown_with_all_that_belongs_to_it(ledger: Ledger) -> None:
    ledger.append("predictions", [prediction(1)], now=NOW)
    ledger.append("policies", [{"policy_sha256": "abc", "text": "v: 1", "first_used_at": NOW}], now=NOW)
    ledger.append("decisions", [decision(), decision(decision_id="d-2", prediction_ids=[])], now=NOW)
    ledger.append("outcomes", [{"prediction_id": "p-00001", "maturity": "pending"}], now=NOW)

    shown = queries.show(ledger, "d-1")

    assert (shown["kind"], shown["id"], shown["policy"]) == ("decision", "d-1", "v: 1")
    assert [len(shown[part]) for part in ("decisions", "predictions", "outcomes", "approvals")] == [1, 1, 1, 0]
    assert [row["decision_id"] for row in queries.show(ledger, "p-")["decisions"]] == ["d-1"]
    for wrong in ("d-", "nothing", ""):
        with pytest.raises(UsageError):
            queries.show(ledger, wrong)


def test_a_policy_used_again_adds_nothing(ledger: Ledger) -> None:
    policy = {"policy_sha256": "abc", "text": "v: 1"}

    added = [ledger.append("policies", [{**policy, "first_used_at": NOW + timedelta(days=n)}], now=NOW) for n in (0, 1)]

    assert added == [1, 0]


def test_an_act_is_claimed_once_and_done_once(ledger: Ledger) -> None:
    states = ["claimed", "claimed", "done", "done", "claimed"]

    added = [ledger.append("acts", [{**ACT, "state": state}], now=NOW) for state in states]

    assert added == [1, 0, 1, 0, 0]
    assert ledger.append("acts", [{**ACT, "act_key": "other"}, {**ACT, "act_key": "other"}], now=NOW) == 1


def test_the_scoreboard_says_insufficient_data_as_data(ledger: Ledger) -> None:
    score = {"decision": "d", "entity": "e", "origin": "live", "n_pending": 0, "n_unresolvable": 0}
    good = {"value": 0.8, "low": 0.7, "high": 0.9, "gain": 0.1, "gain_low": 0.02, "gain_high": 0.2}
    ledger.append("scores", [{**score, "metric": "apfd", "n": 40, "value": 0.5}], now=NOW)
    ledger.append("scores", [{**score, **good, "metric": "apfd", "n": 90}], now=NOW)
    ledger.append("scores", [{**score, **good, "metric": "brier", "n": 12}], now=NOW)
    ledger.append("scores", [{**score, "metric": "auc", "n": 60, "value": None}], now=NOW)

    board = {row["metric"]: row for row in queries.scoreboard(ledger)}

    assert board["apfd"]["text"] == "0.8 [0.7, 0.9], n = 90"
    assert [board[name]["gain_text"] for name in ("apfd", "brier", "auc")] == ["+0.1 [+0.02, +0.2]", None, None]
    assert (board["apfd"]["state"], board["apfd"]["beats_baseline"]) == ("measured", True)
    assert (board["brier"]["text"], board["brier"]["value"]) == ("insufficient data: 12 of 30", None)
    assert (board["auc"]["state"], board["auc"]["beats_baseline"]) == ("not_estimable", None)


def test_the_newest_evaluation_says_promoted_or_not_and_why(ledger: Ledger) -> None:
    row = {"decision": "d", "entity": "e", "model_name": "m", "baseline_name": "b", "metric": "auc", "n": 9}
    for promoted in (True, False):
        ledger.append("evaluations", [{**row, "promoted": promoted, "reason": f"{promoted}"}], now=NOW)

    newest = ledger.latest_evaluations()

    assert [(found["promoted"], found["reason"]) for found in newest] == [(False, "False")]


def test_the_database_itself_refuses_to_change_or_remove_a_row(ledger: Ledger) -> None:
    """A guard against accidents; whoever drops the triggers is found by verify."""
    score = {"decision": "d", "entity": "e", "metric": "auc", "n": 9, "n_pending": 0, "n_unresolvable": 0}
    approval = {"decision_id": "d-1", "decision": "d", "unit": "u", "hook": "h", "actor": "ada"}
    one_of_each: dict[str, dict[str, Any]] = {
        "predictions": prediction(1),
        "decisions": decision(),
        "approvals": {**approval, "approved_at": NOW, "expires_at": NOW},
        "outcomes": {"prediction_id": "p-00001", "maturity": "pending"},
        "scores": {**score, "origin": "live"},
        "evaluations": {
            **{name: score[name] for name in ("decision", "entity", "metric", "n")},
            "model_name": "m",
            "baseline_name": "b",
            "promoted": True,
            "reason": "better",
        },
        "policies": {"policy_sha256": "abc", "text": "v: 1", "first_used_at": NOW},
        "standings": STANDING,
        "switches": {"scope": "all", "is_on": True, "actor": "ada", "reason": "drill", "made_at": NOW},
        "ceilings": {"scope": "all", "level": "assisted", "actor": "ada", "made_at": NOW},
        "acts": ACT,
        "quarantines": {
            **{name: name for name in ("repo_id", "test_id", "reason", "actor")},
            "state": "in",
            "made_at": NOW,
            "expires_at": NOW + timedelta(days=30),
        },
    }
    assert {*one_of_each, "roots"} == {table.kind for table in CURRENT.tables}
    for kind, row in one_of_each.items():
        assert ledger.append(kind, [row], now=NOW) == 1
    assert ledger.seal(now=NOW + timedelta(days=1))

    for kind in (*one_of_each, "roots", "chain"):
        for sql in (f'update "{kind}" set recorded_at = recorded_at', f'delete from "{kind}"'):
            with pytest.raises(WeaverForgeError, match="append-only"):
                ledger._store.execute(sql)

    assert (ledger.verify().ok, ledger.verify().n_rows) == (True, len(one_of_each) + 1)


def test_a_ledger_opened_again_goes_on_with_its_chain(url: str) -> None:
    for n in range(3):
        with Ledger.open(url) as opened:
            opened.append("predictions", [prediction(n)], now=NOW)

    with Ledger.open(url, create=False) as opened:
        found = opened.verify(known=opened.head())

    assert (found.ok, found.n_batches, found.n_rows) == (True, 3, 3)


def test_a_reader_sees_one_state_while_others_append(url: str) -> None:
    with Ledger.open(url) as reader, Ledger.open(url) as writer:
        writer.append("predictions", [prediction(1)], now=NOW)
        with reader._store.read():
            before = reader._store.query("select count(*) from chain")

            writer.append("predictions", [prediction(2)], now=NOW)

            assert reader._store.query("select count(*) from chain") == before == [(1,)]
        assert reader.verify().n_batches == 2


FIFTY = """
import sys
from datetime import datetime
from weaver_forge.ledger import Ledger

row = dict(decision="d", entity="e", unit="u", hook="h", verdict="allow", level="assisted",
           scope="development", applied=False, exit_code=0, made_at=datetime(2026, 3, 1))
with Ledger.open(sys.argv[1]) as ledger:
    for n in range(50):
        ledger.append("decisions", [{**row, "decision_id": f"{sys.argv[2]}-{n}"}], now=datetime(2026, 3, 1))
"""


def test_four_processes_that_append_at_once_lose_nothing(url: str) -> None:
    """They also create the ledger at once. Fresh processes, as hooks are: a fork would share the server's sockets."""
    writers = [
        subprocess.Popen([sys.executable, "-c", FIFTY, url, str(n)], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]

    said = [writer.communicate()[1] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 4, "".join(said)
    with Ledger.open(url) as opened:
        found = opened.verify()
        assert (found.ok, found.n_batches, found.n_rows) == (True, 200, 200)


WRITER = """
import sys
from datetime import datetime
from weaver_forge.ledger import Ledger

row = dict(decision="d", entity="e", unit="u", hook="h", verdict="allow", level="assisted",
           scope="development", applied=False, exit_code=0, made_at=datetime(2026, 3, 1))
with Ledger.open(sys.argv[1]) as ledger:
    for n in range(10**9):
        name = f"{sys.argv[2]}-{n}"
        ledger.append("decisions", [{**row, "decision_id": f"{name}-{i}"} for i in range(3)], now=row["made_at"])
        print(name, flush=True)
"""


def test_a_writer_killed_at_any_point_leaves_a_ledger_that_verifies_with_every_acknowledged_row(
    url: str,
) -> None:
    rng = random.Random(7)  # noqa: S311 - moments to kill at, no secrets
    acknowledged: list[str] = []
    for attempt in range(10):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url, str(attempt)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()

    with Ledger.open(url) as opened:
        found = opened.verify()
        kept = {row["decision_id"] for row in opened.rows("decisions", columns=("decision_id",))}

    assert found.ok, found.broken
    assert len(kept) % 3 == 0
    assert {f"{name}-{i}" for name in acknowledged for i in range(3)} <= kept


def test_a_ledger_that_may_not_be_made_is_missed(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        Ledger.open(f"sqlite:///{tmp_path / 'none.sqlite'}", create=False)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["mysql://host/db", "ledger.sqlite", ""])
def test_another_database_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///PATH or postgresql"):
        Ledger.open(wrong)


def test_a_server_out_of_reach_is_an_error_of_the_source_and_hides_the_password() -> None:
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("needs the extra [scale]")

    with pytest.raises(SourceError) as caught:
        Ledger.open("postgresql://ada:secret@127.0.0.1:9/ledger")

    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_a_file_that_is_no_database_is_an_error_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(os.urandom(5000))

    with pytest.raises(SourceError):
        Ledger.open(f"sqlite:///{path}")
