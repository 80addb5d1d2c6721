"""Orders under a budget, and the forms that GitHub asks for."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.contracts.values import Freshness, Level, Scope, Verdict
from weaver_forge.errors import UsageError
from weaver_forge.hooks import github
from weaver_forge.hooks.ci_gate import GateAnswer, GateRequest
from weaver_forge.hooks.rank_tests import Budget, cut, ordered, parse_budget, rank
from weaver_forge.policy import Policy, Ruling

RULING = Ruling(
    verdict=Verdict.ALLOW,
    level=Level.ASSISTED,
    scope=Scope.DEVELOPMENT,
    freshness=Freshness.FRESH,
    applied=False,
    exit_code=0,
    reasons=("100 % sure: a, b\nsecond line",),
    rules=(),
    expires_at=None,
)


def _answer(**changes: Any) -> GateAnswer:
    ruling = replace(RULING, **changes)
    request = GateRequest(decision="test_selection", match={"revision": "abc"})
    return GateAnswer(decision_id="id-1", request=request, entity="tests", unit="h/o/n|abc", subject={}, ruling=ruling)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("25%", Budget(share=0.25)),
        (" 100 % ", Budget(share=1.0)),
        ("10m", Budget(duration_ms=600e3)),
        ("600s", Budget(duration_ms=600e3)),
        ("1.5h", Budget(duration_ms=5400e3)),
    ],
)
def test_a_budget_is_a_share_or_a_time(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "0%", "101%", "-5m", "10", "25 percent", "0s"])
def test_a_budget_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_budget(text)


def test_the_order_is_by_score_then_probability_then_name() -> None:
    rows = [
        {"test_id": "b", "score": None, "probability": 0.5},
        {"test_id": "a", "score": None, "probability": 0.5},
        {"test_id": "nothing", "score": None, "probability": None},
        {"test_id": "broken", "score": float("nan"), "probability": 0.9},
        {"test_id": "first", "score": 2.0, "probability": 0.1},
    ]

    assert [test.test_id for test in ordered(rows, {})] == ["first", "a", "b", "broken", "nothing"]


@given(
    durations=st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=1, max_size=30),
    budget=st.one_of(st.builds(Budget, share=st.floats(0.01, 1)), st.builds(Budget, duration_ms=st.floats(1, 1e6))),
)
def test_no_budget_loses_a_test_or_runs_none(durations: list[float | None], budget: Budget) -> None:
    """Run and rest together are all tests, each in order; run is never empty, nor over budget without a word."""
    known = {f"t{n:02}": duration for n, duration in enumerate(durations)}
    tests = ordered([{"test_id": name, "probability": 0.5} for name in known], known)

    ranking = cut(tests, budget)

    assert ranking.run
    assert sorted((*ranking.run, *ranking.rest), key=lambda test: test.rank) == list(tests)
    assert list(ranking.run) == sorted(ranking.run, key=lambda test: test.rank)
    over = sum(t.expected_ms for t in ranking.run) > budget.of(sum(t.expected_ms for t in tests)) * 1.001
    assert not over or any("smaller than any test" in r or "no test's duration" in r for r in ranking.reasons)


def test_a_test_that_is_too_long_waits_and_shorter_ones_still_run() -> None:
    durations = {"slow": 900.0, "a": 40.0, "b": 40.0, "c": 40.0}
    rows = [{"test_id": name, "score": -place} for place, name in enumerate(durations)]

    ranking = cut(ordered(rows, durations), Budget(duration_ms=100.0))

    assert [test.test_id for test in ranking.run] == ["a", "b"]
    assert [test.test_id for test in ranking.rest] == ["slow", "c"]
    assert any("1 better placed" in reason for reason in ranking.reasons)


def test_a_time_without_known_durations_runs_everything_and_says_so() -> None:
    tests = ordered([{"test_id": "a", "probability": 0.5}, {"test_id": "b", "probability": 0.4}], {})

    ranking = cut(tests, Budget(duration_ms=1.0))

    assert (len(ranking.run), ranking.rest) == (2, ())
    assert "no test's duration is known" in ranking.reasons[0]


def test_unknown_without_any_known_test_says_run_the_whole_suite() -> None:
    ranking = rank(
        _answer(verdict=Verdict.UNKNOWN, reasons=("nothing published",)), Policy(version=1), Budget(share=0.25)
    )

    assert ranking.run_everything
    assert "run the whole suite" in ranking.reasons[1]


def test_annotations_are_escaped_as_the_runner_reads_them() -> None:
    line = github.annotation(_answer())

    title, _, message = line.partition("::")[2].partition("::")
    assert message == "100 %25 sure: a, b%0Asecond line"
    assert title.startswith("notice title=Weaver Forge%3A ALLOW")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("verdict", "code", "kind"),
    [
        (Verdict.DENY, 1, "error"),
        (Verdict.REVIEW, 3, "error"),
        (Verdict.DENY, 0, "notice"),
        (Verdict.UNKNOWN, 0, "warning"),
    ],
)
def test_the_annotation_is_as_loud_as_the_verdict(verdict: Verdict, code: int, kind: str) -> None:
    assert github.annotation(_answer(verdict=verdict, exit_code=code)).startswith(f"::{kind} ")


def test_summary_and_outputs_are_written_only_inside_github(tmp_path: Path) -> None:
    inside = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }

    assert github.report(_answer(), {"GITHUB_STEP_SUMMARY": str(tmp_path / "no")}.get) == []
    assert len(github.report(_answer(), inside.get)) == 1

    assert (tmp_path / "output").read_text(encoding="utf-8") == "verdict=allow\ndecision_id=id-1\n"
    assert "ALLOW" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("before", [0, github.SUMMARY_LIMIT - 10, github.SUMMARY_LIMIT - 200])
def test_a_summary_never_passes_the_limit_at_which_github_refuses_all_of_it(tmp_path: Path, before: int) -> None:
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * before)
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}

    github.report(_answer(), variables.get, "ä" * github.SUMMARY_LIMIT)

    assert before <= summary.stat().st_size <= github.SUMMARY_LIMIT
    summary.read_text(encoding="utf-8")


def test_what_others_wrote_is_no_markup() -> None:
    answer = _answer(reasons=("<img src=x> [a](b) `c`",))

    assert "<img" not in github.summary_markdown(answer).replace("\\<", "")


def test_dates_of_an_answer_are_utc_with_z() -> None:
    from weaver_forge.hooks.facts import plain

    assert plain({"at": datetime(2026, 3, 1, 12)}) == {"at": "2026-03-01T12:00:00Z"}
