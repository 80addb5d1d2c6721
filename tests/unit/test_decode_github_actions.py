"""Saved answers of GitHub's API are read in every shape they are saved in."""

import json
import tarfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_JOBS, RAW_GITHUB_ACTIONS_RUNS
from weaver_forge.decode.github_actions import decode
from weaver_forge.settings import test_data as outside_data

FIXTURES = Path(__file__).parents[1] / "fixtures" / "github_actions"
RUN = {
    "id": 1,
    "run_number": 2,
    "workflow_id": 3,
    "name": "ci",
    "event": "push",
    "status": "completed",
    "conclusion": "success",
    "head_branch": "main",
    "head_sha": "a" * 40,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:10:00Z",
    "repository": {"full_name": "acme/shop"},
}


def read(data: bytes | str) -> Batch:
    return decode([Frame("runs.json", data.encode() if isinstance(data, str) else data)])


def runs(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_GITHUB_ACTIONS_RUNS.name]


def jobs(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_GITHUB_ACTIONS_JOBS.name]


def test_a_rerun_is_an_attempt_of_its_own_and_old_exports_have_one() -> None:
    frame = runs(read((FIXTURES / "runs.json").read_bytes()))

    assert frame.schema == schema(RAW_GITHUB_ACTIONS_RUNS)
    assert frame.select("run_id", "run_attempt", "conclusion", "started_at").rows() == [
        ("101", 1, "failure", datetime(2026, 3, 1, 12, 0, 5)),
        ("101", 2, "success", datetime(2026, 3, 1, 12, 20, 5)),
        ("50", 1, "success", None),
    ]
    assert frame["repo_id"].unique().to_list() == ["github.com/Acme/shop"]


def test_a_bad_run_is_rejected_alone_with_its_place() -> None:
    batch = read((FIXTURES / "runs.json").read_bytes())

    (piece,) = batch.rejected
    assert piece.position == "document.workflow_runs[3]"
    assert "head_sha is missing" in piece.reason
    assert json.loads(piece.raw)["id"] == 51


def test_jobs_carry_their_run_times_and_labels() -> None:
    batch = read((FIXTURES / "jobs.json").read_bytes())

    first, second = jobs(batch).rows(named=True)
    assert batch.rejected == ()
    assert (first["repo_id"], first["run_id"], first["labels"]) == ("github.com/Acme/shop", "101", "self-hosted,linux")
    assert first["completed_at"] == datetime(2026, 3, 1, 12, 1, 40)
    assert (second["repo_id"], second["run_attempt"], second["completed_at"]) == ("ghe.example.org/acme/shop", 1, None)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RUN),
        json.dumps([RUN]),
        json.dumps({"workflow_runs": [RUN]}),
        json.dumps([{"workflow_runs": [RUN]}, {"workflow_runs": []}]),
        json.dumps(RUN) + "\n" + json.dumps({"workflow_runs": [RUN]}) + "\n",
        "\ufeff" + json.dumps(RUN, indent=1),
    ],
    ids=["bare", "list", "answer", "pages", "lines", "byte order mark"],
)
def test_every_shape_gives_the_same_run(text: str) -> None:
    batch = read(text)

    assert batch.rejected == ()
    assert runs(batch)["run_id"].to_list() == ["1"]


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"head_sha": 7},
        {"created_at": "never"},
        {"run_attempt": -1},
        {"run_number": 2**40},
        {"conclusion": []},
        {"repository": None},
    ],
)
def test_a_run_with_one_bad_value_is_rejected_and_never_guessed(change: dict[str, object]) -> None:
    batch = read(json.dumps([{**RUN, **change}, RUN]))

    assert runs(batch).height == 1
    assert next(iter(change)) in batch.rejected[0].reason


def test_damaged_lines_and_foreign_values_are_rejected_by_line() -> None:
    batch = read(json.dumps(RUN) + '\n{"id": \n3\n{}\n')

    assert runs(batch).height == 1
    assert [piece.position for piece in batch.rejected] == ["line 2", "line 3", "line 4"]


def test_the_last_report_of_a_run_holds() -> None:
    early = {**RUN, "status": "in_progress", "conclusion": None}

    assert runs(read(json.dumps([early, RUN])))["status"].to_list() == ["completed"]


@pytest.mark.outside
@pytest.mark.parametrize("name", ["ozone", "ratis"])
def test_real_exports_of_six_years_are_read_whole(name: str, tmp_path: Path) -> None:
    root = outside_data()
    archive = root / "tcp" / "raw-samples" / f"{name}.tar.xz" if root else None
    if archive is None or not archive.is_file():
        pytest.skip("needs tcp/raw-samples of WEAVER_FORGE_TEST_DATA")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.json"))

    batch = decode([Frame(str(path), path.read_bytes()) for path in paths])

    assert batch.rejected == ()
    assert runs(batch).height == sum(path.name == "run.json" for path in paths)
    assert jobs(batch).height > 100
    assert all(repo.startswith("github.com/apache/") for repo in runs(batch)["repo_id"].unique())


def webhook(kind: str, /, **inner: object) -> dict[str, object]:
    return {
        "action": "any", kind: inner, "sender": {"login": "octocat"},
        "repository": {"full_name": "acme/shop", "html_url": "https://github.com/acme/shop"},
    }  # fmt: skip


def test_webhooks_out_of_order_leave_the_newest_state() -> None:
    run = {key: value for key, value in RUN.items() if key != "repository"}
    states = [
        {**run, "status": "completed", "updated_at": "2026-03-01T12:10:00Z"},
        {**run, "status": "in_progress", "conclusion": None, "updated_at": "2026-03-01T12:10:00Z"},
        {**run, "status": "queued", "conclusion": None, "updated_at": "2026-03-01T12:00:00Z"},
    ]

    batch = read("\n".join(json.dumps(webhook("workflow_run", **state)) for state in states))

    assert runs(batch).select("repo_id", "status", "conclusion").rows() == [
        ("github.com/acme/shop", "completed", "success")
    ]


def test_a_job_in_the_queue_has_not_started() -> None:
    job = {
        "id": 5, "run_id": 1, "run_attempt": 1, "name": "test", "head_sha": "a" * 40, "status": "queued",
        "created_at": "2026-03-01T12:00:00Z", "started_at": "2026-03-01T12:00:00Z",
    }  # fmt: skip

    batch = read(json.dumps(webhook("workflow_job", **job)))

    assert jobs(batch).select("repo_id", "started_at", "progress").rows() == [("github.com/acme/shop", None, 1)]


def test_an_envelope_and_the_bare_payload_are_read_the_same() -> None:
    body = webhook("workflow_run", **{key: value for key, value in RUN.items() if key != "repository"})
    envelope = {
        "sender": "github", "event": "workflow_run", "delivery": "d", "received_at": "2026-03-01T12:00:00Z",
        "body": body,
    }  # fmt: skip

    assert runs(read(json.dumps(envelope))).equals(runs(read(json.dumps(body))))


def test_webhooks_of_other_kinds_are_counted_and_nothing_is_refused() -> None:
    pushes = [webhook("push", a=1), {**webhook("check_run", id=1)}, {**webhook("other"), "pusher": {}}]

    batch = read("\n".join(json.dumps(push) for push in pushes))

    assert batch.rejected == ()
    assert batch.notes == (
        "1 GitHub webhooks of a kind that is not used: check_run",
        "1 GitHub webhooks of a kind that is not used: other",
        "1 GitHub webhooks of a kind that is not used: push",
    )


@pytest.mark.outside
def test_every_saved_webhook_of_github_is_read_or_counted() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("needs fixtures/github-webhooks of WEAVER_FORGE_TEST_DATA")
    files = sorted((root / "fixtures" / "github-webhooks").glob("*.json"))

    batches = {path.name: decode([Frame(path.name, path.read_bytes())]) for path in files}

    used = {name for name, batch in batches.items() if runs(batch).height + jobs(batch).height}
    assert used == {name for name in batches if name.startswith(("workflow_run", "workflow_job"))}
    assert len(used) == 11
    assert [batch.rejected for batch in batches.values() if batch.rejected] == []
    assert {name for name, batch in batches.items() if not batch.notes} == used
