"""Runs and jobs from the spans of the OpenTelemetry Collector's receivers, and from all who tell of them together."""

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.dtypes import empty, from_rows, schema
from weaver_forge.contracts.identity import pipeline_root_span_id, pipeline_trace_id
from weaver_forge.contracts.tables.ci import (
    CORE_CI_JOBS,
    CORE_CI_PIPELINE_SPANS,
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_GITLAB_JOBS,
    RAW_GITLAB_PIPELINES,
)
from weaver_forge.links.ci_runs import told_jobs, told_runs
from weaver_forge.links.ci_spans import span_jobs, span_runs
from weaver_forge.settings import test_data as outside_data

NOON = datetime(2026, 3, 1, 12)
NS = 1_000_000_000
START = int((NOON - datetime(1970, 1, 1)).total_seconds()) * NS
SHA = "a" * 40
RUN_URL = "https://github.com/acme/shop/actions/runs/77"
TRACE = pipeline_trace_id("77", 2)


def span(**fields: Any) -> dict[str, Any]:
    return {
        "trace_id": TRACE, "span_id": f"{len(str(fields)):08x}{abs(hash(str(fields))) % 2**32:08x}", "name": "CI",
        "start_unix_ns": START, "end_unix_ns": START + 60 * NS, "status_code": 1, "status_message": "", **fields,
    }  # fmt: skip


RUN = span(
    run_id="77", run_url=RUN_URL, run_result="failure", status_code=2, pipeline="CI", branch="main", revision=SHA
)
JOB = {"task_run_id": "900", "task_url": f"{RUN_URL}/job/900", "pipeline": "test (3.12)", "parent_span_id": "b" * 16}
JOBS = (
    span(name="test (3.12)", task_result="success", **JOB),
    span(name="queue-test (3.12)", queue="5e9", status_code=0, **{**JOB, "parent_span_id": "c" * 16},
         end_unix_ns=START + 5 * NS),
    span(name="Set up job", task="Set up job", task_result="success", **JOB),
)  # fmt: skip


def spans(*rows: dict[str, Any]) -> pl.DataFrame:
    return from_rows(CORE_CI_PIPELINE_SPANS, rows)


def test_a_run_of_github_is_told_by_its_root_span_and_its_attempt_by_the_id_of_the_trace() -> None:
    runs = span_runs(spans(RUN, *JOBS))

    assert runs.rows(named=True) == [
        {
            "repo_id": "github.com/acme/shop", "run_id": "77", "run_attempt": 2, "revision": SHA, "branch": "main",
            "trace_id": TRACE, "workflow": "CI", "conclusion": "failure", "started_at": NOON,
            "ended_at": NOON + timedelta(minutes=1),
        }
    ]  # fmt: skip


def test_a_job_begins_when_its_wait_in_the_queue_ends_and_steps_are_no_jobs() -> None:
    jobs = span_jobs(spans(RUN, *JOBS))

    assert jobs.schema == schema(CORE_CI_JOBS)
    assert jobs.select("job_id", "run_id", "run_attempt", "name", "conclusion", "queued_ms", "duration_ms").rows() == [
        ("900", "77", 2, "test (3.12)", "success", 5000.0, 55000.0)
    ]
    assert jobs["started_at"].to_list() == [NOON + timedelta(seconds=5)]


@pytest.mark.parametrize(
    ("fields", "conclusion"),
    [
        ({"task_result": "failure", "status_code": 0}, "skipped"),
        ({"task_result": "failure", "status_code": 2}, "failure"),
        ({"task_result": "failure", "status_code": 0, "status_message": "timed_out"}, "timed_out"),
        ({"task_result": "cancellation", "status_code": 0}, "cancelled"),
        ({"task_result": "skip", "status_code": 0}, "skipped"),
        ({"task_result": "error", "status_code": 2}, "failure"),
        ({"task_result": "timeout", "status_code": 2}, "timed_out"),
        ({"status_code": 0}, None),
    ],
)
def test_how_a_job_ended_is_said_in_the_words_of_github(fields: dict[str, Any], conclusion: str | None) -> None:
    jobs = span_jobs(spans(span(**JOB, **fields)))

    assert jobs["conclusion"].to_list() == [conclusion]


def test_a_job_that_was_skipped_has_neither_start_nor_duration() -> None:
    jobs = span_jobs(spans(span(**JOB, status_message="skipped", status_code=0)))

    assert jobs.select("started_at", "queued_ms", "duration_ms").row(0) == (None, None, None)


def test_a_pipeline_of_gitlab_and_its_jobs_are_told_by_new_names() -> None:
    at = {"run_id": "31", "run_url": "https://gitlab.example.com/group/sub/shop/-/pipelines/31", "revision": SHA}
    rows = (
        span(**at, run_result="success", pipeline="Release", trace_id="f" * 32),
        span(**at, name="build", parent_span_id="d" * 16, trace_id="f" * 32),
        span(**at, name="compile", task="compile", task_run_id="380", task_result="failed", parent_span_id="e" * 16,
             task_url="https://gitlab.example.com/group/sub/shop/-/jobs/380", status_code=2, trace_id="f" * 32),
    )  # fmt: skip

    runs, jobs = span_runs(spans(*rows)), span_jobs(spans(*rows))

    assert runs.select("repo_id", "run_id", "run_attempt", "workflow", "conclusion").rows() == [
        ("gitlab.example.com/group/sub/shop", "31", 1, "Release", "success")
    ]
    assert jobs.select("job_id", "run_id", "name", "conclusion").rows() == [("380", "31", "compile", "failure")]


def test_spans_of_an_unknown_repository_tell_nothing() -> None:
    assert span_runs(spans(span(run_id="5"))).is_empty()


def test_an_address_of_the_repository_is_enough() -> None:
    runs = span_runs(spans(span(run_id="5", repository_url="https://git.example.org:8443/acme/shop.git")))

    assert runs.select("repo_id", "run_attempt").rows() == [("git.example.org/acme/shop", 1)]


@pytest.mark.outside
def test_trace_and_root_span_are_those_of_the_collector() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("needs fixtures/otel-ci-ids of WEAVER_FORGE_TEST_DATA")
    vectors = json.loads((root / "fixtures" / "otel-ci-ids" / "github-run-ids.json").read_text())["vectors"]

    for vector in vectors:
        run, attempt = str(vector["run_id"]), vector["run_attempt"]
        assert pipeline_trace_id(run, attempt) == vector["trace_id"]
        assert pipeline_root_span_id(run, attempt) == vector["root_span_id"]
        assert pipeline_trace_id(run, attempt - 1) == vector["previous_attempt_trace_id"]


def github_run(**fields: Any) -> dict[str, Any]:
    return {
        "repo_id": "github.com/acme/shop", "run_id": "77", "run_attempt": 2, "run_number": 5, "workflow": "CI",
        "event": "push", "branch": "main", "revision": SHA, "status": "completed", "conclusion": "failure",
        "created_at": NOON, "started_at": NOON, "updated_at": NOON + timedelta(seconds=62), **fields,
    }  # fmt: skip


def test_a_run_told_by_webhook_and_by_span_is_one_row_and_the_provider_holds() -> None:
    runs = told_runs(from_rows(RAW_GITHUB_ACTIONS_RUNS, [github_run()]), empty(RAW_GITLAB_PIPELINES), spans(RUN))

    assert runs.select("run_id", "link_method", "trace_id", "ended_at").rows() == [
        ("77", "provider", TRACE, NOON + timedelta(seconds=62))
    ]


def test_an_end_that_only_a_span_tells_of_holds_over_a_run_that_still_runs() -> None:
    going_on = github_run(status="in_progress", conclusion=None)

    runs = told_runs(from_rows(RAW_GITHUB_ACTIONS_RUNS, [going_on]), empty(RAW_GITLAB_PIPELINES), spans(RUN))

    assert runs.select("link_method", "conclusion").rows() == [("spans", "failure")]


def gitlab_job(job_id: str, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "repo_id": "gitlab.com/a/b", "job_id": job_id, "pipeline_id": "3", "name": "test", "stage": "test",
        "status": status, "allow_failure": False, "created_at": NOON, "touched_at": NOON, "progress": 3,
        "started_at": NOON, "finished_at": NOON + timedelta(seconds=4), **fields,
    }  # fmt: skip


def test_retries_of_a_gitlab_job_are_its_attempts_in_the_order_of_their_ids() -> None:
    rows = [gitlab_job("100", "success"), gitlab_job("99", "failed"), gitlab_job("98", "canceled", name="lint")]

    jobs = told_jobs(empty(RAW_GITHUB_ACTIONS_JOBS), from_rows(RAW_GITLAB_JOBS, rows), spans())

    assert set(jobs.select("job_id", "name", "run_attempt", "conclusion", "duration_ms").rows()) == {
        ("99", "test", 1, "failure", 4000.0),
        ("100", "test", 2, "success", 4000.0),
        ("98", "lint", 1, "cancelled", 4000.0),
    }  # fmt: skip


def test_a_pipeline_that_runs_again_has_no_end() -> None:
    pipeline = {
        "repo_id": "gitlab.com/a/b", "pipeline_id": "3", "event": "push", "revision": SHA, "status": "running",
        "created_at": NOON, "touched_at": NOON, "progress": 2,
    }  # fmt: skip
    rows = [pipeline, {**pipeline, "pipeline_id": "4", "status": "failed", "progress": 3, "finished_at": NOON}]

    runs = told_runs(empty(RAW_GITHUB_ACTIONS_RUNS), from_rows(RAW_GITLAB_PIPELINES, rows), spans())

    assert dict(runs.select("run_id", "conclusion").rows()) == {"4": "failure", "3": None}
    assert dict(runs.select("run_id", "ended_at").rows()) == {"4": NOON, "3": None}
