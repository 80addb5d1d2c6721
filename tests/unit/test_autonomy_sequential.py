"""The statistics of earned autonomy: what they promise, simulated with a known precision and looked at all the time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.autonomy.sequential import (
    Floats,
    bias_evidence,
    log_evidence_above,
    log_evidence_below,
    lower_bound,
    trials_needed,
    worst_stretch,
    wrong_to_refute,
)

LOOKS, RUNS = 2000, 1000


def wrong_so_far(precision: float, *, seed: int, runs: int = RUNS) -> Floats:
    """Wrong trials after each look: runs x looks."""
    rng = np.random.default_rng(seed)
    return (rng.random((runs, LOOKS)) >= precision).cumsum(axis=1).astype(float)


def most_wrong(bar: float) -> Floats:
    """After each look, how many wrong trials still refute that the precision is at most the bar; -1 for none."""
    looks = np.arange(1.0, LOOKS + 1)
    low, high = np.full(LOOKS, -1.0), looks.copy()  # refutes at low, or low is -1; never at high: all are wrong
    while (high - low > 1).any():
        middle = np.maximum(np.floor((low + high) / 2), 0)
        refutes = log_evidence_above(looks - middle, middle, bar) >= math.log(20)
        low, high = np.where(refutes, middle, low), np.where(refutes, high, middle)
    return low


@pytest.mark.parametrize("bar", [0.5, 0.8, 0.95, 0.99])
def test_a_precision_that_is_just_the_bar_passes_it_in_one_run_of_twenty_at_most(bar: float) -> None:
    wrong = wrong_so_far(bar, seed=1)

    passed = (wrong <= most_wrong(bar)).any(axis=1).mean()

    assert passed <= 0.05


@pytest.mark.parametrize("precision", [0.3, 0.7, 0.9, 0.97])
def test_the_bound_stays_below_the_truth_at_all_times_in_95_of_100_runs(precision: float) -> None:
    wrong = wrong_so_far(precision, seed=2)

    above = (wrong <= most_wrong(precision)).any(axis=1).mean()  # the bound is above p where p itself is refuted

    assert above <= 0.05


def test_a_fixed_sample_bound_looked_at_all_the_time_would_not_hold() -> None:
    wrong, looks = wrong_so_far(0.95, seed=1)[:, 30:500], np.arange(31, 501)

    rate = 1 - wrong / looks
    z = 1.645
    wilson = (rate + z**2 / (2 * looks) - z * np.sqrt(rate * (1 - rate) / looks + z**2 / (4 * looks**2))) / (
        1 + z**2 / looks
    )

    assert (wilson > 0.95).any(axis=1).mean() > 0.15


def test_a_precision_well_above_the_bar_passes_it() -> None:
    wrong = wrong_so_far(0.99, seed=3)

    assert (wrong <= most_wrong(0.95)).any(axis=1).mean() > 0.99


@given(right=st.floats(0, 5000), wrong=st.floats(0, 5000))
def test_the_bound_is_where_the_evidence_reaches_its_threshold(right: float, wrong: float) -> None:
    bound = float(lower_bound(right, wrong))

    assert 0 <= bound <= right / (right + wrong + 1)
    if bound > 1e-9:
        assert log_evidence_above(right, wrong, bound * (1 - 1e-6)) >= math.log(20) - 1e-9
        assert log_evidence_above(right, wrong, min(bound * (1 + 1e-6), 1 - 1e-12)) <= math.log(20) + 1e-3


@given(right=st.integers(0, 400), wrong=st.integers(0, 60))
def test_one_more_that_is_right_raises_the_bound_and_one_that_is_wrong_lowers_it(right: int, wrong: int) -> None:
    now = lower_bound(right, wrong)

    assert lower_bound(right + 1, wrong) >= now
    assert lower_bound(right, wrong + 1) <= now


def test_the_evidence_is_what_integrating_the_likelihood_gives() -> None:
    claimed = np.linspace(0.8, 1, 200_001)
    likelihood = (claimed / 0.8) ** 30 * ((1 - claimed) / 0.2) ** 2

    assert log_evidence_above(30, 2, 0.8) == pytest.approx(math.log(likelihood.mean()), abs=1e-4)


def test_evidence_below_a_bar_mirrors_evidence_above_it() -> None:
    assert log_evidence_below(3, 17, 0.4) == pytest.approx(log_evidence_above(17, 3, 0.6))


def test_trials_that_weigh_less_count_less() -> None:
    assert lower_bound(100 * 0.3, 0) == pytest.approx(lower_bound(30, 0))
    assert lower_bound(0, 0) == pytest.approx(0)


@pytest.mark.parametrize(("bar", "needed"), [(0.5, 7), (0.8, 20), (0.95, 88), (0.99, 449)])
def test_how_many_clean_trials_a_bar_needs(bar: float, needed: int) -> None:
    assert trials_needed(bar) == needed
    assert lower_bound(needed, 0) >= bar > lower_bound(needed - 1, 0)


def test_a_wrong_trial_makes_more_right_ones_necessary_and_enough_is_enough() -> None:
    assert trials_needed(0.95, right=40, wrong=1) > trials_needed(0.95, right=40)
    assert trials_needed(0.95, right=1000, wrong=0) == 0


def test_any_order_of_the_promised_number_of_wrong_trials_refutes_the_bar() -> None:
    rng = np.random.default_rng(4)
    for length in (3, 10, 40, 150):
        k = wrong_to_refute(0.95, length, 200)
        for _ in range(20):
            recent = rng.permutation(np.arange(length) >= k)
            long_good = np.ones(500)

            evidence, _ = worst_stretch(np.concatenate([long_good, recent]), 0.95)

            assert evidence >= math.log(200)


def test_too_few_wrong_trials_can_be_promised_nothing() -> None:
    assert wrong_to_refute(0.5, 2, 200) == 3


def test_a_precision_at_the_bar_is_refuted_once_in_two_hundred_trials_at_most() -> None:
    rng = np.random.default_rng(5)
    waits = []
    for _ in range(60):
        is_right = rng.random(400) < 0.9
        alarms = (n for n in range(1, 401) if worst_stretch(is_right[:n], 0.9)[0] >= math.log(200))
        waits.append(next(alarms, 401))

    assert np.mean(waits) >= 200


def test_a_stretch_names_how_long_it_has_been_going_wrong() -> None:
    evidence, length = worst_stretch([True] * 50 + [False] * 4, 0.9)

    assert (length, evidence > math.log(200)) == (4, True)
    assert worst_stretch([True] * 50, 0.9) == (0.0, 0)
    assert worst_stretch([], 0.9) == (0.0, 0)


def test_probabilities_that_are_off_are_found_and_good_ones_are_not() -> None:
    rng = np.random.default_rng(6)
    p = rng.uniform(0.1, 0.9, 1500)

    good = bias_evidence(p, rng.random(1500) < p, 0.05)
    high = bias_evidence(p, rng.random(1500) < np.maximum(p - 0.2, 0), 0.05)
    low = bias_evidence(p, rng.random(1500) < np.minimum(p + 0.2, 1), 0.05)

    assert good < math.log(1500)
    assert min(high, low) > math.log(1e6)
