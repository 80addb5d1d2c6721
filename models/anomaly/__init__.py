"""anomaly: which windows of which service are in trouble, and which service caused it.

The spec and its options stand here. Windows, evidence, features, subjects, the estimator and the ranking of causes
are modules of their own; protocols on outside series are in ``evaluation.py``.
"""

from datetime import timedelta
from functools import partial

from models.anomaly import subjects
from models.anomaly.estimator import BASELINE, MODEL
from models.anomaly.features import FEATURE_COLUMNS, features
from models.anomaly.windows import length_of
from weaver_forge.contracts.decision import Action, DecisionSpec, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    CORE_SERVICE_POINTS,
    CORE_TRACE_EDGES,
    SERVICE_KEY,
)

METRICS = ("ap", "event_f1", "brier", "ece", "precision", "log_loss")


def configure(*, window_minutes: int = 10, history_days: float = 30.0) -> DecisionSpec:
    """The decision with its options.

    Args:
        window_minutes: Length of a window; windows lie on multiples of it since 1970.
        history_days: How far back windows are learnt from.
    """
    window = timedelta(minutes=window_minutes)
    kind = SubjectKind(
        entity="windows",
        key=(SERVICE_KEY, Column("window_at", "TIMESTAMP", "Start of the window, UTC.")),
        decided_per=("service_key", "window_at"),
        judged_per=("service_key", "window_at"),
        predicts="event",
        label="An incident of the service overlaps the window.",
        maturity="24 h after the window: incidents are declared late.",
        link="incident to service",
        resolve_after=timedelta(hours=25),
        feature_columns=FEATURE_COLUMNS,
        history=partial(subjects.history, window=window, days=history_days),
        current=partial(subjects.current, window=window),
        features=partial(features, length=length_of(window)),
        labels=partial(subjects.labels, window=window),
        baseline=BASELINE,
        model=MODEL,
        actions=(Action(name="page", on="high", doc="A person is woken, a rollout is halted."),),
        metrics=METRICS,
        candidates="service that caused it",
    )
    return DecisionSpec(
        name="anomaly",
        summary="Which windows of which service are in trouble, and which service most likely caused it.",
        reads=(CORE_SERVICE_POINTS, CORE_TRACE_EDGES, CORE_INCIDENTS_INCIDENTS, CORE_DEPLOYMENTS_DEPLOYMENTS),
        sources={
            "otlp": "without spans there are no points and nothing can be judged",
            "incidents": "without incidents the prior is never corrected and nothing can be scored",
            "deployments": "without deployments a recent one is no evidence",
        },
        score_unit="probability of an incident",
        kinds=(kind,),
    )


SPEC = configure()
