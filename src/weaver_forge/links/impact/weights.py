"""The learned combination of signals: which candidate is changed too, as a choice among all of a file's candidates.

A conditional logit: of one file's candidates, the share of each is proportional to exp(signals times weights). It is
fitted towards prior weights, so that a few changes do not undo what other repositories have shown, and it is
concave, so that the same data give the same weights. Where the examples come from belongs in ``learning``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weaver_forge.links.impact.grouped import Floats, Ints

_STEPS = 25
_TOLERANCE = 1e-6
_ENOUGH = 1e-4
"""A step that raises the log likelihood by a smaller part changes no order."""

_PIECE = 128
_EDGE = 6.0
"""Standard deviations beyond which a signal counts as that much: a line must not be drawn on into the unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weight of each standardised signal, and how a share becomes a probability.

    Args:
        names: The signals, in order.
        mean: Of each signal in training.
        scale: Standard deviation of each.
        weight: Of each standardised signal.
        slope: Log-odds that a candidate changes too = slope * log share + shift.
        shift: The same.
    """

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    weight: Floats
    slope: float = 1.0
    shift: float = 0.0

    def parts(self, x: Floats) -> Floats:
        """Each signal's part of the score, same shape."""
        parts: Floats = self.standardised(x) * self.weight
        return parts

    def standardised(self, x: Floats) -> Floats:
        """Signals as the weights expect them."""
        within: Floats = ((x - self.mean) / self.scale).clip(-_EDGE, _EDGE)
        return within

    def probability(self, owner: Ints, x: Floats) -> Floats:
        """Probability that each candidate changes along with its owner; rows of an owner stand together."""
        log_share = np.log(shares(owner, times(self.standardised(x), self.weight)) + 1e-12)
        return 1 / (1 + np.exp(-(self.slope * log_share + self.shift)))

    def as_data(self) -> dict[str, Any]:
        """Plain JSON-able numbers."""
        return {
            "names": list(self.names),
            "mean": [round(float(v), 5) for v in self.mean],
            "scale": [round(float(v), 5) for v in self.scale],
            "weight": [round(float(v), 4) for v in self.weight],
            "slope": round(self.slope, 4),
            "shift": round(self.shift, 4),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Weights":
        """The inverse of :meth:`as_data`."""
        arrays = {name: np.asarray(data[name], np.float64) for name in ("mean", "scale", "weight")}
        return cls(names=tuple(data["names"]), slope=data["slope"], shift=data["shift"], **arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Candidates of past changes, and which of them were changed too.

    Args:
        owner: Which question each candidate belongs to; ascending, from 0.
        x: Signals of each.
        is_changed: Whether it was.
        n_wanted: How many files each question's change had beside the asked one, candidates or not.
        change: Which change each question is about.
    """

    owner: Ints
    x: Floats
    is_changed: Floats
    n_wanted: Ints
    change: Ints

    def of(self, questions: "np.ndarray[Any, np.dtype[np.bool_]]") -> "Examples":
        """Only these questions, numbered anew."""
        keep = questions[self.owner]
        number = np.cumsum(questions) - 1
        return Examples(
            owner=number[self.owner[keep]], x=self.x[keep], is_changed=self.is_changed[keep],
            n_wanted=self.n_wanted[questions], change=self.change[questions],
        )  # fmt: skip

    @property
    def share(self) -> Floats:
        """What each question counts: all of one change together as much as those of another."""
        _, place, n = np.unique(self.change, return_inverse=True, return_counts=True)
        return 1 / n[place]


def shares(owner: Ints, score: Floats) -> Floats:
    """Share of each candidate among those of its owner; rows of an owner stand together."""
    if not len(owner):
        return score
    begin = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    n = np.diff(np.r_[begin, len(owner)])
    e = np.exp(score - np.repeat(np.maximum.reduceat(score, begin), n))
    part: Floats = e / np.repeat(np.add.reduceat(e, begin), n)
    return part


def fit(examples: Examples, prior: Weights, pull: float) -> Weights:
    """Weights that make what was changed likely, drawn towards the prior's.

    Args:
        examples: Of at least one question; those whose candidates were all not changed say nothing.
        prior: Weights to start from, and whose standardisation is kept.
        pull: How strongly; as many changes as it takes to halve the way.
    """
    hits = np.bincount(examples.owner, examples.is_changed, len(examples.n_wanted))
    some = examples.of(hits > 0)
    if not len(some.n_wanted):
        return prior
    z = prior.standardised(some.x)
    each = np.bincount(some.owner, some.is_changed, len(some.n_wanted))[some.owner]
    wanted, count = some.is_changed / each, some.share[some.owner]
    weight = prior.weight.copy()
    value = _value(some.owner, z, wanted * count, weight, prior.weight, pull)
    for _ in range(_STEPS):
        share = shares(some.owner, times(z, weight))
        slope = np.einsum("ij,i->j", z, (wanted - share) * count) - pull * (weight - prior.weight)
        step = np.linalg.solve(_curvature(some.owner, z, share, count) + pull * np.eye(len(weight)), slope)
        size = 1.0
        while True:
            tried = weight + size * step
            better = _value(some.owner, z, wanted * count, tried, prior.weight, pull)
            if better >= value or size < 1e-4:
                break
            size /= 2
        weight, gain, value = tried, better - value, better
        if gain < _ENOUGH * abs(value):
            break
    return calibrated(replace(prior, weight=weight), examples)


def _value(owner: Ints, z: Floats, wanted: Floats, weight: Floats, prior: Floats, pull: float) -> float:
    likelihood = wanted @ np.log(shares(owner, times(z, weight)) + 1e-300)
    return float(likelihood - pull / 2 * ((weight - prior) ** 2).sum())


def _curvature(owner: Ints, z: Floats, share: Floats, count: Floats) -> Floats:
    begin = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    mean = np.add.reduceat(z * share[:, None], begin, axis=0)
    inner: Floats = _inner(z, z * (share * count)[:, None]) - _inner(mean, mean * count[begin][:, None])
    return inner


def times(z: Floats, weight: Floats) -> Floats:
    """Weighted sum of each row, on one core: threads of a linear algebra library cost more than they bring here."""
    total: Floats = np.einsum("ij,j->i", z, weight)
    return total


def _inner(some: Floats, others: Floats) -> Floats:
    """Sum over rows of the products of their columns, in pieces that are too small to be spread over threads."""
    whole = len(some) // _PIECE * _PIECE
    pieces = (rows[:whole].reshape(-1, _PIECE, rows.shape[1]) for rows in (some, others))
    left, right = pieces
    total: Floats = np.matmul(left.transpose(0, 2, 1), right).sum(axis=0)
    return total + some[whole:].T @ others[whole:]


def calibrated(weights: Weights, examples: Examples) -> Weights:
    """Slope and shift such that of candidates with a probability p the part p was changed too (Newton, two numbers)."""
    log_share = np.log(shares(examples.owner, times(weights.standardised(examples.x), weights.weight)) + 1e-12)
    rows = np.stack([log_share, np.ones(len(log_share))], axis=1)
    count = examples.share[examples.owner]
    at = np.array([weights.slope, weights.shift])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-times(rows, at)))
        pull = np.array([weights.slope, weights.shift]) - at
        slope = np.einsum("ij,i->j", rows, (examples.is_changed - p) * count) + pull
        step = np.linalg.solve(_inner(rows * (p * (1 - p) * count)[:, None], rows) + np.eye(2), slope)
        at += step * min(1.0, 2 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < _TOLERANCE:
            break
    return replace(weights, slope=float(at[0]), shift=float(at[1]))
