"""Event measures of alarms over time."""

import numpy as np
import polars as pl
import pytest

from weaver_forge.metrics import evaluate


def event_f1(outcome: list[int], called: list[int], unit: list[str] | None = None) -> float | None:
    frame = pl.DataFrame(
        {"unit": unit or ["a"] * len(outcome), "outcome": outcome, "probability": [0.9 * c for c in called]}
    )
    return evaluate(["event_f1"], frame, rng=np.random.default_rng(0), resamples=10)[0].value


def test_an_event_is_found_once_and_one_alarm_run_counts_once() -> None:
    assert event_f1([0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]) == pytest.approx(1.0)


def test_a_false_alarm_and_a_missed_event_both_cost() -> None:
    value = event_f1([1, 0, 0, 1, 0], [1, 0, 0, 0, 1])

    assert value == pytest.approx(0.5)


def test_runs_do_not_join_across_services() -> None:
    """Two services with an event at the border of the frame have two events, not one."""
    value = event_f1([0, 1, 1, 0], [0, 1, 0, 0], unit=["a", "a", "b", "b"])

    assert value == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_one_hit_does_not_make_a_whole_segment_count() -> None:
    """No point adjustment: alternating alarms within one event are several alarms but one event."""
    frame = pl.DataFrame({"unit": ["a"] * 5, "outcome": [1] * 5, "probability": [0.9, 0.1, 0.9, 0.1, 0.9]})

    recall = evaluate(["recall"], frame, rng=np.random.default_rng(0), resamples=10)[0]

    assert recall.value == pytest.approx(0.6)
    assert event_f1([1] * 5, [1, 0, 1, 0, 1]) == pytest.approx(1.0)


def test_without_a_true_event_there_is_no_number() -> None:
    assert event_f1([0, 0], [1, 0]) is None


def test_no_alarm_at_all_scores_zero() -> None:
    assert event_f1([0, 1], [0, 0]) == pytest.approx(0.0)
