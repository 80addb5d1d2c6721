"""Spans of CI pipelines -> runs and jobs, as the OpenTelemetry Collector's receivers for GitHub and GitLab tell them.

Both the names of semantic conventions 1.44 and the old ones that the receivers still write have been read into
``core_ci__pipeline_spans`` (``warehouse.pipeline_spans``). What they mean is said here; which of several reports on a
run holds is said in ``ci_runs``.
"""

import polars as pl

from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.identity import pipeline_trace_id
from weaver_forge.contracts.tables.ci import CORE_CI_JOBS, CORE_CI_PIPELINE_SPANS

MOST_ATTEMPTS = 60
"""GitHub runs a workflow at most 50 times again."""

_GITHUB = r"^https?://([^/]+)/(.+?)/actions/runs/(\d+)"
_GITHUB_JOB = r"/actions/runs/\d+/job/(\d+)"
_GITLAB = r"^https?://([^/]+)/(.+?)/-/(?:pipelines|jobs)/(\d+)"
_ADDRESS = r"^https?://(?:[^@/]*@)?([^/:]+)(?::\d+)?/(.+?)(?:\.git)?/?$"
_ATTEMPT = r"/attempts/(\d+)"

_TOLD = (
    "success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale", "startup_failure",
)  # fmt: skip
_RESULTS = {
    "skip": "skipped", "cancellation": "cancelled", "canceled": "cancelled", "timeout": "timed_out", "error": "failure",
    "failed": "failure",
}  # fmt: skip
_UNSET = 0


def span_runs(spans: pl.DataFrame) -> pl.DataFrame:
    """Runs that spans tell of: repo_id, run_id, run_attempt, revision, branch, workflow, conclusion, times, trace_id.

    Args:
        spans: ``core_ci__pipeline_spans``.
    """
    whole = pl.col("run_id").is_not_null() | pl.col("run_url").is_not_null()
    runs = _placed(spans).filter(
        whole, pl.col("parent_span_id").is_null(), pl.col("task_run_id").is_null(), pl.col("task").is_null()
    )
    return runs.select(
        "repo_id",
        "run_id",
        "run_attempt",
        "revision",
        "branch",
        "trace_id",
        workflow=pl.coalesce("pipeline", "name"),
        conclusion=_conclusion("run_result"),
        started_at=_instant("start_unix_ns"),
        ended_at=_instant("end_unix_ns"),
    )


def span_jobs(spans: pl.DataFrame) -> pl.DataFrame:
    """Jobs that spans tell of, as ``core_ci__jobs``.

    A job of GitHub begins with its wait in the queue, which is a span of its own; steps have the job's resource, and
    are told from it by naming a task.

    Args:
        spans: ``core_ci__pipeline_spans``.
    """
    placed = _placed(spans).filter(pl.col("task_run_id").is_not_null())
    is_queue = pl.col("queue").is_not_null() | pl.col("name").str.starts_with("queue-")
    is_step = pl.col("is_github") & pl.col("task").is_not_null()
    waits = (
        placed.filter(is_queue, ~is_step)
        .group_by("repo_id", "task_run_id")
        .agg(began=pl.col("start_unix_ns").min(), ran=pl.col("end_unix_ns").max())
    )
    jobs = (
        placed.filter(~is_queue, ~is_step)
        .join(waits, on=("repo_id", "task_run_id"), how="left")
        .with_columns(conclusion=_conclusion("task_result"), ran=pl.coalesce("ran", "start_unix_ns"))
        .with_columns(is_run=~pl.col("conclusion").is_in(["skipped"]).fill_null(value=False))
        .with_columns(
            job_id="task_run_id",
            name=pl.coalesce("task", "name"),
            started_at=pl.when("is_run").then(_instant("ran")),
            queued_ms=pl.when("is_run").then((pl.col("ran") - pl.col("began")) / 1e6),
            duration_ms=pl.when("is_run").then((pl.col("end_unix_ns") - pl.col("ran")).clip(0) / 1e6),
            known_at=_instant("end_unix_ns"),
        )
    )
    return shaped(CORE_CI_JOBS, jobs).unique(CORE_CI_JOBS.key, keep="first", maintain_order=True)


def _placed(spans: pl.DataFrame) -> pl.DataFrame:
    """Add repo_id, run_id and run_attempt; spans whose repository or run is not told are left out."""
    address = pl.coalesce("run_url", "task_url")
    github, gitlab = (address.str.extract_groups(pattern).struct for pattern in (_GITHUB, _GITLAB))
    other = pl.col("repository_url").str.extract_groups(_ADDRESS).struct
    placed = spans.select(CORE_CI_PIPELINE_SPANS.column_names).with_columns(
        is_github=github[0].is_not_null(),
        repo_id=pl.coalesce(*(part[0].str.to_lowercase() + "/" + part[1] for part in (github, gitlab, other))),
        run_id=pl.coalesce(github[2], "run_id", pl.when(address.str.contains("/-/pipelines/")).then(gitlab[2])),
        # The run's own span names its id, a job's only its address.
        task_run_id=pl.coalesce(pl.col("task_url").str.extract(_GITHUB_JOB), "task_run_id"),
    )
    known = placed.filter(pl.col("repo_id").is_not_null(), pl.col("run_id").is_not_null())
    told = pl.coalesce("run_attempt", (pl.col("previous_url").str.extract(_ATTEMPT).cast(pl.Int32) + 1).cast(pl.String))
    return (
        known.with_columns(run_attempt=told.cast(pl.Int32, strict=False))
        .join(_attempts(known), on=("trace_id", "run_id"), how="left")
        .with_columns(run_attempt=pl.coalesce("of_trace", "run_attempt", pl.lit(1)).cast(pl.Int32))
    )


def _attempts(spans: pl.DataFrame) -> pl.DataFrame:
    """The attempt that a trace of GitHub is of: no attribute says it, but the trace's id is made from it."""
    pairs = spans.filter("is_github").select("trace_id", "run_id").unique()
    found = [
        next((n for n in range(1, MOST_ATTEMPTS) if pipeline_trace_id(run_id, n) == trace_id), None)
        for trace_id, run_id in pairs.iter_rows()
    ]
    return pairs.with_columns(pl.Series("of_trace", found, dtype=pl.Int32))


def _conclusion(result: str) -> pl.Expr:
    """GitHub's word for how it ended. The receiver puts it in the status message, and is wrong about skipped steps.

    It writes ``failure`` for what was skipped, with a status that is not set; a failure that is one has an error.
    """
    told, said = pl.col("status_message").str.to_lowercase(), pl.col(result).str.to_lowercase()
    skipped = (said == "failure") & (pl.col("status_code") == _UNSET)
    return pl.when(told.is_in(_TOLD)).then(told).when(skipped).then(pl.lit("skipped")).otherwise(said.replace(_RESULTS))


def _instant(column: str) -> pl.Expr:
    return pl.from_epoch(pl.col(column) // 1000, time_unit="us")
