"""Which tests of a change fail for real, in which order to run them, and which can wait."""

from typing import Any

from models.test_selection import change_links, estimator
from models.test_selection.features import FEATURES, features
from models.test_selection.kept import KEEPING
from models.test_selection.labels import RESOLVE_AFTER, labels
from models.test_selection.objectives import OBJECTIVES
from models.test_selection.subjects import current, history
from weaver_forge.contracts.decision import Action, DecisionSpec, Method, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES, REPO_ID, REVISION
from weaver_forge.contracts.tables.ci import CORE_CI_QUARANTINES, CORE_CI_RUNS, CORE_CI_TEST_VERDICTS
from weaver_forge.errors import ConfigurationError

_FIRST = {
    "time": ("apfdc", "apfd", "recall@25"),
    "failures": ("apfd", "apfdc", "recall@25"),
    "budget": ("recall@25", "apfdc", "apfd"),
}
"""Metrics of an objective, the one that promotes first."""


def configure(**options: Any) -> DecisionSpec:
    """The spec with options.

    Args:
        options: ``objective``: "time" (default, the most failures a minute), "failures" (the most failures a test) or
            "budget" (the most failures within a quarter of the time).

    Raises:
        ConfigurationError: If an option is unknown or its value is.
    """
    objective = options.pop("objective", "time")
    if options or objective not in OBJECTIVES:
        raise ConfigurationError(
            f"unknown option or value: {options or objective!r}",
            where="[options.test_selection]",
            do='Known: objective = "time", "failures" or "budget"',
        )
    tests = SubjectKind(
        entity="tests",
        key=(REPO_ID, REVISION, Column("test_id", "VARCHAR", "Test identity as in core_ci__test_verdicts.")),
        decided_per=("repo_id", "revision"),
        predicts="event",
        label="The test fails on the revision for real: it never passed there. Both outcomes are flaky, and "
        "what fails in quarantine is not counted: neither is a failure.",
        maturity="When a run of the revision with this test has ended; never, seven days after, if it did not run.",
        link="run -> revision",
        resolve_after=RESOLVE_AFTER,
        feature_columns=FEATURES,
        history=history,
        current=current,
        features=features,
        labels=labels,
        baseline=Method("last_failed_first", estimator.fit_baseline, estimator.predict_baseline),
        model=Method(estimator.NAME, estimator.fit(objective), estimator.predict, estimator.orders),
        actions=(Action(name="skip_tests", on="low", doc="Tests are left for the rest run."),),
        metrics=(*_FIRST[objective], "first_failure_position", "brier", "ece", "log_loss", "precision"),
        keeping=KEEPING,
    )
    return DecisionSpec(
        name="test_selection",
        summary="Orders the tests of a revision by how likely they fail for real, and says which can wait.",
        reads=(
            *(CORE_CI_TEST_VERDICTS, CORE_CI_RUNS, CORE_CI_QUARANTINES, CORE_CHANGES_CHANGES, CORE_CHANGES_FILES),
            *change_links.READS,
        ),
        sources={
            "tests": "no verdicts: what ties a test to the change orders alone, and nothing is learnt",
            "git": "no changed files: tests that never failed before are ranked blindly",
            "github_actions": "no start of runs: predictions are dated just before the results",
            "coverage": "no coverage with a context a test: what a test executes is not known",
            "otlp": "no spans below spans of tests: what a test runs in services is not known",
        },
        score_unit="probability of a real failure",
        kinds=(tests,),
    )


SPEC = configure()
