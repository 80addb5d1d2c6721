"""load_forecast: what a service's load will be in the next minutes, with intervals.

The spec and its options stand here. Subjects, labels, features, candidates and the estimator are modules of
their own; protocols on outside series are in ``evaluation.py``.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from models.load_forecast import labels as _labels
from models.load_forecast import subjects
from models.load_forecast.estimator import NAIVE, POOL
from models.load_forecast.features import FEATURE_COLUMNS, features
from weaver_forge.contracts.decision import Action, DecisionSpec, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.operations import CORE_SERVICE_POINTS, SERVICE_KEY

METRICS = ("mase", "pinball", "crps", "coverage80", "coverage95")
"""Promotion is on mase: a ratio a unit, as rel_mase has it, explodes on a quiet night where the naive zero is exact."""


def configure(
    *,
    horizon_steps: int = 120,
    history_days: float = 14.0,
    origin_hours: float = 3.0,
    steps_per_origin: int = 16,
    metrics: Sequence[str] = ("requests",),
) -> DecisionSpec:
    """The decision with its options.

    Args:
        horizon_steps: How many steps ahead are forecast; a step is that of the series (a minute for spans).
        history_days: How far back origins are held back to learn weights and intervals from.
        origin_hours: Distance of these origins.
        steps_per_origin: How many of the steps ahead are sampled at each of them.
        metrics: Which metrics of ``core_service__points`` are forecast.
    """
    kind = SubjectKind(
        entity="points",
        key=(
            SERVICE_KEY,
            Column("metric", "VARCHAR", "Metric as in core_service__points."),
            Column("at", "TIMESTAMP", "Start of the step forecast, UTC."),
        ),
        decided_per=("service_key", "metric"),
        judged_per=("service_key", "metric", "at"),
        predicts="quantity",
        label="The observed value of the metric in that step. The cost of an error is counted in the series' "
        "mean absolute seasonal difference.",
        maturity="When the step's point is known; a step without a point while the source has data an hour newer "
        "is a gap and stays unresolvable.",
        link="service key",
        resolve_after=timedelta(minutes=horizon_steps) + timedelta(hours=1),
        feature_columns=FEATURE_COLUMNS,
        history=partial(
            subjects.history,
            metrics=tuple(metrics),
            horizon_steps=horizon_steps,
            days=history_days,
            every=timedelta(hours=origin_hours),
            steps=steps_per_origin,
        ),
        current=partial(subjects.current, metrics=tuple(metrics), horizon_steps=horizon_steps),
        features=features,
        labels=_labels.labels,
        baseline=NAIVE,
        model=POOL,
        actions=(Action(name="scale", on="upper", doc="Capacity is set ahead of the load."),),
        metrics=METRICS,
    )
    return DecisionSpec(
        name="load_forecast",
        summary="The load of every service over the next steps, with intervals that hold as often as they say.",
        reads=(CORE_SERVICE_POINTS,),
        sources={"otlp": "without spans there are no points and nothing can be forecast"},
        score_unit="requests per minute",
        kinds=(kind,),
    )


SPEC = configure()
