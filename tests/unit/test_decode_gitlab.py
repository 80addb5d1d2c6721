"""GitLab's pipelines and jobs, by its API and its webhooks."""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.decode.gitlab import decode
from weaver_forge.settings import test_data as outside_data

PROJECT = {"web_url": "https://gitlab.example.com/group/sub/shop", "path_with_namespace": "group/sub/shop"}
JOB: dict[str, Any] = {
    "id": 7, "name": "test", "stage": "test", "status": "success", "created_at": "2026-03-01T12:00:00.500Z",
    "started_at": "2026-03-01T12:00:10Z", "finished_at": "2026-03-01T12:01:10Z", "duration": 60.0,
    "queued_duration": 9.5, "allow_failure": False, "pipeline": {"id": 3, "sha": "a" * 40, "status": "success"},
    "web_url": "https://gitlab.example.com/group/sub/shop/-/jobs/7",
}  # fmt: skip


def read(*documents: Any) -> Batch:
    return decode([Frame("gitlab.jsonl", b"\n".join(json.dumps(document).encode() for document in documents))])


def pipelines(batch: Batch) -> pl.DataFrame:
    return batch.tables["raw_gitlab__pipelines"]


def jobs(batch: Batch) -> pl.DataFrame:
    return batch.tables["raw_gitlab__jobs"]


def webhook(status: str, builds: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    attributes = {"id": 3, "iid": 2, "sha": "a" * 40, "ref": "main", "status": status, "source": "push", **more}
    attributes = {"created_at": "2026-03-01 12:00:00 UTC", **attributes}
    return {"object_kind": "pipeline", "object_attributes": attributes, "project": PROJECT, "builds": builds}


def build(number: int, status: str, **times: str) -> dict[str, Any]:
    return {"id": number, "name": "test", "stage": "test", "status": status, **times}


def test_a_pipeline_and_its_jobs_are_read_from_the_api() -> None:
    pipeline = {
        "id": 3, "iid": 2, "sha": "a" * 40, "ref": "main", "status": "success", "source": "push",
        "created_at": "2026-03-01T13:00:00+01:00", "updated_at": "2026-03-01T12:02:00Z",
        "started_at": "2026-03-01T12:00:10Z", "finished_at": "2026-03-01T12:01:30Z", "queued_duration": 9,
        "web_url": "https://gitlab.example.com/group/sub/shop/-/pipelines/3",
    }  # fmt: skip

    batch = read(pipeline, [JOB])

    assert pipelines(batch).select("repo_id", "created_at", "finished_at", "touched_at", "queued_ms").rows() == [
        (
            "gitlab.example.com/group/sub/shop",
            datetime(2026, 3, 1, 12),
            datetime(2026, 3, 1, 12, 1, 30),
            datetime(2026, 3, 1, 12, 2),
            9000.0,
        )
    ]
    assert jobs(batch).select("repo_id", "job_id", "pipeline_id", "queued_ms", "duration_ms").rows() == [
        ("gitlab.example.com/group/sub/shop", "7", "3", 9500.0, 60000.0)
    ]


@pytest.mark.parametrize("written", ["2026-03-01 12:00:00 UTC", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00"])
def test_both_time_formats_of_webhooks_are_the_same_instant(written: str) -> None:
    batch = read(webhook("running", [build(7, "created", created_at=written)], created_at=written))

    assert pipelines(batch)["created_at"].to_list() == [datetime(2026, 3, 1, 12)]
    assert jobs(batch)["created_at"].to_list() == [datetime(2026, 3, 1, 12)]


def test_webhooks_out_of_order_leave_the_newest_state() -> None:
    created = {"created_at": "2026-03-01 12:00:00 UTC"}
    started = {**created, "started_at": "2026-03-01 12:00:09 UTC"}
    ended = {**started, "finished_at": "2026-03-01 12:01:00 UTC"}
    told = [
        webhook("success", [build(7, "success", **ended)], finished_at="2026-03-01 12:01:00 UTC"),
        webhook("pending", [build(7, "pending", **created)]),
        webhook("running", [build(7, "running", **started)]),
    ]

    batch = read(*told)

    assert pipelines(batch)["status"].to_list() == ["success"]
    assert jobs(batch)["status"].to_list() == ["success"]


def test_a_retry_after_the_end_sets_the_pipeline_running_and_a_skipped_job_alive_again() -> None:
    at = {"created_at": "2026-03-01 12:00:00 UTC"}
    failed = {**at, "started_at": "2026-03-01 12:00:09 UTC", "finished_at": "2026-03-01 12:01:00 UTC"}
    retried = {"created_at": "2026-03-01 12:05:00 UTC"}
    first = webhook(
        "failed", [build(7, "failed", **failed), build(8, "skipped", **at)], finished_at="2026-03-01 12:01:00 UTC"
    )
    again = webhook(
        "running",
        [build(9, "running", **retried), build(8, "running", **at, started_at="2026-03-01 12:05:00 UTC")],
        finished_at="2026-03-01 12:01:00 UTC",
    )

    batch = read(again, first)

    assert pipelines(batch).select("status", "finished_at").rows() == [("running", None)]
    assert dict(jobs(batch).select("job_id", "status").iter_rows()) == {"7": "failed", "8": "running", "9": "running"}


def test_a_job_webhook_says_the_same_as_the_api() -> None:
    told = {f"build_{key}": value for key, value in JOB.items() if key not in {"pipeline", "web_url"}}
    hook = {
        "object_kind": "build", "sha": "a" * 40, "pipeline_id": 3, **told,
        "repository": {"homepage": PROJECT["web_url"]},
    }  # fmt: skip

    assert jobs(read(hook)).equals(jobs(read(JOB)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": None}, "status is missing"),
        ({"created_at": "soon"}, "created_at 'soon' is not an instant"),
        ({"web_url": None}, "no project is named"),
        ({"duration": "long"}, "duration 'long' is not a number of seconds"),
        ({"pipeline": {}}, "id is missing"),
    ],
)
def test_a_bad_job_is_refused_alone_with_its_reason(change: dict[str, Any], reason: str) -> None:
    batch = read([{**JOB, **change}, {**JOB, "id": 8}])

    assert jobs(batch)["job_id"].to_list() == ["8"]
    assert [item.position for item in batch.rejected] == ["document[0]"]
    assert reason in batch.rejected[0].reason


def test_an_envelope_and_the_bare_payload_are_read_the_same() -> None:
    body = webhook("running", [])
    envelope = {
        "sender": "gitlab", "event": "pipeline", "delivery": "d1", "received_at": "2026-03-01T12:00:01Z", "body": body,
    }  # fmt: skip

    assert pipelines(read(envelope)).equals(pipelines(read(body)))


@pytest.mark.outside
def test_every_saved_webhook_of_gitlab_is_read_or_counted() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("needs fixtures/gitlab-webhooks of WEAVER_FORGE_TEST_DATA")
    files = sorted((root / "fixtures" / "gitlab-webhooks").glob("*.json"))

    batches = {path.name: decode([Frame(path.name, path.read_bytes())]) for path in files}

    used = {
        name: (pipelines(b).height, jobs(b).height)
        for name, b in batches.items()
        if pipelines(b).height + jobs(b).height
    }
    assert used == {"webhooks_build.json": (0, 1), "webhooks_job.json": (0, 1), "webhooks_pipeline.json": (1, 5)}
    assert [b.rejected for b in batches.values() if b.rejected] == []
    assert {name for name, b in batches.items() if not b.notes} == set(used)
