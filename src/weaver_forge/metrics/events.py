"""How good probabilities of events are: discrimination, calibration, thresholded and effort-aware measures.

Rows without a probability do not count. Classes are told apart at a probability of 0.5. Put measures of an
order within a decision in ``ranking``.
"""

from collections.abc import Callable

import numpy as np

from weaver_forge.metrics.metric import (
    Floats,
    Indices,
    Metric,
    Prepared,
    Sample,
    by_rows,
    nothing,
    row_mean,
    share,
    sums_by_unit,
)

THRESHOLD = 0.5
BINS = 10
EFFORT_SHARE = 0.2
LOG_FLOOR = 1e-6
"""Probabilities are clipped this far from 0 and 1 in the log loss, which would be infinite otherwise."""


def brier(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Mean squared difference of probability and outcome."""
    del rng
    return row_mean((sample.probability - sample.outcome) ** 2, sample)


def log_loss(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Mean negative log likelihood, nats."""
    del rng
    p = np.clip(sample.probability, LOG_FLOOR, 1 - LOG_FLOOR)
    return row_mean(-np.where(sample.outcome > 0, np.log(p), np.log1p(-p)), sample)


def ece(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Mean absolute difference of mean probability and event rate over ten bins of equal mass.

    Equal mass, not equal width: where events are rare, one wide bin would hold everything and hide all.
    """
    del rng
    known = np.isfinite(sample.probability)
    if not known.any():
        return nothing()
    edges = np.unique(np.quantile(sample.probability[known], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, sample.probability, side="right")
    gaps = np.where(known, sample.probability - sample.outcome, 0.0)
    gap = np.stack([sums_by_unit(gaps * (bins == b), sample) for b in range(edges.size + 1)], axis=1)
    count = sums_by_unit(known.astype(float), sample)

    def at(weights: Floats) -> Floats:
        return share(np.abs(weights @ gap).sum(axis=1), weights @ count)

    return Prepared(int(known.sum()), at)


def auc(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Area under the ROC curve; ties count one half."""
    del rng
    rows, groups = _ascending(sample)
    if not _two_classes(sample, rows):
        return nothing()
    positive = sample.outcome[rows] > 0

    def statistic(weights: Floats) -> Floats:
        up = np.add.reduceat(weights * positive, groups, axis=1)
        down = np.add.reduceat(weights * ~positive, groups, axis=1)
        won = (up * (np.cumsum(down, axis=1) - down / 2)).sum(axis=1)
        return share(won, up.sum(axis=1) * down.sum(axis=1))

    return by_rows(rows.size, sample.unit[rows], statistic)


def average_precision(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Area under the precision-recall steps; tied rows are one step."""
    del rng
    rows, groups = _ascending(sample)
    if not _two_classes(sample, rows):
        return nothing()
    positive = sample.outcome[rows] > 0

    def statistic(weights: Floats) -> Floats:
        up = np.add.reduceat(weights * positive, groups, axis=1)[:, ::-1]
        everything = np.add.reduceat(weights, groups, axis=1)[:, ::-1]
        called = np.cumsum(everything, axis=1)
        precision = np.divide(np.cumsum(up, axis=1), called, out=np.zeros_like(called), where=called > 0)
        return share((up * precision).sum(axis=1), up.sum(axis=1))

    return by_rows(rows.size, sample.unit[rows], statistic)


def popt(sample: Sample, rng: np.random.Generator) -> Prepared:
    """``1 - (A_opt - A_m) / (A_opt - A_worst)`` of the effort curve (Kamei et al. 2013); cost is the effort."""
    rows = _by_effort(sample, rng)
    if not _two_classes(sample, rows):
        return nothing()
    effort, bug = sample.cost[rows], sample.outcome[rows]
    best = np.argsort(-bug / effort, kind="stable")

    def area(weights: Floats, order: Indices) -> Floats:
        spent, found = weights[:, order] * effort[order], weights[:, order] * bug[order]
        height = np.cumsum(found, axis=1) - found / 2
        return share((spent * height).sum(axis=1), spent.sum(axis=1) * found.sum(axis=1))

    def statistic(weights: Floats) -> Floats:
        optimal, worst = area(weights, best), area(weights, best[::-1])
        ours = area(weights, np.arange(rows.size))
        return 1 - share(optimal - ours, optimal - worst)

    return by_rows(rows.size, sample.unit[rows], statistic)


def effort_recall(sample: Sample, rng: np.random.Generator) -> Prepared:
    """ACC: recall of events within the first 20 % of the effort."""
    rows = _by_effort(sample, rng)
    if not _two_classes(sample, rows):
        return nothing()
    effort, bug = sample.cost[rows], sample.outcome[rows]

    def statistic(weights: Floats) -> Floats:
        spent = np.cumsum(weights * effort, axis=1)
        within = spent <= EFFORT_SHARE * spent[:, -1:] * (1 + 1e-12)
        return share((weights * bug * within).sum(axis=1), (weights * bug).sum(axis=1))

    return by_rows(rows.size, sample.unit[rows], statistic)


def _confusion(
    formula: Callable[[Floats, Floats, Floats, Floats], Floats], counts: Callable[[Floats, Floats], Floats]
) -> Callable[[Sample, np.random.Generator], Prepared]:
    """A metric of (true positives, false positives, false negatives, true negatives)."""

    def prepare(sample: Sample, rng: np.random.Generator) -> Prepared:
        del rng
        known = np.isfinite(sample.probability)
        called = known & (sample.probability >= THRESHOLD)
        happened = sample.outcome > 0
        cells = (called & happened, called & ~happened, known & ~called & happened, known & ~called & ~happened)
        sums = [sums_by_unit(cell.astype(float), sample) for cell in cells]
        n = int(counts(called.astype(float), (known & happened).astype(float)).sum()) if known.any() else 0

        def at(weights: Floats) -> Floats:
            return formula(*(weights @ cell for cell in sums))

        return Prepared(n, at)

    return prepare


def _mcc(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    # Without a call (or without a non-call) the correlation is 0 by convention; without both classes undefined.
    value = np.divide(tp * tn - fp * fn, below, out=np.zeros_like(below), where=below > 0)
    return np.where((tp + fn > 0) & (tn + fp > 0), value, np.nan)


def _f1_macro(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    up = share(2 * tp, 2 * tp + fp + fn)
    down = share(2 * tn, 2 * tn + fp + fn)
    return np.where((tp + fn > 0) & (tn + fp > 0), (up + down) / 2, np.nan)


def _ascending(sample: Sample) -> tuple[Indices, Indices]:
    """Rows by probability, and where each run of equal probabilities starts."""
    known = np.flatnonzero(np.isfinite(sample.probability))
    rows = known[np.argsort(sample.probability[known], kind="stable")]
    values = sample.probability[rows]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if rows.size else rows
    return rows, starts


def _by_effort(sample: Sample, rng: np.random.Generator) -> Indices:
    """Rows with an order and an effort, highest first, ties at random."""
    known = np.flatnonzero(np.isfinite(sample.order) & (sample.cost > 0))
    return known[np.lexsort((rng.random(known.size), -sample.order[known]))]


def _two_classes(sample: Sample, rows: Indices) -> bool:
    return rows.size > 0 and bool(0 < (sample.outcome[rows] > 0).sum() < rows.size)


def _first(called: Floats, happened: Floats) -> Floats:
    del happened
    return called


def _second(called: Floats, happened: Floats) -> Floats:
    del called
    return happened


def _both(called: Floats, happened: Floats) -> Floats:
    return np.ones_like(called) if happened.any() else happened


METRICS: tuple[Metric, ...] = (
    Metric("auc", True, "Probability that an event is ranked above a non-event, 0-1; chance is 0.5.", auc),
    Metric("ap", True, "Average precision, 0-1; chance is the event rate.", average_precision),
    Metric("brier", False, "Mean squared error of the probability, 0-1.", brier),
    Metric("log_loss", False, "Mean negative log likelihood, nats.", log_loss),
    Metric("ece", False, "Expected calibration error over ten bins of equal mass, 0-1.", ece),
    Metric(
        "precision",
        True,
        "Share of true calls among probabilities of 0.5 and more; none without a call.",
        _confusion(lambda tp, fp, _fn, _tn: share(tp, tp + fp), _first),
    ),
    Metric(
        "recall",
        True,
        "Share of events that got a probability of 0.5 or more.",
        _confusion(lambda tp, _fp, fn, _tn: share(tp, tp + fn), _second),
    ),
    Metric("mcc", True, "Matthews correlation at 0.5, -1 to 1.", _confusion(_mcc, _both)),
    Metric("f1_macro", True, "Mean of the F1 of both classes at 0.5, 0-1.", _confusion(_f1_macro, _both)),
    Metric("popt", True, "Effort-aware area, 0-1 = optimal order; cost is the effort.", popt),
    Metric("acc", True, "Events found within the first 20 % of the effort, 0-1.", effort_recall),
)
