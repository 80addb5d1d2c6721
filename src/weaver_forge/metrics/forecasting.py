"""How good forecasts of quantities are: scaled and relative errors, quantile losses, coverage.

Rows without a forecast do not count. ``cost`` is the row's scale: the series' mean absolute seasonal difference
as known when it was forecast. A method without quantiles is a point forecast: its CRPS is its absolute error.
Put measures of probabilities of events in ``events``.
"""

from collections.abc import Callable

import numpy as np

from weaver_forge.metrics.metric import Floats, Metric, Prepared, Sample, nothing, ratio, row_mean, share, sums_by_unit

LEVELS = {"q_025": 0.025, "q_100": 0.1, "q_900": 0.9, "q_975": 0.975}
EXACT = 1e-9
"""Mean absolute errors below this are taken as equal: a series that both methods forecast exactly is a tie."""


def mase(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Mean absolute error over the seasonal error, averaged over rows."""
    del rng
    return row_mean(share(np.abs(sample.value - sample.outcome), sample.cost), sample)


def rel_mase(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Geometric mean over units of the mean absolute error relative to the baseline's; the baseline has 1.

    The scale of MASE is the same for both methods and cancels. A resample draws units, so a unit's ratio
    keeps its weight however large its values are.
    """
    del rng
    error, other = np.abs(sample.value - sample.outcome), np.abs(sample.reference - sample.outcome)
    both = np.isfinite(error) & np.isfinite(other)
    if not both.any():
        return nothing()
    ours = sums_by_unit(np.where(both, error, 0.0), sample)
    theirs = sums_by_unit(np.where(both, other, 0.0), sample)
    n = sums_by_unit(both.astype(float), sample)
    counts = n > 0
    per_row = np.maximum(n, 1.0)
    logs = np.log((ours / per_row + EXACT) / (theirs / per_row + EXACT))
    mean = ratio(np.where(counts, logs, 0.0), counts.astype(float), int(counts.sum()))
    return Prepared(mean.n, lambda weights: np.exp(mean.at(weights)))


def pinball(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Mean pinball loss over the median and the quantiles, in the unit of the quantity."""
    del rng
    return row_mean(_losses(sample), sample)


def crps(sample: Sample, rng: np.random.Generator) -> Prepared:
    """Twice the mean pinball loss, summed over rows and divided by the sum of absolute outcomes."""
    del rng
    losses = _losses(sample)
    counts = np.isfinite(losses)
    if not counts.any():
        return nothing()
    return ratio(
        sums_by_unit(np.where(counts, 2 * losses, 0.0), sample),
        sums_by_unit(np.where(counts, np.abs(sample.outcome), 0.0), sample),
        int(counts.sum()),
    )


def _losses(sample: Sample) -> Floats:
    """Mean pinball loss of each row over the five quantiles; an absent quantile is the value itself."""
    total = np.zeros_like(sample.value)
    for name, level in {"": 0.5, **LEVELS}.items():
        forecast = sample.quantiles.get(name, sample.value)
        forecast = np.where(np.isfinite(forecast), forecast, sample.value)
        miss = sample.outcome - forecast
        total += np.maximum(level * miss, (level - 1) * miss)
    return total / (1 + len(LEVELS))


def _coverage(low: str, high: str) -> Callable[[Sample, np.random.Generator], Prepared]:
    def prepare(sample: Sample, rng: np.random.Generator) -> Prepared:
        del rng
        below, above = sample.quantiles[low], sample.quantiles[high]
        inside = (sample.outcome >= below) & (sample.outcome <= above)
        return row_mean(np.where(np.isfinite(below) & np.isfinite(above), inside, np.nan), sample)

    return prepare


METRICS: tuple[Metric, ...] = (
    Metric(
        "rel_mase", False, "Error relative to the baseline's, geometric mean over units; below 1 is better.", rel_mase
    ),
    Metric("mase", False, "Mean absolute error in seasonal errors; below 1 beats last season.", mase),
    Metric("pinball", False, "Mean quantile loss, in the unit of the quantity.", pinball),
    Metric("crps", False, "Quantile loss over the sum of absolute outcomes, 0 = perfect.", crps),
    Metric(
        "coverage80", True, "Share of outcomes inside the 80 % interval; 0.8 is right.", _coverage("q_100", "q_900")
    ),
    Metric(
        "coverage95", True, "Share of outcomes inside the 95 % interval; 0.95 is right.", _coverage("q_025", "q_975")
    ),
)
