"""What GitHub, GitLab and the Collector's spans tell of runs and jobs -> one row a run attempt, one row a job.

Of several reports on one the ended one holds, and of these the provider's own: webhooks and the REST API, which are
one table already, before spans. Which run a test report is from is said in ``ci``.
"""

from itertools import starmap

import polars as pl

from weaver_forge.contracts.dtypes import schema, shaped
from weaver_forge.contracts.identity import pipeline_trace_id
from weaver_forge.contracts.tables.ci import CORE_CI_JOBS, CORE_CI_RUNS
from weaver_forge.links.ci_spans import span_jobs, span_runs

_KEY = ("repo_id", "run_id", "run_attempt")
_ENDED = 3
_CONCLUSIONS = {"failed": "failure", "canceled": "cancelled"}
"""GitLab's words -> GitHub's; the others are the same."""


def told_runs(raw_runs: pl.DataFrame, raw_pipelines: pl.DataFrame, pipeline_spans: pl.DataFrame) -> pl.DataFrame:
    """Every run attempt that anybody told of, with ``run_number``; ``ended_at`` is null while it has not ended.

    Args:
        raw_runs: ``raw_github_actions__runs``.
        raw_pipelines: ``raw_gitlab__pipelines``.
        pipeline_spans: ``core_ci__pipeline_spans``.
    """
    traces = pl.Series(
        "trace_id", list(starmap(pipeline_trace_id, raw_runs.select("run_id", "run_attempt").iter_rows())),
        dtype=pl.String,
    )  # fmt: skip
    # The end of a run that still runs is not known.
    github = raw_runs.with_columns(
        traces,
        started_at=pl.coalesce("started_at", "created_at"),
        ended_at=pl.when(pl.col("status") == "completed").then("updated_at"),
        link_method=pl.lit("provider"),
    )
    ended = pl.col("progress") == _ENDED
    gitlab = raw_pipelines.with_columns(
        run_id="pipeline_id",
        run_attempt=pl.lit(1),
        run_number="number",
        workflow=pl.col("name").fill_null(""),
        conclusion=pl.when(ended).then(pl.col("status").replace(_CONCLUSIONS)),
        started_at=pl.coalesce("started_at", "created_at"),
        ended_at=pl.when(ended).then(pl.coalesce("finished_at", "touched_at")),
        link_method=pl.lit("provider"),
    )
    spans = span_runs(pipeline_spans).with_columns(link_method=pl.lit("spans"))
    told = pl.concat([_told(frame) for frame in (github, gitlab, spans)])
    by_worth = told.sort(pl.col("ended_at").is_null(), maintain_order=True)
    return by_worth.unique(_KEY, keep="first", maintain_order=True)


def told_jobs(raw_jobs: pl.DataFrame, raw_gitlab_jobs: pl.DataFrame, pipeline_spans: pl.DataFrame) -> pl.DataFrame:
    """Every job that anybody told of, as ``core_ci__jobs``.

    Args:
        raw_jobs: ``raw_github_actions__jobs``.
        raw_gitlab_jobs: ``raw_gitlab__jobs``.
        pipeline_spans: ``core_ci__pipeline_spans``.
    """
    told = pl.concat([_github(raw_jobs), _gitlab(raw_gitlab_jobs), span_jobs(pipeline_spans)])
    by_worth = told.sort(pl.col("conclusion").is_null(), maintain_order=True)
    return by_worth.unique(CORE_CI_JOBS.key, keep="first", maintain_order=True).sort("known_at", *CORE_CI_JOBS.key)


def _told(runs: pl.DataFrame) -> pl.DataFrame:
    wanted = {**schema(CORE_CI_RUNS), "run_number": pl.Int32()}
    return runs.with_columns(known_at="ended_at").select(
        (pl.col(name) if name in {*runs.columns, "known_at"} else pl.lit(None)).cast(kind).alias(name)
        for name, kind in wanted.items()
    )


def _github(raw_jobs: pl.DataFrame) -> pl.DataFrame:
    completed = pl.col("completed_at").is_not_null()
    # GitHub writes a completion before the start for jobs that never started.
    elapsed = _ms(pl.col("completed_at") - pl.col("started_at"))
    queued = _ms(pl.col("started_at") - pl.col("created_at"))
    jobs = raw_jobs.with_columns(
        duration_ms=pl.when(elapsed >= 0).then(elapsed),
        queued_ms=pl.when(queued >= 0, pl.col("conclusion").ne_missing("skipped")).then(queued),
        known_at=pl.when(completed).then("completed_at").otherwise(pl.coalesce("started_at", "created_at")),
    ).filter(pl.col("known_at").is_not_null())
    return shaped(CORE_CI_JOBS, jobs)


def _gitlab(raw_jobs: pl.DataFrame) -> pl.DataFrame:
    """Executions of one name in a pipeline are attempts of it, in the order of their ids."""
    ended = pl.col("progress") == _ENDED
    elapsed = _ms(pl.col("finished_at") - pl.col("started_at"))
    # The pipeline's webhook gives a duration to jobs that never ran.
    jobs = raw_jobs.sort(pl.col("job_id").cast(pl.Int64, strict=False), "job_id").with_columns(
        run_id="pipeline_id",
        run_attempt=pl.int_range(1, pl.len() + 1).over("repo_id", "pipeline_id", "name"),
        conclusion=pl.when(ended).then(pl.col("status").replace(_CONCLUSIONS)),
        queued_ms=pl.when(pl.col("started_at").is_not_null()).then("queued_ms"),
        duration_ms=pl.when(ended & (elapsed >= 0)).then(pl.coalesce("duration_ms", elapsed)),
        known_at="touched_at",
    )
    return shaped(CORE_CI_JOBS, jobs)


def _ms(elapsed: pl.Expr) -> pl.Expr:
    return elapsed.dt.total_microseconds() / 1000
