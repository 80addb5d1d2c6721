"""How good alarms over time are: events found and false ones, never point-adjusted.

Point adjustment (one hit makes a whole segment count) is left out on purpose: random scores reach an F1 of .86
to .98 with it. Rows of a unit are taken as consecutive windows in the order given: sort them by time. Put
measures of single probabilities in ``events``.
"""

import numpy as np
from numpy.typing import NDArray

from weaver_forge.metrics.metric import Floats, Metric, Prepared, Sample, share, sums_by_unit

THRESHOLD = 0.5

Flags = NDArray[np.bool_]


def event_f1(sample: Sample, rng: np.random.Generator) -> Prepared:
    """F1 over events: an unbroken run of windows of one unit.

    Recall is over true events (found if any window of it is called), precision over called ones (right if it
    touches a true event). None without a true event.
    """
    del rng
    known = np.isfinite(sample.probability)
    called, happened = known & (sample.probability >= THRESHOLD), known & (sample.outcome > 0)
    order = np.argsort(sample.unit, kind="stable")
    unit = sample.unit[order]
    sums: list[Floats] = []
    for mine, other in ((happened[order], called[order]), (called[order], happened[order])):
        run, first = runs(mine, unit)
        touched = np.zeros(first.size)
        touched[run[mine & other]] = 1.0
        of_unit = unit[first]
        sums.extend(
            np.bincount(of_unit, weights=values, minlength=sample.n_units).astype(np.float64)
            for values in (np.ones(first.size), touched)
        )
    true, found, alarms, right = sums

    def at(weights: Floats) -> Floats:
        recall, precision = (
            share(weights @ found, weights @ true),
            weights @ right / np.maximum(weights @ alarms, 1e-12),
        )
        return np.where(
            recall + precision > 0, 2 * recall * precision / np.maximum(recall + precision, 1e-12), recall * 0
        )

    return Prepared(int(true.sum()), at)


def runs(flags: Flags, unit: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the unbroken runs of True within units.

    Args:
        flags: shape (n,), rows of a unit adjacent and in time order.
        unit: shape (n,).

    Returns:
        The run of each row (meaningless where False), shape (n,), and the first row of each run.
    """
    before = np.concatenate([[False], flags[:-1] & (unit[1:] == unit[:-1])]) if flags.size else flags
    starts = flags & ~before
    return np.cumsum(starts) - 1, np.flatnonzero(starts)


def alarm_share(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Share of windows without an event that were called."""
    del rng
    quiet = np.isfinite(sample.probability) & (sample.outcome == 0)
    called = quiet & (sample.probability >= THRESHOLD)
    false, n = sums_by_unit(called.astype(float), sample), sums_by_unit(quiet.astype(float), sample)
    return Prepared(int(quiet.sum()), lambda weights: share(weights @ false, weights @ n))


METRICS: tuple[Metric, ...] = (
    Metric("event_f1", True, "F1 over unbroken runs of windows at a probability of 0.5, 0-1.", event_f1),
    Metric("false_alarm_share", False, "Share of quiet windows that were called, 0-1.", alarm_share),
)
