"""Which rows of a long history a fit reads, and how much each counts, so that time and memory have a bound.

Put here only the draw. Passing rows say nearly the same thing a million times; drawn ones weigh what they stand for,
so that rates, and thus probabilities, stay what they were. A history below the bound is read whole.
"""

import numpy as np
from numpy.typing import NDArray

from models.logistic import Floats

Indices = NDArray[np.intp]

MOST = 60_000
"""Rows of each outcome that are read; at the penalties in use more do not move a fit by what could be measured."""

LEAST = 25
"""Rows of each outcome kept of a ranking with both, newest rankings first: an order is learnt within rankings."""


def thinned(y: Floats, unit: Indices, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Rows to read, ascending, and the weight of each: one over its chance of being drawn.

    Args:
        y: 0 or 1, shape (n,).
        unit: Ranking of each row, ascending in time, shape (n,).
        rng: Draws; untouched where everything is read.
    """
    failed = y > 0
    if max(int(failed.sum()), int((~failed).sum())) <= MOST:
        return np.arange(y.size), np.ones(y.size)
    keep = np.ones(y.size)
    of = [np.bincount(unit, weights=part, minlength=int(unit[-1]) + 1) for part in (~failed, failed)]
    mixed = np.flatnonzero((of[0] > 0) & (of[1] > 0))[-(MOST // LEAST) :]
    least = np.zeros(of[0].size)
    least[mixed] = LEAST
    for part, count in zip((~failed, failed), of, strict=True):
        share = min(1.0, MOST / max(int(part.sum()), 1))
        by_ranking = np.clip(np.maximum(share, least / np.maximum(count, 1.0)), 0.0, 1.0)
        keep[part] = by_ranking[unit[part]]
    rows = np.flatnonzero(rng.random(y.size) < keep)
    return rows, 1.0 / keep[rows]
