"""Evidence about a precision that may be looked at after every trial.

A fixed-sample bound looked at all the time promotes wrongly in a quarter of cases. Everything here is an e-value: a
quantity whose expectation is at most 1 at any stopping time if the hypothesis that it argues against is true, so
that it reaches 1/alpha with a probability of at most alpha, ever (Ville's inequality). For a precision it is the
likelihood of the trials, averaged uniformly over the precisions that are claimed, over their likelihood at the bar:
a beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021), here with a one-sided mixture, which
holds against every precision on the wrong side of the bar, not only against the bar itself.

Trials may weigh less than 1 (replayed history): a power between 0 and 1 of a likelihood ratio is still an e-value
(Jensen). A weight must be fixed when the trial is seen. For long stretches and their restarts see Shin, Ramdas,
Rinaldo (2024), "E-detectors".
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
"""Chance, over all looks together, that a precision passes a bar that it does not have."""

_STEPS = 60
"""Halvings of an interval below 1: more than a double can tell apart."""

_BETS = np.array([0.1, 0.2, 0.4, 0.8])
"""Stakes on a bias of probabilities; their mean is within a small factor of the best one in hindsight."""


def log_evidence_above(right: npt.ArrayLike, wrong: npt.ArrayLike, bar: npt.ArrayLike) -> Any:
    """Log e-value against "the precision is at most ``bar``", for weighted counts; shapes broadcast."""
    s, f, p = (np.asarray(value, dtype=np.float64) for value in (right, wrong, bar))
    return _log_mixture(s, f, special.betaincc(1 + s, 1 + f, p)) - np.log1p(-p) - _log_likelihood(s, f, p)


def log_evidence_below(right: npt.ArrayLike, wrong: npt.ArrayLike, bar: npt.ArrayLike) -> Any:
    """Log e-value against "the precision is at least ``bar``", for weighted counts; shapes broadcast."""
    s, f, p = (np.asarray(value, dtype=np.float64) for value in (right, wrong, bar))
    return _log_mixture(s, f, special.betainc(1 + s, 1 + f, p)) - np.log(p) - _log_likelihood(s, f, p)


def lower_bound(right: npt.ArrayLike, wrong: npt.ArrayLike, *, alpha: float = ALPHA) -> Any:
    """The time-uniform lower bound of a precision: every precision below it is refuted at ``alpha``.

    It lies above the truth at any time of an endless sequence of trials with a probability of at most ``alpha``.

    Args:
        right: Weighted trials that came out as predicted.
        wrong: Weighted trials that did not; same shape.
        alpha: Between 0 and 1.
    """
    s, f = np.broadcast_arrays(np.asarray(right, dtype=np.float64), np.asarray(wrong, dtype=np.float64))
    # Below this the evidence falls as the bar rises, so that halving finds the one place where it is 1/alpha.
    low, high = np.zeros(s.shape), s / (s + f + 1)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):  # at 0 where nothing came out right
            refuted = log_evidence_above(s, f, middle) >= -math.log(alpha)
        low, high = np.where(refuted, middle, low), np.where(refuted, high, middle)
    return low


def trials_needed(bar: float, right: float = 0.0, wrong: float = 0.0, *, alpha: float = ALPHA) -> int:
    """How many further trials, all of them right, take the lower bound to the bar.

    Args:
        bar: Between 0 and 1, both excluded.
        right: Weighted trials so far that came out as predicted.
        wrong: Those that did not.
        alpha: Between 0 and 1.
    """

    def enough(more: int) -> bool:
        return bool(log_evidence_above(right + more, wrong, bar) >= -math.log(alpha))

    high = 1
    while not enough(high):
        high *= 2
    low = 0 if not enough(0) else -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def worst_stretch(is_right: npt.ArrayLike, bar: float) -> tuple[float, int]:
    """The strongest evidence that the precision is below the bar by now, over all stretches that end now.

    It reaches A once in A trials on average, or more rarely, as long as the precision is at least the bar.

    Args:
        is_right: Whether each trial came out as predicted, oldest first.
        bar: Between 0 and 1, both excluded.

    Returns:
        The log e-value and the length of the stretch; 0 trials where no stretch speaks against the precision.
    """
    newest_first = np.asarray(is_right, dtype=np.float64)[::-1]
    if not len(newest_first):
        return 0.0, 0
    right = np.cumsum(newest_first)
    lengths = np.arange(1, len(right) + 1)
    evidence = log_evidence_below(right, lengths - right, bar)
    at = int(np.argmax(evidence))
    return (float(evidence[at]), at + 1) if evidence[at] > 0 else (0.0, 0)


def wrong_to_refute(bar: float, length: int, threshold: float) -> int:
    """How many wrong ones of the last ``length`` trials refute the bar, in whatever order they come.

    Args:
        bar: Between 0 and 1, both excluded.
        length: Of the stretch.
        threshold: The e-value that refutes.

    Returns:
        At most ``length + 1``: one more than there are trials, where no such stretch refutes it.
    """
    wrong = np.arange(length + 1)
    refutes = log_evidence_below(length - wrong, wrong, bar) >= math.log(threshold)
    return int(np.argmax(refutes)) if refutes.any() else length + 1


def bias_evidence(probability: npt.ArrayLike, outcome: npt.ArrayLike, tolerance: float) -> float:
    """Log evidence that probabilities have been off by more than the tolerance, on either side, in a row of trials.

    Bets on either side of each probability, restarted at every trial (Shiryaev-Roberts), and averaged: it reaches A
    once in A trials on average, or more rarely, as long as every probability is within the tolerance.

    Args:
        probability: Of each trial, 0-1, oldest first.
        outcome: 1 where it happened.
        tolerance: How far a probability may be off.
    """
    p, x = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    gaps = np.stack([x - np.minimum(p + tolerance, 1.0), np.maximum(p - tolerance, 0.0) - x])
    factors = 1 + _BETS[None, :, None] * gaps[:, None, :]
    log_sums = np.full(factors.shape[:2], -np.inf)
    for column in np.moveaxis(np.log(factors), 2, 0):
        log_sums = np.logaddexp(0.0, log_sums) + column
    return float(special.logsumexp(log_sums) - math.log(log_sums.size))


def _log_mixture(s: Floats, f: Floats, share: Any) -> Any:
    with np.errstate(divide="ignore"):  # a share that is too small for a double is no evidence at all
        return special.betaln(1 + s, 1 + f) + np.log(share)


def _log_likelihood(s: Floats, f: Floats, p: Floats) -> Any:
    return special.xlogy(s, p) + special.xlog1py(f, -p)
