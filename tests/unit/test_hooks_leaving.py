"""What a ranking leaves for later: as far as it is earned, never silently all or nothing, and on record to the test."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.contracts.values import Level, Verdict
from weaver_forge.errors import SourceError
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, gate
from weaver_forge.hooks.rank_tests import Ranking, left, parse_budget, rank
from weaver_forge.hooks.reproducing import About, reproduced
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.policy import PredictionView, Question, draw_of, effective, evaluate, in_force, parse
from weaver_forge.policy.judging import may_wait
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
RULES = "scope: development, ceiling: autonomous, skip_below: 0.1"
CHANCES = {"a": 0.5, "b": 0.05, "c": 0.02, "d": 0.3}
REVISION = next(f"r{n}" for n in range(500) if draw_of("t", f"h/o/n|r{n}", "ci") >= 0.05)
HELD_OUT = next(f"r{n}" for n in range(500) if draw_of("t", f"h/o/n|r{n}", "ci") < 0.02)


def earned(level: Level) -> Standings:
    return Standings(levels={("t", "tests", "leave", "development"): level})


class FakeSnapshot:
    """Predictions of one revision's tests, and what these take, as ``Snapshot`` gives them."""

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

    def rows(self, _sql: str, _parameters: list[str]) -> list[dict[str, Any]]:
        """Fails."""
        raise SourceError("the file is gone")

    def predictions(self, _decision: str, _entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """Fails."""
        raise SourceError(f"the file is gone, {match}")


def row(test: str, chance: float | None, revision: str = REVISION, age_hours: float = 1.0) -> dict[str, Any]:
    return {
        "repo_id": "h/o/n", "revision": revision, "test_id": test, "probability": chance, "score": None,
        "made_at": NOW - timedelta(hours=age_hours), "prediction_id": f"p-{test}", "sources_missing": "[]",
    }  # fmt: skip


def ask(
    folder: Path,
    *,
    rules: str = RULES,
    level: Level = Level.AUTONOMOUS,
    chances: Mapping[str, float | None] = CHANCES,
    revision: str = REVISION,
    age_hours: float = 1.0,
    durations: Mapping[str, float | None] | None = None,
    budget: str = "",
    always: frozenset[str] = frozenset(),
    **more: Any,
) -> tuple[GateAnswer, Ranking]:
    text = f"version: 1\n{more.pop('top', '')}decisions:\n  t: {{{rules}}}\n"
    rows = more.pop("rows", [row(name, chance, revision, age_hours) for name, chance in chances.items()])
    snapshot: Any = more.pop("kind", FakeSnapshot)(rows, durations if durations is not None else dict.fromkeys(chances))
    around = Circumstances(**{
        "snapshot": snapshot, "policy": in_force(text, "policy.yaml"), "policy_text": text,
        "ledger": lambda: Ledger.open(f"sqlite:///{folder / 'l.sqlite'}"), "spool": folder / "spool", "now": NOW,
        "entropy": os.urandom(10), "standings": earned(level), **more,
    })  # fmt: skip
    made: list[Ranking] = []

    def choose(answer: GateAnswer) -> Any:
        made.append(rank(answer, around.policy, parse_budget(budget) if budget else None, always=always))
        return left(answer, made[0], budget)

    match = {"repo_id": "h/o/n", "revision": revision}
    return gate(GateRequest(decision="t", match=match, acts_on="low"), around, choose), made[0]


def ids(ranking: Ranking) -> tuple[list[str], list[str]]:
    return [test.test_id for test in ranking.run], [test.test_id for test in ranking.rest]


def recorded(folder: Path, answer: GateAnswer) -> dict[str, Any]:
    with Ledger.open(f"sqlite:///{folder / 'l.sqlite'}") as ledger:
        found = ledger.decision(answer.decision_id)
    assert found is not None
    return found


def test_autonomous_leaves_what_is_below_the_threshold_and_records_it(tmp_path: Path) -> None:
    answer, ranking = ask(tmp_path)

    assert ids(ranking) == (["a", "d"], ["b", "c"])
    assert "2 of 4 tests are below the threshold and left for later: autonomous has been earned" in ranking.reasons[0]
    assert "below the threshold: t.skip_below=0.1" in ranking.why_later(ranking.rest[0])
    written = recorded(tmp_path, answer)
    told = left_of(written["inputs"])
    assert told is not None
    names = [id_.removeprefix("p-") for id_ in written["prediction_ids"]]
    assert (told.n, told.rule) == (4, "t.skip_below=0.1")
    assert {names[at] for at in told.below} == {names[at] for at in told.skipped} == {"b", "c"}
    assert (written["action"], written["applied"], written["exit_code"]) == ("leave", True, 0)
    assert (written["inputs"]["takes"], written["inputs"]["acts"]) == (True, True)


def test_policy_judges_the_likeliest_test_that_may_wait(tmp_path: Path) -> None:
    """What the verdict rests on is what comes nearest to having to run, not what runs in any case."""
    answer, _ = ask(tmp_path)

    assert answer.question is not None
    assert answer.question.prediction is not None
    assert answer.question.prediction.probability == pytest.approx(0.05)


def test_assisted_orders_only_and_says_what_would_wait(tmp_path: Path) -> None:
    answer, ranking = ask(tmp_path, level=Level.ASSISTED)

    assert ids(ranking) == (["a", "d", "b", "c"], [])
    assert ranking.reasons[0] == "2 of 4 tests would be left for later; level assisted: it is said, and all of them run"
    told = left_of(recorded(tmp_path, answer)["inputs"])
    assert told is not None
    assert (len(told.below), told.skipped, answer.ruling.exit_code) == (2, (), 0)


def test_supervised_leaves_nothing_without_a_persons_yes_and_stops_nobody(tmp_path: Path) -> None:
    before, all_of_them = ask(tmp_path, level=Level.SUPERVISED)
    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        until = NOW + timedelta(hours=1)
        yes = {"decision_id": before.decision_id, "decision": "t", "unit": before.unit, "hook": "ci", "actor": "ana",
               "reason": "go", "approved_at": NOW, "expires_at": until}  # fmt: skip
        ledger.append("approvals", [yes], now=NOW)

    after, some = ask(tmp_path, level=Level.SUPERVISED)

    assert (ids(all_of_them)[1], before.ruling.exit_code) == ([], 0)
    assert "with a person's yes" in all_of_them.reasons[0]
    assert (ids(some)[1], after.ruling.exit_code) == (["b", "c"], 0)
    assert "a person said yes" in some.reasons[0]


def test_the_holdout_runs_everything_and_the_record_says_what_would_have_waited(tmp_path: Path) -> None:
    answer, ranking = ask(tmp_path, revision=HELD_OUT)

    told = left_of(recorded(tmp_path, answer)["inputs"])
    assert (ids(ranking)[1], answer.ruling.held_out) == ([], True)
    assert "drawn into the holdout, so all of them run" in ranking.reasons[0]
    assert told is not None
    assert (len(told.below), told.skipped) == (2, ())


@pytest.mark.parametrize(
    ("rules", "paths"),
    [
        (", protected_paths: ['*.lock']", ("poetry.lock",)),
        (", protected_paths: ['*.lock']", None),
        (", freeze: [{days: [fri], reason: release day}]", ()),
    ],
)
def test_a_persons_rule_lets_everything_run(tmp_path: Path, rules: str, paths: tuple[str, ...] | None) -> None:
    """Of a change that touches protected paths, or may touch them, every test runs, and nobody is stopped."""
    answer, ranking = ask(tmp_path, rules=RULES + rules, changed_paths=lambda _: paths)

    assert (ids(ranking)[1], answer.ruling.exit_code) == ([], 0)
    assert "a rule that a person wrote lets all of them run" in ranking.reasons[0]


def test_what_always_runs_is_not_left_and_the_record_says_so(tmp_path: Path) -> None:
    answer, ranking = ask(tmp_path, always=frozenset({"b", "a"}))

    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        again = reproduced(ledger, About(id=answer.decision_id))["left"]
    assert ids(ranking) == (["a", "d", "b"], ["c"])
    assert ranking.always == {"b"}
    assert again["same"] is None  # these predictions were never written to the ledger
    told = left_of(recorded(tmp_path, answer)["inputs"])
    assert told is not None
    assert (len(told.always), len(told.below)) == (1, 1)


def test_where_every_test_is_below_the_threshold_one_runs_and_it_is_said(tmp_path: Path) -> None:
    _, ranking = ask(tmp_path, chances=dict.fromkeys("abc", 0.01))

    assert ids(ranking) == (["a"], ["b", "c"])
    assert "every test is below the threshold: the best placed one runs all the same" in ranking.reasons


@pytest.mark.parametrize(
    ("rules", "chances", "says"),
    [
        ("scope: development, ceiling: autonomous", CHANCES, "no threshold says what may be skipped"),
        (RULES, {"a": 0.5, "b": 0.3}, "reaches skip_below 0.1"),
        (RULES, {"a": None, "b": None}, "no probability"),
    ],
)
def test_where_no_test_may_wait_it_is_said_why(
    tmp_path: Path, rules: str, chances: Mapping[str, float | None], says: str
) -> None:
    _, ranking = ask(tmp_path, rules=rules, chances=chances)

    assert sorted(test.test_id for test in ranking.run) == sorted(chances)
    assert ranking.rest == ()
    assert any(says in reason for reason in ranking.reasons)


def test_a_test_without_a_probability_of_its_own_runs(tmp_path: Path) -> None:
    _, ranking = ask(tmp_path, chances={**CHANCES, "new": None})

    assert "new" in ids(ranking)[0]
    assert ids(ranking)[1] == ["b", "c"]


def test_a_threshold_from_money_follows_each_tests_duration(tmp_path: Path) -> None:
    """0.5 EUR a minute and 100 EUR an escape: 10 minutes may wait below 0.05, one minute below 0.005."""
    top = "costs: {currency: EUR, ci_minute: 0.5, escape: 100}\n"
    rules = RULES.replace("0.1", "from_costs")
    durations = {"a": 600e3, "long": 600e3, "short": 60e3, "untimed": None}
    chances = {"a": 0.5, "long": 0.04, "short": 0.04, "untimed": 0.0001}

    answer, ranking = ask(tmp_path, top=top, rules=rules, chances=chances, durations=durations)

    written = recorded(tmp_path, answer)
    told = left_of(written["inputs"])
    assert ids(ranking)[1] == ["long"]
    assert told is not None
    assert dict(zip(written["prediction_ids"], told.durations_ms, strict=True)) == {
        f"p-{name}": ms for name, ms in durations.items()
    }
    assert written["inputs"]["question"]["prediction"]["duration_ms"] == pytest.approx(600e3)
    assert "0.05 for 10 minutes" in " ".join(written["rules"])


def test_a_budget_cuts_what_policy_lets_run_and_both_are_told_apart(tmp_path: Path) -> None:
    answer, ranking = ask(tmp_path, durations=dict.fromkeys(CHANCES, 1000.0), budget="25%")

    told = left_of(recorded(tmp_path, answer)["inputs"])
    assert ids(ranking) == (["a"], ["d", "b", "c"])
    assert [ranking.why_later(test).split(":")[0] for test in ranking.rest] == [
        "no room in the budget", "below the threshold", "below the threshold",
    ]  # fmt: skip
    assert told is not None
    assert (len(told.skipped), len(told.over_budget), told.budget) == (2, 1, "25%")


@given(
    chances=st.lists(st.one_of(st.none(), st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=12),
    limit=st.floats(0, 1),
    ages=st.lists(st.floats(-1, 200), min_size=12, max_size=12),
    durations=st.lists(st.one_of(st.none(), st.floats(0, 1e7)), min_size=12, max_size=12),
    is_given=st.booleans(),
)
def test_many_at_once_are_judged_as_each_alone(
    chances: list[float | None], limit: float, ages: list[float], durations: list[float | None], is_given: bool
) -> None:
    value = repr(limit) if is_given else "from_costs"
    costs = "costs: {currency: EUR, ci_minute: 0.5, escape: 100}\n"
    policy = parse(f"version: 1\n{costs}decisions: {{t: {{max_age_hours: 24, skip_below: {value}}}}}\n", "p")
    views = [
        PredictionView(probability=p, made_at=NOW - timedelta(hours=age), duration_ms=ms)
        for p, age, ms in zip(chances, ages, durations, strict=False)
    ]
    asked = Question(decision="t", on="low", holds=False, now=NOW)

    at_once = tuple(may_wait(effective(policy, "t"), asked, views))

    alone = [
        evaluate(policy, Question(decision="t", on="low", holds=False, now=NOW, prediction=v)).takes for v in views
    ]
    assert list(at_once) == alone


STALE = {"age_hours": 300.0}
ODD: dict[str, dict[str, Any]] = {
    "fresh": {},
    "stale": STALE,
    "missing": {"rows": []},
    "no number": {"chances": {**CHANCES, "a": float("nan")}},
    "two that disagree": {"rows": [row("a", 0.01), row("a", 0.5)]},
    "from the future": {"age_hours": -3.0},
    "unreadable": {"kind": Unreadable},
}


@pytest.mark.parametrize("state", ODD)
@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("mode", ["fail_open", "fail_closed"])
def test_what_cannot_be_trusted_lets_everything_run_whatever_has_been_earned(
    tmp_path: Path, state: str, level: Level, mode: str
) -> None:
    """The verdict table for an action that leaves tests for later; a budget cuts no order that is none."""
    rules = f"{RULES}, max_age_hours: 168, on_unknown: {mode}"
    budget = "" if state == "fresh" else "25%"

    answer, ranking = ask(tmp_path, rules=rules, level=level, budget=budget, ledger=None, **ODD[state])

    ruling, told = answer.ruling, answer.left
    assert told is not None
    if state == "fresh":
        assert (ruling.verdict, ruling.exit_code) == (Verdict.ALLOW, 0)
        assert ranking.skipped == (frozenset("bc") if level is Level.AUTONOMOUS else frozenset())
        return
    assert (ruling.verdict, ruling.exit_code) == (Verdict.UNKNOWN, 3 if mode == "fail_closed" else 0)
    assert (ranking.rest, ranking.run_everything) == ((), True)
    assert ranking.reasons[0].startswith("RUN EVERYTHING")
    assert (told.n, told.below, told.rest) == (0, (), ())


def test_a_ledger_that_is_down_stops_no_choice_and_the_record_waits_in_the_spool(tmp_path: Path) -> None:
    def down() -> Ledger:
        raise SourceError("no answer")

    answer, ranking = ask(tmp_path, ledger=down)

    assert ids(ranking)[1] == ["b", "c"]
    assert answer.recorded.startswith("spool")
    assert any("ledger cannot be reached" in note for note in answer.notes)


def test_a_budget_of_acts_that_nobody_can_count_is_used_up(tmp_path: Path) -> None:
    """Without the ledger nobody knows how much has been left for later already, so nothing is."""
    answer, ranking = ask(tmp_path, rules=RULES + ", rate_limit: {max: 5, per_hours: 24}", ledger=None)

    assert ids(ranking)[1] == []
    assert any("counts as used up" in reason for reason in answer.ruling.reasons)


def test_a_rate_limit_counts_what_was_left_for_later(tmp_path: Path) -> None:
    rules = RULES + ", rate_limit: {max: 1, per_hours: 24}"
    others = [n for n in range(500) if draw_of("t", f"h/o/n|r{n}", "ci") >= 0.05 and f"r{n}" != REVISION]

    first = ask(tmp_path, rules=rules)[1]
    again = ask(tmp_path, rules=rules)[1]
    second = ask(tmp_path, rules=rules, revision=f"r{others[0]}")[1]

    assert [bool(made.skipped) for made in (first, again, second)] == [True, True, False]


def test_standings_and_a_switch_that_cannot_be_read_leave_nothing_for_later(tmp_path: Path) -> None:
    (tmp_path / "standings.json").write_text("{broken")
    unread = read_standings(tmp_path)
    (tmp_path / "halted.json").write_text("{broken")
    halted = read_standings(tmp_path)

    for standings in (unread, halted):
        answer, ranking = ask(tmp_path, standings=standings)

        assert ids(ranking)[1] == []
        assert any("cannot be read" in note for note in answer.notes)
