"""How unusual each window of a service is, against the same time of day and against the last hours.

Arithmetic on arrays, causal by construction: what is said of a window depends on that window and older ones only.
Put how evidence becomes a probability in ``estimator.py``, and what neighbours add in ``features.py``.

Counts are small (a few requests a minute), so requests are judged by a Poisson and errors by a binomial
deviation, both widened where a service has been noisier than that; latency by its own past residuals.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.anomaly.windows import ERRORS, LATENCY, REQUESTS, Floats, Windows

DAYS = 14
"""Days whose same-time windows make the expectation (the median over them: an incident in one changes little)."""
LEVEL = 36
"""Newest windows that say how high today's level is against the expectation."""
SKIP = 3
"""Of these the newest are left out, so that the start of an incident does not explain itself."""
SCALE_WINDOWS = 144
SCALE_STRIDE = 7
"""Past residuals that say how noisy a service is: every 7th of a week of ten-minute windows."""
ROBUST = 72
"""Windows of the rolling robust z: half a day of ten-minute windows."""
MAD = 1.4826
ERROR_PRIOR, ERROR_WEIGHT = 0.01, 20.0
"""A service is thought to fail in 1 % of its requests until it has had a few hundred."""
LARGEST = 50.0
"""Deviations are cut here: beyond, more says nothing more."""


COLUMNS: dict[str, str] = {
    "requests_z": "Deviation of the requests from the expectation in standard deviations; below 0 = too few.",
    "requests_max_z": "Largest absolute deviation of a single step's requests in the window.",
    "requests_ratio": "Requests over the expected requests.",
    "errors_z": "Deviation of the errors from the service's usual share, binomial standard deviations.",
    "error_ratio": "Errors over requests in the window.",
    "errors_usual": "Usual share of errors, median over past days.",
    "latency_z": "Deviation of log p95 latency from its level at this time of day, robust standard deviations.",
    "latency_max_z": "Largest deviation of a single step's log p95 latency.",
    "latency_ratio": "p95 latency over its usual level at this time of day.",
    "persistence_z": "Mean over this and the two windows before of the strongest deviation.",
    "robust_z": "Largest absolute robust z of the three metrics against the last windows.",
    "n_requests": "Requests in the window.",
    "days_known": "Days of windows known before this one.",
}


def evidence(windows: Windows) -> dict[str, Floats]:
    """Everything of :data:`COLUMNS` for every window of a service: name -> shape (n_windows,), NaN where unknown."""
    day = windows.per_day
    out: dict[str, Floats] = {}
    rate = _row_mean(windows.values[REQUESTS])
    _requests(windows, rate, day, out)
    _errors(windows, day, out)
    _latency(windows, day, out)
    strongest = _max(np.abs(out["requests_z"]), out["errors_z"], out["latency_z"])
    out["persistence_z"] = _nan_mean(_trailing(strongest, 3, 0))
    ratio = _shares(windows)
    latency = _row_mean(np.log(np.maximum(windows.values[LATENCY], 1e-3)))
    out["robust_z"] = _max(*(np.abs(_robust(x, least)) for x, least in ((rate, 1.0), (ratio, 0.02), (latency, 0.05))))
    out["days_known"] = np.concatenate([[0.0], np.cumsum(~np.isnan(rate))[:-1]]) / day
    return {name: out[name] for name in COLUMNS}


def _requests(windows: Windows, rate: Floats, day: int, out: dict[str, Floats]) -> None:
    steps = windows.values[REQUESTS]
    n = (~np.isnan(steps)).sum(axis=1)
    expected = _levelled(rate, _same_time(rate, day))
    whole = np.all(np.isnan(steps) | ((steps >= 0) & (steps == np.round(steps))), axis=1)
    is_count = np.logical_and.accumulate(whole)  # once a fraction or a negative was seen it is a gauge
    variance = np.where(is_count, np.maximum(expected, 0.0) + 0.5 / np.maximum(n, 1), 1.0)
    residual = (rate - expected) * np.sqrt(n) / np.sqrt(variance)
    noise = np.maximum(_noise(residual, 0.5), np.where(is_count, 1.0, 1e-6))
    out["requests_z"] = _cut(residual / noise)
    spread = np.sqrt(variance)[:, None] * np.where(is_count, np.sqrt(noise), noise)[:, None]
    out["requests_max_z"] = _cut(_row_max(np.abs(steps - expected[:, None]) / spread))
    out["requests_ratio"] = np.where(expected > 0, rate / np.where(expected > 0, expected, 1.0), np.nan)
    out["n_requests"] = np.where(n > 0, np.nansum(windows.counts[REQUESTS], axis=1), 0.0)


def _errors(windows: Windows, day: int, out: dict[str, Floats]) -> None:
    weight = windows.counts[ERRORS]
    n = weight.sum(axis=1)
    errors = np.nansum(np.where(np.isnan(windows.values[ERRORS]), 0.0, windows.values[ERRORS]) * weight, axis=1)
    total, failed = np.concatenate([[0.0], np.cumsum(n)]), np.concatenate([[0.0], np.cumsum(errors)])
    end = np.arange(len(n))
    blocks = []
    for back in range(DAYS):
        high, low = np.maximum(end - day * back, 0), np.maximum(end - day * (back + 1), 0)
        seen = total[high] - total[low]
        blocks.append(np.where(seen > 0, (failed[high] - failed[low]) / np.maximum(seen, 1e-9), np.nan))
    share = _nan_median(np.stack(blocks, axis=1))
    seen = total[end]
    usual = (np.nan_to_num(share) * seen + ERROR_PRIOR * ERROR_WEIGHT) / (seen + ERROR_WEIGHT)
    residual = (errors - n * usual) / np.sqrt(n * usual * (1 - usual) + 0.5)
    residual = np.where(n > 0, residual, np.nan)
    noise = np.maximum(_noise(residual, 0.9) / (1.645 / 0.6745), 1.0)  # the median deviation of rare errors is nothing
    out["errors_z"] = _cut(residual / noise)
    out["error_ratio"] = np.where(n > 0, errors / np.maximum(n, 1e-9), np.nan)
    out["errors_usual"] = usual


def _latency(windows: Windows, day: int, out: dict[str, Floats]) -> None:
    steps = np.log(np.maximum(windows.values[LATENCY], 1e-3))
    weight = np.where(np.isnan(steps), 0.0, np.maximum(windows.counts[LATENCY], 0.0))
    n = weight.sum(axis=1)
    level = np.where(n > 0, np.nansum(steps * weight, axis=1) / np.maximum(n, 1e-9), np.nan)
    level = np.where(n > 0, level, _row_mean(steps))
    expected = _same_time(level, day)
    recent = _nan_median(_trailing(level, LEVEL, 1))
    expected = np.where(np.isnan(expected), recent, expected)
    precision = np.sqrt(np.maximum(n, 1.0))
    residual = (level - expected) * precision
    noise = np.maximum(_noise(residual, 0.5), 0.05)
    out["latency_z"] = _cut(residual / noise)
    single = (steps - expected[:, None]) * np.sqrt(np.maximum(weight, 1.0))
    out["latency_max_z"] = _cut(_row_max(single / noise[:, None]))
    out["latency_ratio"] = np.exp(np.clip(level - expected, -10, 10))


def _same_time(level: Floats, day: int) -> Floats:
    """Median over past days of the mean of the three windows around the same time; NaN before a day is known."""
    if day < 3:
        return _nan_median(_trailing(level, DAYS, 1))
    padded = np.concatenate([np.full(DAYS * day + 1, np.nan), level])
    here = np.arange(len(level)) + DAYS * day + 1
    days = [
        _nan_mean(np.stack([padded[here - day * back + offset] for offset in (-1, 0, 1)], axis=1))
        for back in range(1, DAYS + 1)
    ]
    return _nan_median(np.stack(days, axis=1))


def _levelled(level: Floats, expected: Floats) -> Floats:
    """The expectation at the level of the last hours; without an expectation the last hours themselves."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, level / expected, np.nan)
    today = np.clip(_nan_median(_trailing(ratio, LEVEL, SKIP)), 0.25, 4.0)
    recent = _nan_median(_trailing(level, LEVEL, 1))
    return np.where(np.isnan(expected), recent, expected * np.where(np.isnan(today), 1.0, today))


def _noise(residual: Floats, quantile: float) -> Floats:
    """Robust standard deviation of past residuals: a quantile of their size, as if they were normal; 0 if unknown."""
    size = np.abs(residual)
    span = SCALE_WINDOWS * SCALE_STRIDE
    past = _trailing(size, span, 1)[:, ::-SCALE_STRIDE]
    ordered = np.sort(past, axis=1)
    n = (~np.isnan(past)).sum(axis=1)
    place = np.clip((quantile * n).astype(np.int64), 0, past.shape[1] - 1)
    found = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return np.where(n >= 10, np.nan_to_num(found), 1.0 / MAD) * MAD


def _robust(level: Floats, least: float) -> Floats:
    """Robust z against the last windows; ``least`` keeps a metric that hardly moves from alarming at anything."""
    past = _trailing(level, ROBUST, 1)
    middle = _nan_median(past)
    spread = MAD * _nan_median(np.abs(past - middle[:, None]))
    floor = np.minimum(least, 0.1 * np.abs(middle) + 0.02)  # a gauge may be small as a whole
    return _cut((level - middle) / np.maximum(spread, floor))


def _shares(windows: Windows) -> Floats:
    weight = windows.counts[ERRORS]
    n = weight.sum(axis=1)
    errors = np.nansum(np.where(np.isnan(windows.values[ERRORS]), 0.0, windows.values[ERRORS]) * weight, axis=1)
    return np.where(n > 0, errors / np.maximum(n, 1e-9), np.nan)


def _trailing(values: Floats, length: int, skip: int) -> Floats:
    """The ``length`` values that end ``skip`` before each, oldest first, shape (n, length), NaN before the start."""
    padded = np.concatenate([np.full(length - 1 + skip, np.nan), values])
    return sliding_window_view(padded, length)[: len(values)]


def _nan_median(rows: Floats) -> Floats:
    ordered = np.sort(rows, axis=1)
    n = (~np.isnan(rows)).sum(axis=1)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(n // 2, rows.shape[1] - 1)[:, None], axis=1)[:, 0]
    return np.where(n > 0, (low + np.where(n > 0, high, 0.0)) / 2, np.nan)


def _nan_mean(rows: Floats) -> Floats:
    there = ~np.isnan(rows)
    n = there.sum(axis=1)
    return np.where(n > 0, np.where(there, rows, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)


_row_mean = _nan_mean


def _row_max(rows: Floats) -> Floats:
    largest = np.where(np.isnan(rows), -np.inf, rows).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _max(*columns: Floats) -> Floats:
    return _row_max(np.stack(columns, axis=1))


def _cut(z: Floats) -> Floats:
    return np.clip(z, -LARGEST, LARGEST)
