"""The importer from GitLab: everything exactly once, whatever the server and the machine do."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode import gitlab as decoder
from weaver_forge.decode.envelope import Envelope, envelopes
from weaver_forge.decode.gitlab_deployments import deployments
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode as decode_tests
from weaver_forge.errors import SourceError
from weaver_forge.sources import gitlab
from weaver_forge.sources.fetched import Fetched
from weaver_forge.sources.gitlab import Imported, import_gitlab
from weaver_forge.sources.rest import Patience, Rest
from weaver_forge.testing.fake_gitlab import FakeGitLab
from weaver_forge.testing.fake_server import FakeClock, Fault

NOW = datetime(2026, 3, 20, 12)
START = datetime(2026, 3, 5)


class Killed(BaseException):
    """The process ends here."""


def imported(server: FakeGitLab, inbox: Path, *, patience: Patience | None = None) -> Imported:
    patience = patience or Patience(timeout_s=2, limit_wait_s=1e6, tries=12)
    base, headers, clock = f"{server.address}/api/v4", {"PRIVATE-TOKEN": "t"}, server.clock
    with (
        Rest(base, headers, clock.now, patience, clock.sleep, lambda: 0.5) as rest,
        Fetched(inbox / "memory.sqlite") as fetched,
    ):
        return import_gitlab(rest, fetched, server.project, inbox, now=clock.now())


def stored(inbox: Path) -> dict[str, pl.DataFrame]:
    files = sorted((inbox / "gitlab").rglob("*.jsonl"))
    batch = decoder.decode(Frame(str(path), path.read_bytes()) for path in files)
    assert batch.rejected == ()
    return dict(batch.tables)


def assert_complete(server: FakeGitLab, inbox: Path) -> None:
    tables = stored(inbox)
    told = {(str(n), p.told["status"], p.told["finished_at"]) for n, p in server.pipelines.items()}
    rows = tables["raw_gitlab__pipelines"].select("pipeline_id", "status", "finished_at").iter_rows()
    assert {(n, status, f"{at.isoformat()}Z" if at else None) for n, status, at in rows} == told
    jobs = {(str(job["id"]), job["status"]) for p in server.pipelines.values() for job in p.jobs}
    assert set(tables["raw_gitlab__jobs"].select("job_id", "status").iter_rows()) == jobs


def times_told(inbox: Path) -> list[int]:
    """How often each pipeline was written."""
    told: dict[int, int] = {}
    for path in (inbox / "gitlab").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            value = json.loads(line)
            if isinstance(value, dict):
                told[value["id"]] = told.get(value["id"], 0) + 1
    return sorted(set(told.values()))


@pytest.fixture
def server() -> FakeGitLab:
    fake = FakeGitLab(FakeClock(NOW), token="t")
    fake.add_history(130, START, NOW, seed=1)
    return fake


def test_a_whole_history_is_fetched_with_retried_jobs_each_once(server: FakeGitLab, tmp_path: Path) -> None:
    with server:
        done = imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert (times_told(tmp_path), done.runs, done.jobs) == ([1], 130, 130 + 2 * 26)


def test_later_imports_ask_for_lists_alone_and_then_for_nothing_that_has_not_changed(
    server: FakeGitLab, tmp_path: Path
) -> None:
    server.add_deployment(NOW - timedelta(hours=3))
    with server:
        imported(server, tmp_path)
        first = len(server.requests)
        second_done = imported(server, tmp_path)
        second = len(server.requests)
        imported(server, tmp_path)

    assert (second - first, second_done.files) == (2, [])
    assert server.statuses(second) == {304: 2}


def test_a_pipeline_that_goes_on_and_one_that_is_retried_are_fetched_again(server: FakeGitLab, tmp_path: Path) -> None:
    going_on = server.add_pipeline(NOW, status="running")
    with server:
        imported(server, tmp_path)
        server.set(going_on, NOW, status="failed")
        going_on.jobs[-1]["status"] = "failed"
        server.retry(server.pipelines[100], NOW + timedelta(minutes=1))
        server.clock.sleep(600)

        done = imported(server, tmp_path)

    assert done.runs == 2
    assert_complete(server, tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_faults_at_a_fifth_of_all_requests_lose_and_double_nothing(
    server: FakeGitLab, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - test data
    faults: tuple[Fault, ...] = ("500", "502", "503", "drop", "cut", "secondary_after", "not_json")
    server.faults = {n: chance.choice(faults) for n in range(1, 3000) if chance.random() < 0.2}.get
    with server:
        imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert times_told(tmp_path) == [1]


def test_a_spent_budget_is_waited_out_until_its_reset(server: FakeGitLab, tmp_path: Path) -> None:
    server.budget = 100
    with server:
        imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert all(3000 < wait <= 3601 for wait in server.clock.slept)


def test_killed_after_any_number_of_requests_it_goes_on_and_stores_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitlab, "FLUSH", 3)
    server = FakeGitLab(FakeClock(NOW))
    server.add_history(12, START, NOW, seed=2)
    asked, limit = 0, 1

    def counting(self: Rest, address: str, etag: str = "") -> object:
        nonlocal asked
        asked += 1
        if asked > limit:
            raise Killed
        return get(self, address, etag)

    get = Rest.get
    monkeypatch.setattr(Rest, "get", counting)
    with server:
        while True:
            asked = 0
            try:
                imported(server, tmp_path)
            except Killed:
                limit += 1
            else:
                break

    assert limit > 8
    assert_complete(server, tmp_path)
    assert times_told(tmp_path) == [1]


def test_test_reports_are_results_of_their_pipeline(server: FakeGitLab, tmp_path: Path) -> None:
    with server:
        imported(server, tmp_path)

    files = sorted((tmp_path / "tests").rglob("*.jsonl"))
    batch = decode_tests((Frame(path.name, path.read_bytes()) for path in files), Told(received_at=NOW))
    rows = batch.tables["raw_tests__results"]
    assert batch.rejected == ()
    assert set(rows.select("repo_id", "run_id", "revision").rows()) == {
        ("gitlab.example.com/acme/web/shop", str(n), f"{n:040x}") for n in server.pipelines
    }


def test_deployments_are_told_as_the_webhook_tells_them(tmp_path: Path) -> None:
    server = FakeGitLab(FakeClock(NOW))
    server.add_deployment(NOW - timedelta(hours=1))
    server.add_deployment(NOW - timedelta(minutes=9), status="running")
    server.add_deployment(NOW, status="created")
    with server:
        imported(server, tmp_path)

    files = (tmp_path / "deployments").rglob("*.jsonl")
    found = [item for item in envelopes(Frame(p.name, p.read_bytes()) for p in files) if isinstance(item, Envelope)]
    rows = [row for item in found for row in deployments(item) or ()]
    assert [(row["deployment_id"].split("#")[1], row["state"], row["environment"]) for row in rows] == [
        ("41", "running", "production"),
        ("40", "running", "production"),
        ("40", "ended", "production"),
    ]


def test_a_project_that_is_not_there_is_said(server: FakeGitLab, tmp_path: Path) -> None:
    with (
        server,
        Rest(f"{server.address}/api/v4", {"PRIVATE-TOKEN": "t"}, server.clock.now) as rest,
        Fetched(tmp_path / "memory.sqlite") as fetched,
        pytest.raises(SourceError, match="Check the repository's name"),
    ):
        import_gitlab(rest, fetched, "acme/other", tmp_path, now=NOW)
