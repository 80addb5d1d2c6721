"""Which hypotheses of a run stand: the false discovery rate is held over all of them together and in every category.

Benjamini-Yekutieli, not -Hochberg: tests that fail together, operations of one service and charges that follow the same
traffic depend on each other in ways that nobody knows, and only this one holds for any dependence. Its price is a
factor of about ln(m); the exact p-values can pay it. Held in every category too, because a hundred certain findings
of one kind would otherwise buy room for accidental ones of another. Why in full: docs/decisions/0013.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ALPHA = 0.05
"""Share of accidental ones among what is said, expected, at most."""

_GRID = np.concatenate([np.geomspace(1e-9, 1e-3, 31)[:-1], np.geomspace(1e-3, ALPHA, 35)])
"""Rates at which it is tried; the next larger one is said."""


def penalty(m: int) -> float:
    """What any dependence costs: 1 + 1/2 + ... + 1/m."""
    return float((1.0 / np.arange(1, m + 1)).sum())


def discovered(p: npt.ArrayLike, group: npt.ArrayLike, *, alpha: float = ALPHA, among: Flags | None = None) -> Flags:
    """Whether each hypothesis is rejected.

    The largest set in which every p-value is at most ``alpha * k / (m * penalty(m))``, with k of m rejected, over the
    run as well as within its own group. Any set with this property holds the rate under any dependence (Blanchard and
    Roquain 2008, proposition 2.7), so both rates are held.

    Args:
        p: P-values, shape (m,).
        group: A small whole number each, shape (m,): the category.
        alpha: The rate.
        among: What stands at a higher rate, where that is known: only these can.
    """
    values, part = np.asarray(p, dtype=np.float64), np.asarray(group, dtype=np.int64)
    m = len(values)
    if not m:
        return np.zeros(0, dtype=bool)
    sizes = np.bincount(part)
    costs = np.array([size * penalty(int(size)) for size in sizes])
    kept = np.ones(m, dtype=bool) if among is None else among
    while True:
        here = np.bincount(part[kept], minlength=len(sizes))
        limit = np.minimum(kept.sum() / (m * penalty(m)), here[part] / np.maximum(costs[part], 1.0))
        after = kept & (values <= alpha * limit)
        if (after == kept).all():
            return kept
        kept = after


def q_values(p: npt.ArrayLike, group: npt.ArrayLike) -> Floats:
    """The smallest rate at which each hypothesis is rejected, rounded up; 1 where it is not at :data:`ALPHA`."""
    values = np.asarray(p, dtype=np.float64)
    found = np.ones(len(values))
    kept = np.ones(len(values), dtype=bool)
    for alpha in _GRID[::-1]:
        kept = discovered(values, group, alpha=float(alpha), among=kept)
        if not kept.any():
            break
        found[kept] = alpha
    return found


def level_after_selection(n_found: int, m: int) -> float:
    """Level of the intervals of what was picked, so that at most a share of ALPHA of them misses the truth.

    Intervals of the largest of many effects are too far out (Benjamini and Yekutieli 2005): they are widened as the
    rejections were.
    """
    return 1.0 - ALPHA * max(n_found, 1) / (max(m, 1) * penalty(max(m, 1)))
