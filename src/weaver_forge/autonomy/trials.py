"""Predictions with their outcomes -> trials of an action class: would it have been taken, and was that right.

A trial is one decision unit, not one prediction: a run whose skipped tests all would have passed is one trial that
came out right, however many tests it skipped. It is mature when everything it acted on is. Put here what makes a
trial; what follows from trials is in ``standing``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.contracts.decision import Action
from weaver_forge.contracts.values import Maturity, Origin

Floats = npt.NDArray[np.float64]

UPPER = 0.975
"""The quantile that capacity is set to; a quantity above it is a wrong trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Trials of one action class.

    Args:
        mature: A row a mature trial in the order in which they became known: unit, known_at, is_right, probability
            (that it would be right, as predicted), weight, is_enforced, origin.
        n_pending: Trials with an outcome that is still open.
        n_unresolvable: Trials with an outcome that never will be known; they are none.
        recent_probability: Of the newest live trials, mature or not, oldest first: whether what comes in has changed
            can be seen before it is known how it turned out.
    """

    mature: pl.DataFrame
    n_pending: int
    n_unresolvable: int
    recent_probability: Floats


MATURE_SCHEMA = pl.Schema(
    {
        "unit": pl.String(),
        "known_at": pl.Datetime("us"),
        "is_right": pl.Boolean(),
        "probability": pl.Float64(),
        "weight": pl.Float64(),
        "is_enforced": pl.Boolean(),
        "origin": pl.String(),
    }
)

RECENT = 200
"""Newest trials whose probabilities are compared with those that earned the level."""


def trials_of(
    rows: pl.DataFrame,
    action: Action,
    *,
    threshold: float | None,
    weights: Mapping[str, float],
    one_sided_for: timedelta = timedelta(0),
) -> Trials:
    """Gather the trials of an action class.

    Args:
        rows: A row a prediction: unit, predicted_at, origin, probability, q_975, outcome, maturity, outcome_known_at,
            is_enforced (whether the hook acted on the unit).
        action: What is taken where, and when that is right.
        threshold: The policy's probability from which (``high``) or below which (``low``) the action is taken; None
            where it sets none: then there are no trials.
        weights: Of a trial by its origin; 0 leaves it out.
        one_sided_for: Until this long after a prediction only bad outcomes can be known. An outcome counts from its
            end on: before, all that is known of would look bad.
    """
    acted = rows.filter(_is_taken(action, threshold)).with_columns(_is_right(action), _chance(action))
    first_known = pl.col("predicted_at") + one_sided_for
    units = (
        acted.group_by("unit", "origin", maintain_order=True)
        .agg(
            pl.col("predicted_at").max(),
            pl.max_horizontal("outcome_known_at", first_known).max().alias("known_at"),
            pl.col("is_right").all(),
            pl.col("chance").min().alias("probability"),
            pl.col("is_enforced").any(),
            (pl.col("maturity") == Maturity.UNRESOLVABLE).any().alias("is_lost"),
            (pl.col("maturity") == Maturity.MATURE).all().alias("is_mature"),
        )
        .with_columns(pl.col("origin").replace_strict(weights, default=0.0, return_dtype=pl.Float64).alias("weight"))
        .filter(pl.col("weight") > 0)
    )
    # What was replayed and happened live is one trial: the live one.
    live = units.filter(pl.col("origin") == Origin.LIVE)
    units = pl.concat([live, units.filter(pl.col("origin") != Origin.LIVE).join(live, on="unit", how="anti")])
    known = units.filter(pl.col("is_mature"))
    return Trials(
        mature=known.sort("known_at", "predicted_at", "unit").select(list(MATURE_SCHEMA)).cast(MATURE_SCHEMA),
        n_pending=units.filter(~pl.col("is_mature") & ~pl.col("is_lost")).height,
        n_unresolvable=units.filter(pl.col("is_lost")).height,
        recent_probability=live.sort("predicted_at", "unit")["probability"].drop_nulls().tail(RECENT).to_numpy(),
    )


def _is_taken(action: Action, threshold: float | None) -> pl.Expr:
    if action.on == "upper":
        return pl.col("q_975").is_not_null()
    if threshold is None:
        return pl.lit(value=False)
    taken = pl.col("probability") >= threshold if action.on == "high" else pl.col("probability") < threshold
    return taken.fill_null(value=False)


def _is_right(action: Action) -> pl.Expr:
    right = {
        "high": pl.col("outcome") == 1,
        "low": pl.col("outcome") == 0,
        "upper": pl.col("outcome") <= pl.col("q_975"),
    }[action.on]
    return right.fill_null(value=False).alias("is_right")


def _chance(action: Action) -> pl.Expr:
    """The predicted probability that the action is right."""
    chance = {"high": pl.col("probability"), "low": 1 - pl.col("probability"), "upper": pl.lit(UPPER)}[action.on]
    return chance.alias("chance")
