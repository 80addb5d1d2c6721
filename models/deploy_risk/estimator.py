"""The methods: logistic regression averaged with boosted trees, plain logistic regression, and lines added.

Put fitting and predicting here, for both kinds. Artifacts are plain numbers; predicting needs numpy and polars only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models import logistic
from models.deploy_risk import trees
from models.deploy_risk.evidence import evidence
from weaver_forge.contracts.decision import Artifact, Predictions

Floats = logistic.Floats
Fit = Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], Artifact]
Predict = Callable[[Artifact, pl.DataFrame], Predictions]

HALF_LIFE_DAYS = 274.0
"""Nine months: what a bug looks like drifts with the code (evaluated on published histories)."""

LEAST_FOR_TREES = 300
LEAST_EVENTS_FOR_TREES = 40
PRIOR_STRENGTHS = {300.0: 0.0, 100.0: -0.5, 30.0: -1.0}
"""How many examples the stated coefficients may weigh as much as -> log belief in that. A hundred changes cannot
tell twenty weak columns apart, so the prior holds firmly unless the outcomes clearly speak against it. Set on the
older parts of published histories, learning from 100 to 600 changes at a time."""
BASELINE_PRIOR_STRENGTH = 10.0
"""A single column needs less holding."""
TAIL = 0.01
"""Sizes and counts have long tails: the outermost hundredth counts as its edge."""
STAKE = 0.5
"""Share of the trees in the averaged log-odds; the rest is the logistic regression's."""


@dataclass(frozen=True, slots=True)
class Design:
    """How a kind's features become columns.

    Args:
        key: Subject columns.
        logs: Counts and sizes: log(1 + x).
        plain: Used as they are.
        prior: Coefficients that hold before any data, by column.
        base_rate: Share that goes wrong before any data.
        effort: Columns whose sum + 1 is the effort of looking at a subject; () where there is none.
    """

    key: tuple[str, ...]
    logs: tuple[str, ...]
    plain: tuple[str, ...]
    prior: Mapping[str, float]
    base_rate: float
    effort: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return (*self.logs, *self.plain)

    def matrix(self, features: pl.DataFrame) -> Floats:
        """Shape (n, n_columns), NaN = missing."""
        frame = features.select(
            *(pl.col(name).cast(pl.Float64).clip(0).log1p() for name in self.logs),
            *(pl.col(name).cast(pl.Float64) for name in self.plain),
        )
        return frame.fill_null(float("nan")).to_numpy().astype(float).reshape(features.height, len(self.columns))

    def labelled(self, features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
        """Features with outcomes, oldest first; the same rows in any order give the same result."""
        rows = features.join(labels.select(*self.key, "outcome"), on=self.key)
        return rows.filter(pl.col("outcome").is_not_null()).sort("predicted_at", *self.key[:-1])


CHANGES = Design(
    key=("repo_id", "revision", "predicted_at"),
    logs=(
        "lines_added", "lines_deleted", "n_files", "n_folders", "n_subsystems", "lines_before", "n_developers",
        "age_days", "n_prior_changes", "n_prior_bugs", "n_new_files", "author_changes", "author_recent_changes",
        "author_subsystem_changes", "n_test_files", "n_config_files", "n_changes_last_7_days", "lines_per_file",
    ),
    plain=("entropy", "is_fix", "author_bug_excess", "off_hours"),
    # Signs as in Kamei et al. 2013: size, spread and the files' past raise the risk, experience lowers it.
    prior={
        "lines_added": 0.35, "n_files": 0.2, "n_prior_changes": 0.15, "n_prior_bugs": 0.3, "author_changes": -0.05,
    },
    base_rate=0.15,
    effort=("lines_added", "lines_deleted"),
)  # fmt: skip

DEPLOYMENTS = Design(
    key=("service_key", "environment", "version", "predicted_at"),
    logs=(
        "n_changes", "lines_added", "lines_deleted", "largest_change_lines", "mean_change_lines", "n_fixes",
        "n_authors", "least_author_changes", "hours_since_deployment", "n_incidents_last_7_days",
    ),
    plain=("bad_deployment_ratio", "off_hours", "telemetry_score"),
    prior={"lines_added": 0.2, "largest_change_lines": 0.1, "bad_deployment_ratio": 3.0},
    base_rate=0.05,
)  # fmt: skip


def fit_model(design: Design, *, half_life_days: float = HALF_LIFE_DAYS) -> Fit:
    """Logistic regression averaged with boosted trees where there is enough to grow them on."""

    def fit(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
        rows = design.labelled(with_ratios(features), labels)
        x, y = design.matrix(rows), rows["outcome"].to_numpy().astype(float)
        weight = recency(rows["predicted_at"], half_life_days)
        enough = y.size >= LEAST_FOR_TREES and min(y.sum(), y.size - y.sum()) >= LEAST_EVENTS_FOR_TREES
        # So few held-out blocks say less about calibration than the prior, which already keeps the fit from boasting.
        fitted = _linear(design, x, y, weight) if enough else _plain(_linear(design, x, y, weight))
        artifact: Artifact = {
            "method": "logistic_and_boosted_trees",
            "columns": list(design.columns),
            "linear": fitted.as_data(),
            "trees": None,
            "slope": 1.0,
            "shift": 0.0,
            "n_rows": int(y.size),
            "n_events": float(y.sum()),
        }
        if enough:
            late = int(0.75 * y.size)
            held_out = _averaged(design, x[:late], y[:late], weight[:late], rng)
            slope, shift = logistic.stretch(held_out(x[late:]), y[late:], weight[late:])
            artifact |= {"trees": trees.grow(x, y, weight, rng).as_data(), "slope": slope, "shift": shift}
        return artifact

    return fit


def predict_model(design: Design) -> Predict:
    """Calibrated probability, risk per line as the order where there is an effort, and evidence."""

    def predict(artifact: Artifact, features: pl.DataFrame) -> Predictions:
        rows = with_ratios(features)
        parts, intercept = explained(artifact, design.matrix(rows))
        probability = logistic.sigmoid(parts.sum(axis=1) + intercept)
        effort = sum((pl.col(name).fill_null(0.0) for name in design.effort), pl.lit(1.0))
        risk = pl.Series(probability, dtype=pl.Float64)
        frame = rows.select(
            *design.key,
            probability=risk,
            score=(risk / effort) if design.effort else pl.lit(None, pl.Float64),
            evidence=evidence(rows, dict(zip(artifact["columns"], parts.T, strict=True))),
        )
        return Predictions(frame)

    return predict


def explained(artifact: Artifact, x: Floats) -> tuple[Floats, float]:
    """Calibrated log-odds of each column, shape (n, n_columns), and what holds before any."""
    linear = logistic.Linear.from_data(artifact["linear"])
    if artifact["trees"] is None:
        return linear.contributions(x), linear.slope * linear.intercept + linear.shift
    forest = trees.Forest.from_data(artifact["trees"])
    parts = (1 - STAKE) * _plain(linear).contributions(x) + STAKE * forest.contributions(x)
    intercept = (1 - STAKE) * linear.intercept + STAKE * forest.intercept
    slope, shift = artifact["slope"], artifact["shift"]
    return slope * parts, slope * intercept + shift


def fit_lines_added(design: Design) -> Fit:
    """The baseline: log-odds linear in log(1 + lines added)."""
    column = design.columns.index("lines_added")

    def fit(features: pl.DataFrame, labels: pl.DataFrame, rng: np.random.Generator) -> Artifact:
        del rng
        rows = design.labelled(with_ratios(features), labels)
        x, y = design.matrix(rows)[:, [column]], rows["outcome"].to_numpy().astype(float)
        one = Design(design.key, ("lines_added",), (), {"lines_added": 0.35}, design.base_rate)
        fitted = _linear(one, x, y, np.ones(y.size), {BASELINE_PRIOR_STRENGTH: 0.0})
        return {"method": "lines_added", "linear": fitted.as_data()}

    return fit


def predict_lines_added(design: Design) -> Predict:
    """Probability by lines added alone."""
    column = design.columns.index("lines_added")

    def predict(artifact: Artifact, features: pl.DataFrame) -> Predictions:
        rows = with_ratios(features)
        x = design.matrix(rows)[:, [column]]
        linear = logistic.Linear.from_data(artifact["linear"])
        parts = {"lines_added": linear.contributions(x)[:, 0]}
        frame = rows.select(
            *design.key,
            probability=pl.Series(linear.probability(x), dtype=pl.Float64),
            evidence=evidence(rows, parts),
        )
        return Predictions(frame)

    return predict


def recency(predicted_at: pl.Series, half_life_days: float) -> Floats:
    """Weight 2 ** (-age / half life), age counted from the newest row; they sum to the number of rows."""
    if predicted_at.len() == 0:
        return np.zeros(0)
    seconds = predicted_at.dt.epoch("s").to_numpy().astype(float)
    weight = np.exp2((seconds - seconds.max()) / (86_400 * half_life_days))
    scaled: Floats = weight * (weight.size / weight.sum())
    return scaled


def with_ratios(features: pl.DataFrame) -> pl.DataFrame:
    """Features with the columns that follow from them."""
    outside = (pl.col("hour") < 7) | (pl.col("hour") >= 19) | (pl.col("weekday") > 5)
    features = features.with_columns(off_hours=outside.cast(pl.Float64))
    if "n_files" not in features.columns:
        return features
    lines = pl.col("lines_added") + pl.col("lines_deleted")
    return features.with_columns(lines_per_file=lines / pl.when(pl.col("n_files") > 0).then(pl.col("n_files")))


def _linear(
    design: Design,
    x: Floats,
    y: Floats,
    weight: Floats,
    strengths: Mapping[float, float] = PRIOR_STRENGTHS,
) -> logistic.Linear:
    prior = np.array([design.prior.get(name, 0.0) for name in design.columns])
    if 0 < y.sum() < y.size:
        strength = _strength(design, x, y, weight, strengths)
        return logistic.fit(x, y, prior=prior, base_rate=design.base_rate, penalty=strength, weight=weight, tail=TAIL)
    rate = (y.sum() + 20 * design.base_rate) / (y.size + 20)
    known = np.isfinite(x)
    center = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    # A typical change of a few dozen lines in two files, where nothing was ever seen.
    center = np.where(known.any(axis=0), center, np.array([_TYPICAL.get(name, 0.0) for name in design.columns]))
    return logistic.prior_only(prior, float(np.clip(rate, 1e-4, 1 - 1e-4)), center)


def _strength(design: Design, x: Floats, y: Floats, weight: Floats, strengths: Mapping[float, float]) -> float:
    """The strength under which the outcomes are most likely, belief included."""
    if len(strengths) == 1:
        return next(iter(strengths))
    prior = np.array([design.prior.get(name, 0.0) for name in design.columns])
    found = {
        strength: belief
        + logistic.evidence(x, y, prior=prior, base_rate=design.base_rate, penalty=strength, weight=weight, tail=TAIL)
        for strength, belief in strengths.items()
    }
    return max(found, key=lambda strength: found[strength])


_TYPICAL = {"lines_added": 3.5, "n_files": 1.0, "largest_change_lines": 4.5, "bad_deployment_ratio": 0.05}


def _plain(linear: logistic.Linear) -> logistic.Linear:
    """Without its own calibration: the average is calibrated as a whole."""
    return replace(linear, slope=1.0, shift=0.0)


def _averaged(
    design: Design, x: Floats, y: Floats, weight: Floats, rng: np.random.Generator
) -> Callable[[Floats], Floats]:
    """Uncalibrated log-odds of both methods' average, fitted on these rows."""
    linear = _plain(_linear(design, x, y, weight))
    forest = trees.grow(x, y, weight, rng) if 0 < y.sum() < y.size else None

    def log_odds(new: Floats) -> Floats:
        z: Floats = linear.contributions(new).sum(axis=1) + linear.intercept
        if forest is None:
            return z
        both: Floats = (1 - STAKE) * z + STAKE * (forest.contributions(new).sum(axis=1) + forest.intercept)
        return both

    return log_odds


__all__ = ["CHANGES", "DEPLOYMENTS", "Design", "fit_lines_added", "fit_model", "predict_lines_added", "predict_model"]
