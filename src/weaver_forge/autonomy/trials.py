"""Predictions with their outcomes -> trials of an action class: would it have been taken, and was that right.

A trial is one decision unit, not one prediction: a run whose skipped tests all would have passed is one trial that
came out right, however many tests it skipped. Units that are no independent evidence (neighbouring windows of one
service on one day) make one trial together, right by the share of them that were: a likelihood ratio is convex in an
outcome between 0 and 1, so that such a share keeps every guarantee of ``sequential``. Put here what makes a trial;
what follows from trials is in ``standing``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.contracts.decision import Action
from weaver_forge.contracts.values import Maturity, Origin

Floats = npt.NDArray[np.float64]

UPPER = 0.975
"""The quantile that capacity is set to; a quantity above it is a wrong trial."""

SEEN = 0.5
"""Share of what a unit was acted on whose outcomes must be known, unless one of them is wrong already."""

ROWS = pl.Schema(
    {
        "unit": pl.String(),
        "subject": pl.String(),
        "cluster": pl.String(),
        "closes_at": pl.Datetime("us"),
        "predicted_at": pl.Datetime("us"),
        "origin": pl.String(),
        "probability": pl.Float64(),
        "q_975": pl.Float64(),
        "outcome": pl.Float64(),
        "maturity": pl.String(),
        "outcome_known_at": pl.Datetime("us"),
        "duration_ms": pl.Float64(),
        "is_enforced": pl.Boolean(),
        "is_stopped": pl.Boolean(),
    }
)
"""What trials are made of: a row a prediction, in the order in which they were recorded.

``cluster`` names the independent evidence that a unit belongs to, ``closes_at`` the end of the time that it covers
(null: it covers none). ``duration_ms`` is what was known of it before. ``is_enforced``: a level above assisted was in
force when a hook decided. ``is_stopped``: a hook held it back, and nobody let it through.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Trials of one action class.

    Args:
        mature: A row a mature trial in the order in which they became known, see :data:`MATURE_SCHEMA`.
        n_pending: Units with an outcome that is still open.
        n_unresolvable: Units with an outcome that never will be known, or that acting kept from happening; none count.
        recent_probability: Of the newest trials, replay left out, mature or not, oldest first: whether what comes in
            has changed can be seen before it is known how it turned out.
        data_as_of: Newest data behind any prediction; None where that is not known.
    """

    mature: pl.DataFrame
    n_pending: int
    n_unresolvable: int
    recent_probability: Floats
    data_as_of: datetime | None = None


MATURE_SCHEMA = pl.Schema(
    {
        "unit": pl.String(),
        "known_at": pl.Datetime("us"),
        "right": pl.Float64(),
        "share": pl.Float64(),
        "probability": pl.Float64(),
        "weight": pl.Float64(),
        "is_enforced": pl.Boolean(),
        "origin": pl.String(),
    }
)
"""Columns of a mature trial: ``right`` is the share of its units in which everything came out right (0 or 1 for a
single unit), ``share`` that of all single subjects acted on, ``probability`` the mean of what was predicted for them:
``share`` comes out like ``probability`` on average, however much the subjects of a unit hang together."""

CLUSTERS = pl.Schema(
    {
        "unit": pl.String(),
        "origin": pl.String(),
        "predicted_at": pl.Datetime("us"),
        "known_at": pl.Datetime("us"),
        "right": pl.Float64(),
        "share": pl.Float64(),
        "probability": pl.Float64(),
        "foreseen": pl.Float64(),
        "is_enforced": pl.Boolean(),
        "is_open": pl.Boolean(),
        "n_open": pl.Int64(),
        "n_lost": pl.Int64(),
    }
)
"""What trials are chosen from: as a mature trial, with ``foreseen``, the mean predicted for all its units, known or
not; ``is_open``, whether something of it is still to become known; and its units that are open or never will be."""

RECENT = 200
"""Newest trials whose probabilities are compared with those that earned the level."""


def trials_of(
    rows: pl.DataFrame,
    action: Action,
    *,
    threshold: float | pl.Expr | None,
    weights: Mapping[str, float],
    one_sided_for: timedelta = timedelta(0),
    data_as_of: datetime | None = None,
) -> Trials:
    """Gather the trials of an action class.

    Args:
        rows: In the shape of :data:`ROWS`.
        action: What is taken where, and when that is right.
        threshold: As :func:`clusters_of` takes it.
        weights: Of a trial by its origin; 0 leaves it out.
        one_sided_for: As :func:`clusters_of` takes it.
        data_as_of: Newest data behind any prediction.
    """
    clusters = clusters_of(rows, action, threshold=threshold, origins=counted(weights), one_sided_for=one_sided_for)
    return of_clusters(clusters, weights=weights, data_as_of=data_as_of)


def counted(weights: Mapping[str, float]) -> tuple[str, ...]:
    """The origins whose trials weigh anything."""
    return tuple(sorted(origin for origin, weight in weights.items() if weight > 0))


def clusters_of(
    rows: pl.DataFrame,
    action: Action,
    *,
    threshold: float | pl.Expr | None,
    origins: Collection[str],
    one_sided_for: timedelta = timedelta(0),
) -> pl.DataFrame:
    """A row a cluster and origin with anything acted on, known or not.

    The first prediction of a subject counts: a later one may know more than a hook did. Nothing of a cluster depends
    on the rows of another one, so that those which changed can be made anew by themselves.

    Args:
        rows: In the shape of :data:`ROWS`; of a cluster all or none.
        action: What is taken where, and when that is right.
        threshold: The policy's probability from which (``high``) or below which (``low``) the action is taken, or how
            it follows from a row; None where it sets none: then there are no trials.
        origins: Those that count.
        one_sided_for: Until this long after a prediction only bad outcomes can be known. An outcome counts from its
            end on: before, all that is known of would look bad.

    Returns:
        In the shape of :data:`CLUSTERS`, in no order.
    """
    first = rows.filter(pl.col("origin").is_in(list(origins))).unique(
        ["subject", "origin"], keep="first", maintain_order=True
    )
    units = _units(first.filter(_is_taken(action, threshold)), action, one_sided_for)
    # What was replayed and happened live is one trial: the live one.
    now_and_then = units.filter(pl.col("origin") != Origin.REPLAY)
    replayed = units.filter(pl.col("origin") == Origin.REPLAY).join(now_and_then, on="unit", how="anti")
    return _clusters(pl.concat([now_and_then, replayed])).select(list(CLUSTERS)).cast(CLUSTERS)


def of_clusters(clusters: pl.DataFrame, *, weights: Mapping[str, float], data_as_of: datetime | None = None) -> Trials:
    """The trials among clusters, in the order in which they became known.

    Args:
        clusters: In the shape of :data:`CLUSTERS`.
        weights: Of a trial by its origin.
        data_as_of: Newest data behind any prediction.
    """
    weighted = clusters.with_columns(
        pl.col("origin").replace_strict(weights, default=0.0, return_dtype=pl.Float64).alias("weight")
    )
    known = weighted.filter(~pl.col("is_open"), pl.col("right").is_not_null())
    live = clusters.filter(pl.col("origin") != Origin.REPLAY).drop_nulls("foreseen")
    recent = live.top_k(RECENT, by=["predicted_at", "unit", "origin"])
    return Trials(
        mature=known.sort("known_at", "predicted_at", "unit", "origin").select(list(MATURE_SCHEMA)),
        n_pending=int(clusters["n_open"].sum()),
        n_unresolvable=int(clusters["n_lost"].sum()),
        recent_probability=recent.sort("predicted_at", "unit", "origin")["foreseen"].to_numpy(),
        data_as_of=data_as_of,
    )


def _units(acted: pl.DataFrame, action: Action, one_sided_for: timedelta) -> pl.DataFrame:
    """A row a decision unit and origin; a forecast sets capacity a step at a time, so each step is one."""
    unit = "subject" if action.on == "upper" else "unit"
    is_known = pl.col("maturity") == Maturity.MATURE
    first_known = pl.col("predicted_at") + one_sided_for
    n_lost = (pl.col("maturity") == Maturity.UNRESOLVABLE).sum()
    units = (
        acted.with_columns(_is_right(action), _chance(action))
        .group_by(pl.col(unit).alias("unit"), "origin", maintain_order=True)
        .agg(
            pl.col("cluster").first(),
            pl.col("predicted_at").max(),
            pl.max_horizontal("outcome_known_at", first_known, "closes_at").max().alias("known_at"),
            pl.col("is_right").filter(is_known).all().cast(pl.Float64).alias("right"),
            pl.col("is_right").filter(is_known).mean().alias("share"),
            pl.col("chance").filter(is_known).mean().alias("probability"),
            pl.col("chance").mean().alias("foreseen"),
            pl.col("is_enforced").any(),
            (is_known.sum() + n_lost < pl.len()).alias("is_open"),
            ((is_known.sum() < SEEN * pl.len()) & pl.col("is_right").filter(is_known).all()).alias("is_unseen"),
            pl.col("is_stopped").any() & pl.lit(action.hides_outcome),
        )
    )
    is_lost = (~pl.col("is_open") & pl.col("is_unseen")) | pl.col("is_stopped")
    return units.with_columns(is_lost.alias("is_lost"), (pl.col("is_open") & ~pl.col("is_stopped")).alias("is_open"))


def _clusters(units: pl.DataFrame) -> pl.DataFrame:
    """A row a trial: the units of one cluster and origin."""
    seen = ~pl.col("is_lost")
    return (
        units.group_by("cluster", "origin", maintain_order=True)
        .agg(
            pl.col("predicted_at").max(),
            *(pl.col(name).filter(seen).mean() for name in ("right", "share", "probability")),
            pl.col("known_at").filter(seen).max(),
            pl.col("foreseen").mean(),
            pl.col("is_enforced").any(),
            pl.col("is_open").any(),
            pl.col("is_open").sum().alias("n_open"),
            pl.col("is_lost").sum().alias("n_lost"),
        )
        .rename({"cluster": "unit"})
    )


def _is_taken(action: Action, threshold: float | pl.Expr | None) -> pl.Expr:
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
