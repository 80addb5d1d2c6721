"""The p-values are those of the permutations that they stand for, counted one by one where that can be done."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from weaver_forge.insights import exact, intervals


def test_kendalls_p_value_is_the_share_of_orders_that_rise_as_much() -> None:
    series = np.array([1.0, 3.0, 2.0, 4.0, 6.0, 5.0])

    p = exact.rising(series)

    def falling(order: tuple[float, ...]) -> int:
        return sum(b <= a for a, b in combinations(order, 2))

    orders = list(permutations(series))
    assert p >= sum(falling(o) <= falling(tuple(series)) for o in orders) / len(orders) - 1e-12
    assert exact._inversions_at_most(6)[2] == pytest.approx(sum(falling(o) <= 2 for o in orders) / len(orders))


def test_the_smallest_p_value_of_sixty_days_is_one_order_in_all_orders() -> None:
    """The tail keeps its digits down to 60!; an inversion count of 0 is one permutation."""
    assert exact._inversions_at_most(60)[0] == pytest.approx(1.2017e-82, rel=1e-3)


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.6])
def test_days_that_resemble_their_neighbours_make_no_trend(memory: float) -> None:
    """Without the guard a memory of 0.6 rejects four times too often at 5 %."""
    rng = np.random.default_rng(11)
    noise = rng.normal(size=(300, 110))
    series = np.zeros_like(noise)
    for day in range(1, noise.shape[1]):
        series[:, day] = memory * series[:, day - 1] + noise[:, day]

    p = np.array([exact.rising(each[50:]) for each in series])

    assert (p <= 0.05).mean() <= 0.08
    assert (p <= 0.001).mean() <= 0.007


def test_a_leak_that_begins_in_the_middle_is_seen_in_spite_of_the_guard() -> None:
    days = np.arange(60)
    rng = np.random.default_rng(2)
    leaking = np.log(4.0 * rng.lognormal(0, 0.03, 60) + 0.24 * np.clip(days - 34, 0, None))

    assert exact.rising(leaking) < 1e-4


def test_counts_of_events_with_known_chances_have_the_tails_of_all_their_outcomes() -> None:
    chances = np.array([0.5, 0.1, 0.0, 0.3])

    upper = exact.above_expected([2, 0], [chances, chances])
    lower = exact.below_expected([1, 3], [chances, chances])

    def mass(k: int) -> float:
        outcomes = product([0, 1], repeat=4)
        return float(
            sum(np.prod([p if x else 1 - p for x, p in zip(o, chances, strict=True)]) for o in outcomes if sum(o) == k)
        )

    assert upper == pytest.approx([mass(2) + mass(3), 1.0])
    assert lower == pytest.approx([mass(0) + mass(1), 1.0])


def test_a_small_tail_keeps_its_digits() -> None:
    p = exact.above_expected([40], [np.full(50, 0.005)])

    assert p[0] == pytest.approx(1.0273e10 * 0.005**40 * 0.995**10, rel=0.01)


def test_hits_are_exchanged_within_their_week_alone() -> None:
    """A property that all units of a bad week share explains nothing."""
    chosen = np.array([True] * 4 + [False] * 4)
    week = np.array([0] * 4 + [1] * 4)
    hit = chosen.copy()

    assert exact.more_often_in(chosen, hit, week) == pytest.approx(1.0)
    assert exact.more_often_in(chosen, hit, np.zeros(8, dtype=int)) == pytest.approx(1 / 70)


def test_two_kinds_of_events_meet_as_often_as_balls_in_an_urn() -> None:
    n, first, second = 8, 3, 4
    drawn = [len(set(each) & set(range(first))) for each in combinations(range(n), second)]

    p = exact.together(*(np.array([value]) for value in (2, first, second, n)))

    assert p[0] == pytest.approx(sum(x >= 2 for x in drawn) / len(drawn))


def test_the_sign_test_counts_tosses() -> None:
    assert exact.mostly_above(60, 60) == pytest.approx(0.5**60)
    assert exact.mostly_above(0, 60) == pytest.approx(1.0)
    assert exact.mostly_above(2, 3) == pytest.approx(0.5)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    days = np.arange(40)
    n = 150

    slopes = [intervals.growth(np.exp(0.01 * days + rng.normal(0, 0.1, 40)), days, 0.9) for _ in range(n)]
    shares = [intervals.share(int(rng.binomial(50, 0.1)), 50, 0.9) for _ in range(n)]
    gaps = [
        intervals.difference(int(rng.binomial(60, 0.3)), 60, int(rng.binomial(200, 0.1)), 200, 0.9) for _ in range(n)
    ]
    middles = [intervals.median(rng.exponential(size=31), 0.9, "x") for _ in range(n)]

    assert sum(e.low <= np.expm1(0.07) <= e.high for e in slopes) >= 0.84 * n
    assert sum(e.low <= 0.1 <= e.high for e in shares) >= 0.84 * n
    assert sum(e.low <= 0.2 <= e.high for e in gaps) >= 0.84 * n
    assert sum(e.low <= np.log(2) <= e.high for e in middles) >= 0.84 * n
