"""Logistic regression as plain numbers: fitted towards a stated prior, calibrated in time order, evaluated in numpy.

Put here only what a linear model of events needs. What the columns mean, and how they are transformed, belongs
in the decision's package. Written out instead of taken from scikit-learn for two reasons: the fit shrinks towards
prior coefficients, so that ten examples do not undo what is known, and a fresh process pays no 5 s import.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_STEPS = 40
TOLERANCE = 1e-8
BLOCK = 2048
"""Rows that fit beside each other into a processor's cache."""

CALIBRATION_FOLDS = 4
TAIL = 0.002
"""Values beyond this share of training at either end count as its edge."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Log-odds = intercept + standardised columns times coefficients, then stretched by calibration.

    Args:
        center: Mean of each column in training, shape (n_columns,); a missing value is put here.
        scale: Standard deviation of each column, 1 where it does not vary.
        low: Least value of each column that counts; training hardly saw lower ones.
        high: The same upwards. History only grows, and a line must not be drawn on into what was never seen.
        coefficient: Per standardised column.
        slope: Calibration: calibrated log-odds = slope * log-odds + shift.
        shift: The same.
    """

    center: Floats
    scale: Floats
    low: Floats
    high: Floats
    coefficient: Floats
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def contributions(self, x: Floats) -> Floats:
        """Each column's part of the calibrated log-odds, shape (n, n_columns); 0 for a missing value."""
        within = (np.clip(x, self.low, self.high) - self.center) / self.scale
        standardised = np.where(np.isfinite(x), within, 0.0)
        parts: Floats = self.slope * standardised * self.coefficient
        return parts

    def probability(self, x: Floats) -> Floats:
        """Calibrated probability of each row, shape (n,)."""
        return sigmoid(self.contributions(x).sum(axis=1) + self.slope * self.intercept + self.shift)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON-able numbers."""
        return {
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "coefficient": self.coefficient.tolist(),
            "intercept": float(self.intercept),
            "slope": float(self.slope),
            "shift": float(self.shift),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Linear":
        """The inverse of :meth:`as_data`."""
        return cls(
            np.asarray(data["center"], float),
            np.asarray(data["scale"], float),
            np.asarray(data["low"], float),
            np.asarray(data["high"], float),
            np.asarray(data["coefficient"], float),
            data["intercept"],
            data["slope"],
            data["shift"],
        )


def fit(
    x: Floats,
    y: Floats,
    *,
    prior: Floats,
    base_rate: float,
    penalty: float,
    weight: Floats | None = None,
    tail: float = TAIL,
    calibrated: bool = True,
) -> Linear:
    """Fit towards prior coefficients, rows in time order, and calibrate on later blocks than the fit has seen.

    Args:
        x: Columns, shape (n, n_columns), NaN = missing; rows oldest first.
        y: 0 or 1, shape (n,).
        prior: Coefficients per unit of each column that hold without data, shape (n_columns,).
        base_rate: Event rate that holds without data, strictly between 0 and 1.
        penalty: Strength of the prior: as much as this many examples of average information, per column.
        weight: Weight of each row, shape (n,); 1 when None.
        tail: Share of training at either end of a column that counts as its edge.
        calibrated: False leaves calibration to the caller, who has later rows of his own.
    """
    w = np.ones(y.size) if weight is None else weight
    fitted = _fit(x, y, w, prior, base_rate, penalty, tail)
    if not calibrated:
        return fitted
    slope, shift = _calibration(x, y, w, prior, base_rate, penalty, tail)
    return replace(fitted, slope=slope, shift=shift)


def evidence(
    x: Floats, y: Floats, *, prior: Floats, base_rate: float, penalty: float, weight: Floats, tail: float = TAIL
) -> float:
    """Log of how likely the outcomes are under a prior of this strength, coefficients integrated out (Laplace 1774).

    Compares penalties on the same rows; arguments as in :func:`fit`.
    """
    fitted = _fit(x, y, weight, prior, base_rate, penalty, tail)
    inside = np.clip(x, fitted.low, fitted.high)
    design = np.column_stack([np.where(np.isfinite(x), (inside - fitted.center) / fitted.scale, 0.0), np.ones(y.size)])
    variance = base_rate * (1 - base_rate)
    ridge = np.append(np.full(prior.size, penalty * variance), 2 * variance)
    varies = np.append(np.abs(design[:, :-1]).max(axis=0) > 0, True)
    target = np.append(np.where(varies[:-1], prior * fitted.scale, 0.0), logit(base_rate))
    beta = np.append(fitted.coefficient, fitted.intercept)
    p = sigmoid(design @ beta)
    curvature = (design * (weight * np.maximum(p * (1 - p), 1e-9))[:, None]).T @ design + np.diag(ridge)
    volume = np.log(ridge).sum() - np.linalg.slogdet(curvature)[1]
    return float(0.5 * volume - _loss(design, y, weight, beta, ridge, target))


def prior_only(prior: Floats, base_rate: float, center: Floats) -> Linear:
    """What holds without any data: the prior coefficients around ``center``."""
    wide = np.full(prior.size, 1e6)
    return Linear(center, np.ones(prior.size), -wide, wide, prior, logit(base_rate))


def sigmoid(z: Floats) -> Floats:
    """Log-odds to probability, without overflow."""
    p: Floats = 0.5 * (1 + np.tanh(z / 2))
    return p


def logit(p: float) -> float:
    """Probability, strictly between 0 and 1, to log-odds."""
    return float(np.log(p / (1 - p)))


def _fit(x: Floats, y: Floats, w: Floats, prior: Floats, base_rate: float, penalty: float, tail: float) -> Linear:
    known = np.isfinite(x)
    counts = np.maximum(known.sum(axis=0), 1)
    low, high = _range(x, tail)
    x = np.clip(x, low, high)
    center = np.where(known, x, 0.0).sum(axis=0) / counts
    deviation = np.where(known, x - center, 0.0)
    spread = np.sqrt((deviation**2).sum(axis=0) / counts)
    scale = np.where(spread > 1e-9, spread, 1.0)
    # A column that never varies says nothing; its prior would only shift the intercept.
    mean = np.where(spread > 1e-9, prior * scale, 0.0)
    coefficient, intercept = _newton(deviation / scale, y, w, mean, base_rate, penalty)
    return Linear(center, scale, low, high, coefficient, intercept)


def _range(x: Floats, tail: float) -> tuple[Floats, Floats]:
    """The values between which nearly all of each column lies; (0, 0) for a column without any."""
    low, high = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for i, column in enumerate(x.T):
        values = column[np.isfinite(column)]
        if values.size:
            low[i], high[i] = np.quantile(values, (tail, 1 - tail))
            if low[i] == high[i]:
                # A rare mark (one in a thousand) must not be cut off.
                low[i], high[i] = values.min(), values.max()
    return low, high


def _newton(z: Floats, y: Floats, w: Floats, mean: Floats, base_rate: float, penalty: float) -> tuple[Floats, float]:
    """Penalised maximum likelihood by Newton steps; the intercept is held by two examples at the base rate."""
    varies = (z != 0).any(axis=0)  # what never varies stays where it is held
    design = np.column_stack([z[:, varies], np.ones(y.size)])
    variance = base_rate * (1 - base_rate)
    ridge = np.append(np.full(design.shape[1] - 1, penalty * variance), 2 * variance)
    target = np.append(mean[varies], logit(base_rate))
    beta = target.copy()
    value = _loss(design, y, w, beta, ridge, target)
    for _ in range(MAX_STEPS):
        gradient, curvature = _slopes(design, y, w, beta)
        step = np.linalg.solve(curvature + np.diag(ridge), gradient + ridge * (beta - target))
        size, improved = 1.0, False
        while size > 1e-4 and not improved:
            candidate = beta - size * step
            lower = _loss(design, y, w, candidate, ridge, target)
            improved = lower < value
            size /= 2
        if not improved:
            break
        done = value - lower < TOLERANCE * max(1.0, abs(value))
        beta, value = candidate, lower
        if done:
            break
    coefficient = mean.copy()
    coefficient[varies] = beta[:-1]
    return coefficient, float(beta[-1])


def _slopes(design: Floats, y: Floats, w: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """Gradient and curvature of the log-likelihood lost, a block of rows at a time: what is read once stays at hand."""
    gradient, curvature = np.zeros(beta.size), np.zeros((beta.size, beta.size))
    for start in range(0, y.size, BLOCK):
        rows = slice(start, start + BLOCK)
        block = design[rows]
        p = sigmoid(block @ beta)
        gradient += block.T @ (w[rows] * (p - y[rows]))
        scaled = block * np.sqrt(w[rows] * np.maximum(p * (1 - p), 1e-9))[:, None]
        curvature += scaled.T @ scaled  # of a matrix with itself: half the work
    return gradient, curvature


def _loss(design: Floats, y: Floats, w: Floats, beta: Floats, ridge: Floats, target: Floats) -> float:
    z = design @ beta
    return float(w @ (np.logaddexp(0, z) - y * z) + 0.5 * ridge @ (beta - target) ** 2)


def _calibration(
    x: Floats, y: Floats, w: Floats, prior: Floats, base_rate: float, penalty: float, tail: float
) -> tuple[float, float]:
    """Slope and shift of the log-odds on blocks that follow what each fit has seen; (1, 0) on little data."""
    edges = [int(edge) for edge in np.linspace(0, y.size, CALIBRATION_FOLDS + 2)][1:]
    if y.sum() < 10 or (1 - y).sum() < 10:
        return 1.0, 0.0
    parts = []
    for start, end in pairwise(edges):
        model = _fit(x[:start], y[:start], w[:start], prior, base_rate, penalty, tail)
        parts.append(model.contributions(x[start:end]).sum(axis=1) + model.intercept)
    z, later = np.concatenate(parts), slice(edges[0], None)
    return stretch(z, y[later], w[later])


def stretch(z: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Slope and shift that calibrate log-odds (Platt 1999), shrunk towards (1, 0) by about 20 examples.

    Args:
        z: Log-odds of rows that the fit has not seen, shape (n,).
        y: 0 or 1.
        w: Weight of each row.
    """
    design = np.column_stack([z, np.ones(z.size)])
    ridge, target = np.array([5.0, 5.0]), np.array([1.0, 0.0])
    beta = target.copy()
    for _ in range(MAX_STEPS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (w * (p - y)) + ridge * (beta - target)
        curvature = (design * (w * np.maximum(p * (1 - p), 1e-9))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        beta -= np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-7:
            break
    return max(0.05, float(beta[0])), float(beta[1])
