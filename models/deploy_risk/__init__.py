"""How likely a change introduces a bug, and a deployment hurts."""

from datetime import timedelta
from typing import Any

from models.deploy_risk import change_labels, deployments, estimator
from models.deploy_risk.features import CHANGE_FEATURES, change_features
from weaver_forge.contracts.decision import Action, DecisionSpec, Method, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_BLAMES,
    CORE_CHANGES_CHANGES,
    CORE_CHANGES_FILES,
    REPO_ID,
    REVISION,
)
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS
from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    SERVICE_KEY,
)
from weaver_forge.contracts.tables.semconv import CORE_SEMANTIC_QUALITY
from weaver_forge.errors import ConfigurationError

METRICS = ("auc", "brier", "ece", "log_loss", "popt", "acc", "mcc", "f1_macro", "precision")


def configure(**options: Any) -> DecisionSpec:
    """The spec with options.

    Args:
        options: ``change_maturity_days`` (default 90): days without blame after which a change counts as clean.

    Raises:
        ConfigurationError: If an option is unknown or its value is.
    """
    days = options.pop("change_maturity_days", 90)
    if options or isinstance(days, bool) or not isinstance(days, int | float) or days <= 0:
        raise ConfigurationError(
            f"unknown option or value: {options or days!r}",
            where="[options.deploy_risk]",
            do="Known: change_maturity_days = a number of days above 0",
        )
    return DecisionSpec(
        name="deploy_risk",
        summary="Says how likely a change introduces a bug, and a deployment is rolled back or hurts.",
        reads=(
            CORE_CHANGES_CHANGES,
            CORE_CHANGES_FILES,
            CORE_CHANGES_BLAMES,
            CORE_DEPLOYMENTS_DEPLOYMENTS,
            CORE_INCIDENTS_INCIDENTS,
            CORE_CI_RUNS,
            CORE_SEMANTIC_QUALITY,
        ),
        sources={
            "git": "nothing is known of changes: nothing can be predicted",
            "deployments": "deployments cannot be judged",
            "incidents": "only blame and rollbacks are known as harm",
        },
        score_unit="probability of harm",
        kinds=(_changes(timedelta(days=days)), _deployments()),
    )


def _changes(maturity: timedelta) -> SubjectKind:
    return SubjectKind(
        entity="changes",
        key=(REPO_ID, REVISION),
        decided_per=("repo_id", "revision"),
        predicts="event",
        label="Bug-inducing: a later fix or revert blames its lines, or an incident's review names it.",
        maturity=f"When blamed, else after {maturity.days} days.",
        link="blame of removed lines (SZZ), known from the fix's time on; incident's cause_revision",
        resolve_after=maturity,
        one_sided_for=maturity,
        feature_columns=CHANGE_FEATURES,
        history=change_labels.history,
        current=change_labels.current(maturity),
        features=change_features,
        labels=change_labels.labels(maturity),
        baseline=Method(
            "lines_added",
            estimator.fit_lines_added(estimator.CHANGES),
            estimator.predict_lines_added(estimator.CHANGES),
        ),
        model=Method(
            "logistic_and_boosted_trees",
            estimator.fit_model(estimator.CHANGES),
            estimator.predict_model(estimator.CHANGES),
        ),
        actions=(Action(name="hold_change", on="high", doc="The change is not merged.", hides_outcome=True),),
        metrics=METRICS,
    )


def _deployments() -> SubjectKind:
    return SubjectKind(
        entity="deployments",
        key=(
            SERVICE_KEY,
            Column("environment", "VARCHAR", "Environment name."),
            Column("version", "VARCHAR", "Deployed version."),
        ),
        decided_per=("service_key", "environment", "version"),
        predicts="event",
        label="Rolled back, or an incident of the service began, within 24 hours after the start.",
        maturity="When either is known, else 24 hours after the start.",
        link="deployment record; incident's service and time",
        resolve_after=deployments.MATURITY,
        one_sided_for=deployments.MATURITY,
        feature_columns=deployments.FEATURES,
        history=deployments.history,
        current=deployments.current,
        features=deployments.features,
        labels=deployments.labels,
        baseline=Method(
            "lines_added",
            estimator.fit_lines_added(estimator.DEPLOYMENTS),
            estimator.predict_lines_added(estimator.DEPLOYMENTS),
        ),
        model=Method(
            "logistic_and_boosted_trees",
            estimator.fit_model(estimator.DEPLOYMENTS),
            estimator.predict_model(estimator.DEPLOYMENTS),
        ),
        actions=(
            Action(name="hold_deployment", on="high", doc="The rollout waits or goes slower.", hides_outcome=True),
        ),
        metrics=METRICS,
    )


SPEC = configure()
