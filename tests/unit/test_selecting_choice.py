"""A selection: as far as earned, never silently all or nothing, recorded so that it can be made again."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.contracts.values import Level
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, gate
from weaver_forge.hooks.reproducing import About, reproduced
from weaver_forge.hooks.selecting.aim import Aim, aim_of, read_aim
from weaver_forge.hooks.selecting.always import Fired
from weaver_forge.hooks.selecting.past import Past, PastRun, past_of
from weaver_forge.hooks.selecting.selection import Selection, as_left, select
from weaver_forge.hooks.standing import Standings
from weaver_forge.ledger import Ledger
from weaver_forge.policy import Select, draw_of, in_force
from weaver_forge.policy.leaving import left_of

NOW = datetime(2026, 3, 6, 15)
KIND = {
    "entity": "tests",
    "key": ["repo_id", "revision", "test_id"],
    "decided_per": ["repo_id", "revision"],
    "table": "p",
    "actions": [{"name": "leave", "on": "low", "doc": "tests wait"}],
}
SPEC = {"name": "t", "kinds": [KIND], "sources": {}, "score_unit": "p"}
CHANCES = {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.1}
TAKES = {"a": 100.0, "b": 100.0, "c": 100.0, "d": 700.0}
REVISION = next(f"r{n}" for n in range(500) if draw_of("t", f"h/o/n|r{n}", "ci") >= 0.05)
HELD_OUT = next(f"r{n}" for n in range(500) if draw_of("t", f"h/o/n|r{n}", "ci") < 0.02)
HALF = read_aim("target 30%")


def past(n: int, first: float = 0.25) -> Past:
    """Failing runs, all but one in forty of which showed a failure at once and the others at the end."""
    return past_of([PastRun(NOW, NOW, 4, (1.0,) if k % 40 == 39 else (first,), (0.5,)) for k in range(n)], "time")


class FakeSnapshot:
    """Predictions of one revision's tests, and what these take."""

    version, path = 7, Path("serving-000007.duckdb")

    def __init__(self, rows: list[dict[str, Any]], durations: Mapping[str, float | None]) -> None:
        self.specs, self._rows, self._durations = {"t": SPEC}, rows, durations

    def tables(self) -> list[str]:
        """Verdicts of runs."""
        return ["core_ci__test_verdicts"]

    def rows(self, _sql: str, _parameters: list[str]) -> list[dict[str, Any]]:
        """Mean durations."""
        return [{"test_id": name, "duration_ms": ms} for name, ms in self._durations.items()]

    def predictions(self, _decision: str, _entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows that match."""
        return [row for row in self._rows if all(row.get(k) == v for k, v in match.items())]


class Unreadable(FakeSnapshot):
    """A snapshot whose file has gone."""

    def predictions(self, _decision: str, _entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """Fails."""
        raise SourceError(f"the file is gone, {match}")


def row(test: str, chance: float | None, revision: str, age_hours: float) -> dict[str, Any]:
    return {
        "repo_id": "h/o/n", "revision": revision, "test_id": test, "probability": chance, "score": None,
        "made_at": NOW - timedelta(hours=age_hours), "prediction_id": f"p-{test}", "sources_missing": "[]",
    }  # fmt: skip


def ask(
    folder: Path,
    aim: Aim = HALF,
    *,
    level: Level = Level.AUTONOMOUS,
    rules: str = "scope: development, ceiling: autonomous",
    known: Past | None = None,
    fired: tuple[Fired, ...] = (),
    chances: Mapping[str, float | None] = CHANCES,
    durations: Mapping[str, float | None] = TAKES,
    revision: str = REVISION,
    age_hours: float = 1.0,
    kind: type[FakeSnapshot] = FakeSnapshot,
    **more: Any,
) -> tuple[GateAnswer, Selection]:
    text = f"version: 1\ndecisions:\n  t: {{{rules}}}\n"
    rows = [row(name, chance, revision, age_hours) for name, chance in chances.items()]
    around = Circumstances(**{
        "snapshot": kind(rows, durations), "policy": in_force(text, "policy.yaml"), "policy_text": text,
        "ledger": lambda: Ledger.open(f"sqlite:///{folder / 'l.sqlite'}"), "spool": folder / "spool", "now": NOW,
        "entropy": os.urandom(10), "standings": Standings(levels={("t", "tests", "leave", "development"): level}),
        **more,
    })  # fmt: skip
    made: list[Selection] = []

    def choose(answer: GateAnswer) -> Any:
        made.append(select(answer, around.policy, aim, known if known is not None else past(80), fired))
        return as_left(answer, made[0])

    match = {"repo_id": "h/o/n", "revision": revision}
    answer = gate(GateRequest(decision="t", match=match, acts_on="low", aim=aim.words), around, choose)
    return answer, made[0]


def ids(selection: Selection) -> tuple[list[str], list[str]]:
    return [test.test_id for test in selection.ranking.run], [test.test_id for test in selection.ranking.rest]


def test_confidence_runs_the_share_that_past_runs_needed(tmp_path: Path) -> None:
    answer, found = ask(tmp_path, read_aim("confidence 95%"), known=past(80, first=0.25))

    assert ids(found) == (["a", "b"], ["c", "d"])  # 0.2 of the time; the third would pass 0.25
    assert found.share == pytest.approx(0.25)
    assert answer.ruling.acts
    assert "2 of 4 tests now, 2 left for later: autonomous has been earned" in found.ranking.reasons[0]


@pytest.mark.parametrize("aim", ["confidence 90%", "confidence 95%"])
def test_a_confidence_that_is_reached_is_said_to_be_reached(tmp_path: Path, aim: str) -> None:
    _, found = ask(tmp_path, read_aim(aim), known=past(80, first=0.25))

    assert found.runs is not None
    assert (found.runs.caught, found.runs.n) == (78, 80)  # a failure within 0.25 runs, whatever ends before it here


def test_the_confidence_said_is_that_of_the_part_that_runs_with_n_and_interval(tmp_path: Path) -> None:
    _, found = ask(tmp_path, read_aim("target 30%"), known=past(80, first=0.25))

    assert found.runs is not None
    assert (found.runs.caught, found.runs.n) == (78, 80)
    assert "90 % interval" in found.runs.words


@pytest.mark.parametrize("aim", ["time 300ms", "target 30%"])
def test_a_time_and_a_share_of_it_cut_the_same_order(tmp_path: Path, aim: str) -> None:
    _, found = ask(tmp_path, read_aim(aim))

    assert ids(found) == (["a", "b", "c"], ["d"])


def test_where_no_duration_is_known_shares_are_of_tests_and_so_is_the_confidence(tmp_path: Path) -> None:
    known = past_of([PastRun(NOW, NOW, 4, (0.9,), (0.5,)) for _ in range(40)], "time")

    _, found = ask(tmp_path, read_aim("confidence 90%"), known=known, durations=dict.fromkeys(CHANCES))

    assert ids(found) == (["a", "b"], ["c", "d"])
    assert found.runs is not None
    assert (found.of_tests, found.runs.caught) == (True, 40)
    assert "the first 50.0% of the tests" in found.later_words


def test_too_few_failing_runs_run_everything_and_say_so(tmp_path: Path) -> None:
    _, found = ask(tmp_path, read_aim("confidence 95%"), known=past(12))

    assert ids(found) == (["a", "b", "c", "d"], [])
    assert not found.ranking.below
    assert found.ranking.reasons[0].startswith("EVERYTHING RUNS: insufficient data: 12 of 30 failing runs")


def test_a_selection_is_never_empty(tmp_path: Path) -> None:
    _, found = ask(tmp_path, read_aim("time 1ms"))
    _, sure = ask(tmp_path, read_aim("confidence 50%"), known=past(80, first=0.001))

    assert ids(found)[0] == ids(sure)[0] == ["a"]


def test_a_selection_of_everything_says_so(tmp_path: Path) -> None:
    _, found = ask(tmp_path, read_aim("target 100%"))

    assert ids(found)[1] == []
    assert found.ranking.reasons[0].startswith("EVERYTHING RUNS: all 4 tests are in target 100%")


def test_a_rule_of_the_change_runs_everything_and_is_named_with_its_path(tmp_path: Path) -> None:
    answer, found = ask(tmp_path, fired=(Fired("lock_file", "uv.lock"),))

    assert ids(found)[1] == []
    assert found.ranking.reasons[0].startswith("EVERYTHING RUNS: lock_file uv.lock: everything runs")
    assert answer.left is not None
    assert answer.left.fired == ("lock_file uv.lock: everything runs, versions of dependencies",)
    assert (answer.left.below, len(answer.left.always)) == ((), 1)


def test_changed_tests_run_beside_the_selection(tmp_path: Path) -> None:
    _, found = ask(tmp_path, read_aim("target 10%"), fired=(Fired("changed_test", "test_d.py", ("d",)),))

    assert ids(found) == (["a", "d"], ["b", "c"])
    assert found.share == pytest.approx(0.1)  # what past runs are held against ends at the first gap


@pytest.mark.parametrize("level", [Level.ASSISTED, Level.SUPERVISED])
def test_below_autonomous_everything_is_to_run_and_what_would_wait_is_recorded(tmp_path: Path, level: Level) -> None:
    answer, found = ask(tmp_path, level=level)

    assert ids(found)[1] == []
    assert found.ranking.below == ("d",)
    assert found.ranking.reasons[0].startswith("EVERYTHING RUNS: 1 of 4 tests would be left for later")
    assert answer.left is not None
    assert (len(answer.left.below), answer.left.skipped, answer.ruling.exit_code) == (1, (), 0)


def test_the_holdout_runs_everything(tmp_path: Path) -> None:
    answer, found = ask(tmp_path, revision=HELD_OUT)

    assert answer.ruling.held_out
    assert ids(found)[1] == []
    assert "drawn into the holdout" in found.ranking.reasons[0]


UNKNOWN: dict[str, dict[str, Any]] = {
    "stale": {"age_hours": 25},
    "missing": {"revision": REVISION, "chances": {}},
    "not a number": {"chances": {"a": 0.5, "b": float("nan")}},
    "above 1": {"chances": {"a": 0.5, "b": 1.2}},
    "from the future": {"age_hours": -1},
    "snapshot that cannot be read": {"kind": Unreadable},
    "no snapshot": {"snapshot": None, "problem": "nothing is published"},
}


@pytest.mark.parametrize("state", UNKNOWN)
@pytest.mark.parametrize(("mode", "code"), [("fail_open", 0), ("fail_closed", 3)])
def test_what_cannot_be_trusted_runs_everything_whatever_has_been_earned(
    tmp_path: Path, state: str, mode: str, code: int
) -> None:
    rules = f"scope: development, ceiling: autonomous, on_unknown: {mode}"

    answer, found = ask(tmp_path, rules=rules, **UNKNOWN[state])

    assert (str(answer.ruling.verdict), answer.ruling.exit_code) == ("unknown", code)
    assert found.ranking.run_everything
    assert found.ranking.rest == ()
    assert found.ranking.reasons[0].startswith("RUN EVERYTHING")


def test_an_order_without_probabilities_can_be_cut(tmp_path: Path) -> None:
    answer, found = ask(tmp_path, chances={"a": None, "b": None})

    assert str(answer.ruling.verdict) == "allow"
    assert ids(found) == (["a"], ["b"])


@pytest.mark.parametrize("aim", ["confidence 95%", "time 250ms", "target 30%"])
def test_a_selection_is_made_again_from_the_ledger_alone(tmp_path: Path, aim: str) -> None:
    fired = (Fired("changed_test", "test_c.py", ("c",)),)
    answer, found = ask(tmp_path, read_aim(aim), fired=fired)
    _record_predictions(tmp_path)

    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        again = reproduced(ledger, About(id=answer.decision_id))

    assert again["again"]["same"] is True
    assert (again["left"]["same"], again["left"]["why"]) == (True, "")
    assert sorted(again["left"]["below"]) == sorted(found.ranking.below)
    assert again["left"]["fired"] == [fired[0].words]
    told = left_of(answer.question and {"left": answer.left.as_data()} if answer.left else None)
    assert told == answer.left


def _record_predictions(folder: Path) -> None:
    with Ledger.open(f"sqlite:///{folder / 'l.sqlite'}") as ledger:
        ledger.append(
            "predictions",
            [
                {
                    "prediction_id": f"p-{name}", "idempotency_key": name, "decision": "t", "entity": "tests",
                    "subject": {"repo_id": "h/o/n", "revision": REVISION, "test_id": name}, "unit": f"h/o/n|{REVISION}",
                    "predicted_at": NOW, "made_at": NOW - timedelta(hours=1), "origin": "live", "probability": chance,
                    "baseline_name": "b", "model_name": "m", "model_version": "1", "is_baseline": False,
                    "data_as_of": NOW, "feature_sha256": "", "resolve_by": NOW, "evidence": [], "candidates": [],
                    "sources_missing": [],
                }
                for name, chance in CHANCES.items()
            ],
            now=NOW,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [({"confidence": "95%"}, "confidence 95%"), ({"time": "10m"}, "time 10m"), ({"target": "12.5%"}, "target 12.5%")],
)
def test_an_aim_is_read_and_written_alike(given: dict[str, str], words: str) -> None:
    aim = aim_of(**{"confidence": None, "time": None, "target": None, **given}, policy=None)

    assert aim.words == words
    assert read_aim(aim.words) == aim


def test_a_flag_wins_over_the_policy_and_the_policy_over_the_default() -> None:
    nothing: dict[str, Any] = {"confidence": None, "time": None, "target": None}
    policy = Select(time_minutes=5.0)

    assert aim_of(**{**nothing, "target": "20%"}, policy=policy).words == "target 20%"
    assert aim_of(**nothing, policy=policy).words == "time 5m"
    assert aim_of(**nothing, policy=None).words == "confidence 95%"


@pytest.mark.parametrize(
    "given", [{"confidence": "100%"}, {"confidence": "0.95"}, {"time": "25%"}, {"target": "10m"}, {"time": "soon"}]
)
def test_what_cannot_be_meant_is_refused_with_an_example(given: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        aim_of(**{"confidence": None, "time": None, "target": None, **given}, policy=None)

    assert "Write" in caught.value.do


def test_two_aims_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="different things"):
        aim_of(confidence="95%", time="10m", target=None, policy=None)
