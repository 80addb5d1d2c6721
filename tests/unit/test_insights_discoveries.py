"""What stands: the rate holds over the whole run and in every category, and confidence keeps its word."""

import numpy as np
import pytest
from scipy import special

from weaver_forge.insights.discoveries import ALPHA, discovered, level_after_selection, penalty, q_values


def test_the_rule_is_that_of_benjamini_and_yekutieli_within_one_category() -> None:
    m = 20
    edge = ALPHA * 2 / (m * penalty(m))
    p = [1e-9, edge * 0.999, *np.linspace(0.2, 1, m - 2)]

    assert discovered(p, [0] * m).sum() == 2
    assert discovered([1e-9, edge * 1.001, *p[2:]], [0] * m).sum() == 1


def test_certain_findings_of_one_category_buy_no_room_in_another() -> None:
    """Fifty certain ones would let 0.004 pass over the whole run; in its own category of fifty it is nothing."""
    p = [1e-30] * 50 + [0.002, *np.linspace(0.1, 1, 49)]
    group = [0] * 50 + [1] * 50

    assert discovered(p, [0] * 100).sum() == 51
    assert discovered(p, group).sum() == 50


def test_nothing_asked_is_nothing_found() -> None:
    assert discovered([], []).sum() == 0
    assert q_values([], []).tolist() == []


def test_a_q_value_is_a_rate_at_which_it_stands_and_the_order_is_that_of_the_p_values() -> None:
    p = [1e-12, 1e-7, 1e-5, 0.5, 0.9]

    q = q_values(p, [0] * 5)

    assert (np.diff(q) >= 0).all()
    assert q[3:].tolist() == [1, 1]
    for value, rate in zip(p[:3], q[:3], strict=True):
        assert discovered(p, [0] * 5, alpha=float(rate))[p.index(value)]


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_of_insights_said_with_a_confidence_at_most_the_rest_is_accidental(shared: float) -> None:
    """1 - confidence bounds the share of accidental ones, with independent and with dependent hypotheses.

    60 runs of 150 hypotheses in three categories; 30 of them are real, of sizes from hardly to clearly visible.
    """
    rng = np.random.default_rng(5)
    size = np.concatenate([rng.uniform(2.0, 6.0, 30), np.zeros(120)])
    group = np.arange(150) % 3
    accidental = dict.fromkeys((0.95, 0.98, 0.99), 0.0)
    runs = 60
    for _ in range(runs):
        z = size + np.sqrt(shared) * rng.normal() + np.sqrt(1 - shared) * rng.normal(size=150)
        confidence = 1 - q_values(special.ndtr(-z), group)
        for least in accidental:
            told = confidence >= least
            accidental[least] += (told & (size == 0)).sum() / max(told.sum(), 1) / runs

    assert all(share <= 1 - least for least, share in accidental.items())


def test_intervals_of_what_was_picked_out_of_many_are_wider() -> None:
    assert level_after_selection(1, 1) == pytest.approx(0.95)
    assert level_after_selection(5, 500) > level_after_selection(50, 500) > 0.95
