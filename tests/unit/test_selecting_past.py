"""What confidence means: counted on past runs, with n and interval, and nothing where too few failed."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from weaver_forge.hooks.selecting.past import NEEDED, Past, PastRun, past_of, past_run
from weaver_forge.hooks.selecting.telling import curve_as_data, curve_lines

START = datetime(2026, 3, 1)


def runs(*firsts: float | None) -> list[PastRun]:
    """Runs in time order by the share at which they showed their first failure; None: nothing failed."""
    return [
        PastRun(START + timedelta(hours=n), START + timedelta(hours=n + 1), 10, *([(at, 1.0), (at, 1.0)] if at else []))
        for n, at in enumerate(firsts)
    ]


def evenly(n: int) -> Past:
    """Failing runs that showed their failure at 1/n, 2/n, ... of the time."""
    return past_of(runs(*((place + 1) / n for place in range(n))), "time")


def test_a_confidence_is_the_share_that_caught_more_than_it_of_past_failing_runs() -> None:
    past = evenly(100)

    share = past.share_for(0.95)

    assert share == pytest.approx(0.96)  # the 96th of 100: a next one like them lies before it in 96 of 101 cases
    assert past.runs_caught(0.96).value == pytest.approx(0.96)


@pytest.mark.parametrize(("confidence", "needed"), [(0.5, 30), (0.95, 30), (0.99, 99)])
def test_too_few_failing_runs_give_no_share_and_say_how_many_are_needed(confidence: float, needed: int) -> None:
    few, enough = evenly(needed - 1), evenly(needed)

    assert few.share_for(confidence) is None
    assert few.insufficient(confidence) == f"insufficient data: {needed - 1} of {needed} failing runs"
    assert enough.share_for(confidence) is not None


def test_runs_without_a_failure_are_counted_and_say_nothing_about_recall() -> None:
    past = past_of(runs(None, 0.2, None, 0.4), "time")

    assert (past.n_runs, len(past.failing)) == (4, 2)
    assert past.runs_caught(0.3).value == pytest.approx(0.5)
    assert past.failures_caught(0.3).n == 4  # a second failure stood last in each


def test_nothing_failed_is_no_recall_of_zero_or_one() -> None:
    found = past_of(runs(None, None), "time").runs_caught(0.5)

    assert (found.value, found.low, found.high) == (None, None, None)
    assert "not known" in found.words


@given(st.integers(1, 120), st.data())
def test_the_interval_is_the_exact_one_of_clopper_and_pearson(n: int, data: st.DataObject) -> None:
    caught = data.draw(st.integers(0, n))
    past = past_of(runs(*[0.1] * caught, *[0.9] * (n - caught)), "time")

    found = past.runs_caught(0.5)

    assert (found.caught, found.n) == (caught, n)
    assert found.low == pytest.approx(beta.ppf(0.05, caught, n - caught + 1) if caught else 0.0, abs=1e-9)
    assert found.high == pytest.approx(beta.ppf(0.95, caught + 1, n - caught) if caught < n else 1.0, abs=1e-9)


def test_the_next_run_is_caught_at_least_as_often_as_was_asked() -> None:
    """Runs that come in any order: counted over all places that the next one may have among them."""
    n, confidence = 60, 0.9

    caught = [place <= 55 for place in range(1, n + 2)]  # the share is the 55th smallest of 60: ceil(.9 * 61)

    assert evenly(n).share_for(confidence) == pytest.approx(55 / 60)
    assert sum(caught) / len(caught) >= confidence


def test_a_row_of_the_table_is_read_as_it_was_written() -> None:
    row = {
        "predicted_at": START, "known_at": START, "n_tests": 4, "shares": "[0.25, 1.0]", "shares_tests": "[0.5, 1.0]",
    }  # fmt: skip

    assert past_run(row) == PastRun(START, START, 4, (0.25, 1.0), (0.5, 1.0))


def test_the_curve_rises_to_everything_and_names_its_data() -> None:
    data = curve_as_data(evenly(40))

    values = [point["runs_by_time"]["value"] for point in data["curve"]]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1.0)
    assert data["past"]["n_failing"] == 40
    assert "past runs of this repository" in data["means"]
    assert len(curve_lines(data)) == 27


def test_a_curve_of_too_few_runs_is_not_drawn() -> None:
    lines = curve_lines(curve_as_data(evenly(NEEDED - 1)))

    assert lines[0] == f"insufficient data: {NEEDED - 1} of {NEEDED} failing runs"
