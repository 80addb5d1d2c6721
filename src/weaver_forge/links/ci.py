"""Test reports, runs and jobs -> runs, results and verdicts, each linked to the commit under test.

A JUnit report says neither what it tested nor when that ended. Its revision is the one given with it, else the one
in its suite properties, else that of the run it names by id or number; else it has none: its results are stored and
counted, but make no verdict. A run is known from its end on, and so is everything that was found in it.

A verdict is that of a test in a run, over all attempts in all reports of the run: flaky where it both passed and
failed, else failed, passed or skipped. Disagreement between runs of one revision is for a model to judge.
"""

import polars as pl

from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables.ci import (
    CORE_CI_JOBS,
    CORE_CI_PIPELINE_SPANS,
    CORE_CI_RUN_ERRORS,
    CORE_CI_RUNS,
    CORE_CI_TEST_DURATIONS,
    CORE_CI_TEST_RESULTS,
    CORE_CI_TEST_VERDICTS,
    RAW_GITLAB_JOBS,
    RAW_GITLAB_PIPELINES,
)
from weaver_forge.links.ci_runs import told_jobs, told_runs

UNKNOWN_REPO = "unknown"

_RUN = ("repo_id", "run_id")
_REPORT = ("report_sha256", "context")
_TEST = (*_RUN, "test_id")
_IS_LINKED = pl.col("link_method") != "none"
# Only [XPASS(strict)] is seen as xpassed in a report, and pytest fails the run for it.
_FAILED = ("failed", "error", "xpassed")
# Neither is an execution of a test by itself: one is of the infrastructure, the other repeats a subtest's failure.
_NO_RESULT = ("collection_error", "failed_by_child")
# Their names are sentences that two files can share; those of other runners begin with a module, package or class.
_NAMED_BY_FILE = ("jest", "mocha", "vitest", "playwright", "cypress")
_TELLS_RETRIES = {"pytest": 2, "ctrf": 1, "go_test": 1}
"""How well a format tells of retries: of one run told in several, the test is counted by the best."""


def core_ci(
    raw_tests: pl.DataFrame,
    raw_runs: pl.DataFrame,
    raw_jobs: pl.DataFrame,
    raw_commits: pl.DataFrame,
    *,
    raw_pipelines: pl.DataFrame | None = None,
    raw_gitlab_jobs: pl.DataFrame | None = None,
    pipeline_spans: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """Make ``core_ci__runs``, ``__jobs``, ``__test_results``, ``_verdicts`` and ``_durations``, and ``__run_errors``.

    Args:
        raw_tests: ``raw_tests__results``.
        raw_runs: ``raw_github_actions__runs``.
        raw_jobs: ``raw_github_actions__jobs``.
        raw_commits: ``raw_git__commits``; where it has one repository alone, a report without one is from it.
        raw_pipelines: ``raw_gitlab__pipelines``; None for no rows, as of the next two.
        raw_gitlab_jobs: ``raw_gitlab__jobs``.
        pipeline_spans: ``core_ci__pipeline_spans``.
    """
    spans = empty(CORE_CI_PIPELINE_SPANS) if pipeline_spans is None else pipeline_spans
    told = told_runs(raw_runs, empty(RAW_GITLAB_PIPELINES) if raw_pipelines is None else raw_pipelines, spans)
    provider = shaped(CORE_CI_RUNS, told.filter(pl.col("ended_at").is_not_null()))
    rows = _linked(raw_tests, told, raw_commits)
    runs = pl.concat([provider, _report_runs(rows, provider)])
    results = _results(rows, runs)
    verdicts = _verdicts(results)
    return {
        CORE_CI_RUNS.name: runs.sort("ended_at", *CORE_CI_RUNS.key),
        CORE_CI_JOBS.name: told_jobs(
            raw_jobs, empty(RAW_GITLAB_JOBS) if raw_gitlab_jobs is None else raw_gitlab_jobs, spans
        ),
        CORE_CI_TEST_RESULTS.name: shaped(CORE_CI_TEST_RESULTS, results),
        CORE_CI_TEST_VERDICTS.name: verdicts,
        CORE_CI_TEST_DURATIONS.name: test_durations(verdicts),
        CORE_CI_RUN_ERRORS.name: _run_errors(rows, runs),
    }


def test_durations(verdicts: pl.DataFrame) -> pl.DataFrame:
    """``core_ci__test_durations`` of all verdicts."""
    mean = verdicts.group_by("repo_id", "test_id").agg(pl.col("duration_ms").mean())
    return shaped(CORE_CI_TEST_DURATIONS, mean).sort(CORE_CI_TEST_DURATIONS.key)


def _linked(raw_tests: pl.DataFrame, told: pl.DataFrame, raw_commits: pl.DataFrame) -> pl.DataFrame:
    """Give every row its repository, run, revision and how that was found.

    A run id is unique at its provider, so a report that names a run but no repository takes the run's, if only
    one repository has a run of that id. A run that has not ended has a revision all the same.
    """
    repos = raw_commits["repo_id"].unique().to_list()
    fallback = repos[0] if len(repos) == 1 else UNKNOWN_REPO
    runs = told.sort("run_attempt").group_by(_RUN).agg(run_revision=pl.col("revision").last())
    owners = runs.group_by("run_id").agg(owner=pl.col("repo_id").unique()).filter(pl.col("owner").list.len() == 1)
    # What a caller says of a report stands in its context; a revision beside it was in the report's properties.
    given = pl.col("context").str.json_path_match("$.revision")
    return (
        _numbered(raw_tests, told)
        .join(owners.with_columns(pl.col("owner").list.first()), on="run_id", how="left")
        .with_columns(
            repo_id=pl.coalesce("repo_id", "owner", pl.lit(fallback)),
            run_id=pl.coalesce("run_id", "report-" + pl.col("report_sha256").str.slice(0, 16)),
        )
        .join(runs, on=_RUN, how="left")
        .with_columns(
            link_method=pl.when(given.is_not_null())
            .then(pl.lit("given"))
            .when(pl.col("revision").is_not_null())
            .then(pl.lit("properties"))
            .when(pl.col("run_revision").is_not_null())
            .then(pl.lit("run"))
            .otherwise(pl.lit("none")),
            revision=pl.coalesce("revision", "run_revision"),
        )
        # Taken in once without and once with its run, a report is the linked one.
        .filter(_IS_LINKED | ~_IS_LINKED.any().over("report_sha256"))
    )


def _numbered(raw_tests: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Give the reports of which only a run's number is known that run's id, if no other run has the number.

    Numbers count within a workflow, so two runs of a repository can have one number, and a report of one repository
    can have the number of another's run while its own was never exported. So a number links within the repository
    given, or the only one that has runs here; else the report stays unlinked and is counted: no link is a guess.
    """
    number = pl.col("context").str.json_path_match("$.run_number").cast(pl.Int32, strict=False)
    runs = told.filter(pl.col("run_number").is_not_null()).select(*_RUN, "run_number").unique()
    only = pl.when(pl.len() == 1).then(pl.col("run_id").first())
    numbered = runs.group_by("repo_id", "run_number").agg(numbered=only).rename({"repo_id": "numbered_repo"})
    repos = told["repo_id"].unique().to_list()
    repo = pl.coalesce("repo_id", pl.lit(repos[0] if len(repos) == 1 else None, pl.String))
    return (
        raw_tests.with_columns(run_number=number, numbered_repo=repo)
        .join(numbered, on=["numbered_repo", "run_number"], how="left")
        .with_columns(run_id=pl.coalesce("run_id", "numbered"))
        .drop("run_number", "numbered_repo", "numbered")
    )


def _report_runs(rows: pl.DataFrame, provider: pl.DataFrame) -> pl.DataFrame:
    """Runs that only reports speak of: from the start of the first report to the end of the last."""
    reports = (
        rows.join(provider, on=_RUN, how="anti")
        .group_by(*_RUN, *_REPORT)
        .agg(
            pl.col("revision").drop_nulls().first(),
            pl.col("link_method").first(),
            started_at=pl.col("suite_started_at").min(),
            duration_ms=pl.col("duration_ms").sum(),
            received_at=pl.col("received_at").min(),
            is_failed=pl.col("status").is_in([*_FAILED, *_NO_RESULT]).any(),
        )
    )
    elapsed = (pl.col("duration_ms") * 1000).cast(pl.Duration("us"))
    timed = reports.with_columns(ended_at=pl.coalesce(pl.col("started_at") + elapsed, "received_at")).with_columns(
        started_at=pl.coalesce("started_at", "ended_at")
    )
    runs = (
        timed.sort("ended_at", "report_sha256")
        .group_by(_RUN)
        .agg(
            pl.col("revision").drop_nulls().last(),
            pl.col("link_method").filter(pl.col("link_method") != "none").last(),
            pl.col("started_at").min(),
            pl.col("ended_at").max(),
            conclusion=pl.when(pl.col("is_failed").any()).then(pl.lit("failure")).otherwise(pl.lit("success")),
        )
        .with_columns(pl.col("link_method").fill_null("none"), run_attempt=1, workflow=pl.lit(""), known_at="ended_at")
    )
    return shaped(CORE_CI_RUNS, runs)


def _results(rows: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Number the attempts of a test over all reports of its run, and say when each was known."""
    ends = runs.group_by(_RUN).agg(run_ended_at=pl.col("ended_at").max())
    revisions = runs.sort("run_attempt").group_by(_RUN).agg(run_revision=pl.col("revision").drop_nulls().last())
    return (
        rows.filter(~pl.col("status").is_in(_NO_RESULT))
        .join(ends, on=_RUN)
        .join(revisions, on=_RUN)
        .with_columns(
            test_id=_named(),
            revision=pl.coalesce("revision", "run_revision"),
            known_at="run_ended_at",
        )
        # The same bytes taken in with another context are the same executions told twice.
        .sort("context")
        .unique(["report_sha256", *_RUN, "position", "attempt"], keep="first", maintain_order=True)
        # One run told in two formats (pytest writes JUnit XML and CTRF at once): the one that tells of retries holds.
        .filter(_tells_retries() == _tells_retries().max().over(_TEST))
        .sort(*_TEST, pl.coalesce("suite_started_at", "received_at"), "report_sha256", "position", "attempt")
        .with_columns(attempt=pl.int_range(1, pl.len() + 1).over(_TEST))
    )


def _named() -> pl.Expr:
    """The identity of a test: class and name, and the file where names are not unique without it."""
    named = (
        pl.when(pl.col("classname") != "")  # noqa: PLC1901 - an expression, not a text
        .then(pl.col("classname") + "::" + pl.col("name"))
        .otherwise("name")
    )
    # A path of the machine would be another name on every machine.
    is_absolute = pl.col("file").str.contains(r"^/|^[A-Za-z]:").fill_null(value=True)
    in_file = pl.col("producer").is_in(_NAMED_BY_FILE) & ~is_absolute
    return pl.when(in_file).then(pl.col("file") + "::" + named).otherwise(named)


def _tells_retries() -> pl.Expr:
    return pl.col("format").replace_strict(_TELLS_RETRIES, default=0, return_dtype=pl.Int8)


def _run_errors(rows: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """What went wrong in a run outside its tests: modules that were not collected, packages that did not build."""
    ends = runs.group_by(_RUN).agg(known_at=pl.col("ended_at").max())
    errors = (
        rows.filter(pl.col("status") == "collection_error")
        .join(ends, on=_RUN)
        .with_columns(name=_named())
        .sort("report_sha256", "context", "position")
        .unique([*_RUN, "name"], keep="first", maintain_order=True)
    )
    return shaped(CORE_CI_RUN_ERRORS, errors).sort("known_at", *CORE_CI_RUN_ERRORS.key)


def _verdicts(results: pl.DataFrame) -> pl.DataFrame:
    failed, passed = pl.col("status").is_in(_FAILED).any(), (pl.col("status") == "passed").any()
    verdicts = (
        results.filter(pl.col("revision").is_not_null())
        .group_by(_TEST, maintain_order=True)
        .agg(
            pl.col("revision").last(),
            pl.col("file").drop_nulls().last(),
            pl.col("run_ended_at", "known_at").last(),
            n_attempts=pl.len(),
            n_failed=pl.col("status").is_in(_FAILED).sum(),
            duration_ms=pl.col("duration_ms").mean(),
            verdict=pl.when(failed & passed)
            .then(pl.lit("flaky"))
            .when(failed)
            .then(pl.lit("failed"))
            .when(passed)
            .then(pl.lit("passed"))
            .otherwise(pl.lit("skipped")),
        )
    )
    return shaped(CORE_CI_TEST_VERDICTS, verdicts)
