"""The importer from GitHub: everything exactly once, whatever the server and the machine do."""

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode import github_actions
from weaver_forge.errors import ConfigurationError, SourceError
from weaver_forge.sources import github
from weaver_forge.sources.fetched import Fetched
from weaver_forge.sources.github import HEADERS, Imported, import_github
from weaver_forge.sources.rest import Patience, Rest
from weaver_forge.testing.fake_github import FakeGitHub
from weaver_forge.testing.fake_server import FakeClock, Fault

NOW = datetime(2026, 3, 20, 12)
START = datetime(2026, 1, 5)


class Killed(BaseException):
    """The process ends here."""


def imported(
    server: FakeGitHub, inbox: Path, *, since: datetime | None = START, patience: Patience | None = None
) -> Imported:
    headers = {**HEADERS, "Authorization": f"Bearer {server.token or 'none'}"}
    rest = Rest(
        server.address, headers, server.clock.now, patience or Patience(timeout_s=2), server.clock.sleep, lambda: 0.5
    )
    with rest, Fetched(inbox / "github_actions" / "fetched" / ".memory.sqlite") as fetched:
        return import_github(rest, fetched, server.repository, inbox, now=server.clock.now(), since=since)


def stored(inbox: Path) -> dict[str, pl.DataFrame]:
    files = sorted((inbox / "github_actions").rglob("*.jsonl"))
    batch = github_actions.decode(Frame(str(path), path.read_bytes()) for path in files)
    assert batch.rejected == ()
    return dict(batch.tables)


def attempts(server: FakeGitHub) -> set[tuple[str, int, str | None]]:
    return {
        (str(run.id), attempt["run_attempt"], attempt["conclusion"])
        for run in server.runs.values()
        for attempt in run.attempts
    }


def assert_complete(server: FakeGitHub, inbox: Path) -> None:
    tables = stored(inbox)
    runs, jobs = tables["raw_github_actions__runs"], tables["raw_github_actions__jobs"]
    assert set(runs.select("run_id", "run_attempt", "conclusion").iter_rows()) == attempts(server)
    ids = {str(job["id"]) for run in server.runs.values() for job in run.jobs if job["status"] == "completed"}
    assert set(jobs["job_id"]) == ids


def twice(inbox: Path) -> dict[str, int]:
    """Runs and jobs that were written more than once."""
    told: Counter[str] = Counter()
    for path in (inbox / "github_actions").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            value = json.loads(line)
            for run in value.get("workflow_runs", [value] if "run_attempt" in value else []):
                told[f"run {run['id']}/{run['run_attempt']}"] += 1
            for job in value.get("jobs", []):
                told[f"job {job['id']}"] += 1
    return {what: n for what, n in told.items() if n > 1}


@pytest.fixture
def server() -> FakeGitHub:
    fake = FakeGitHub(FakeClock(NOW), token="t0ken")
    fake.add_history(120, START, NOW, seed=1)
    return fake


def test_a_whole_history_is_fetched_with_all_attempts_and_jobs_each_once(server: FakeGitHub, tmp_path: Path) -> None:
    with server:
        done = imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}
    assert (done.runs, done.notes) == (120, [])


def test_windows_are_halved_where_a_list_would_be_cut_off(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "LISTED", 7)
    server.listed = 7
    with server:
        imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}


def test_more_runs_in_one_second_than_can_be_listed_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "LISTED", 5)
    server = FakeGitHub(FakeClock(NOW), listed=5)
    for _ in range(8):
        server.add_run(START)

    with server:
        done = imported(server, tmp_path)

    assert done.notes == ["acme/shop: 5 of 8 runs of 2026-01-05T00:00:00Z..2026-01-05T00:00:00Z are listed"]


def test_a_second_import_costs_only_answers_of_no_change(server: FakeGitHub, tmp_path: Path) -> None:
    server.add_deployment(NOW - timedelta(days=2), "queued", "in_progress", "success")
    with server:
        imported(server, tmp_path)
        asked = len(server.requests)
        files = sorted(tmp_path.rglob("*.jsonl"))

        done = imported(server, tmp_path)

    assert server.statuses(asked) == {304: len(server.requests) - asked}
    assert len(server.requests) - asked <= 6
    assert (sorted(tmp_path.rglob("*.jsonl")), done.files) == (files, [])


def test_a_run_in_progress_is_fetched_again_when_it_has_ended(server: FakeGitHub, tmp_path: Path) -> None:
    run = server.add_run(NOW - timedelta(minutes=3), status="in_progress")
    with server:
        imported(server, tmp_path)
        server.clock.sleep(600)
        server.set(run, NOW, conclusion="failure")

        done = imported(server, tmp_path)

    assert (done.runs, done.jobs) == (1, 2)
    assert_complete(server, tmp_path)


def test_a_rerun_of_an_old_run_brings_its_new_attempt_and_keeps_the_first(server: FakeGitHub, tmp_path: Path) -> None:
    with server:
        imported(server, tmp_path)
        old = next(run for run in server.runs.values() if run.created_at > NOW - timedelta(days=29))
        server.attempt(old, NOW - timedelta(hours=1), conclusion="cancelled")

        done = imported(server, tmp_path)

    assert done.runs == 1
    assert_complete(server, tmp_path)


def test_an_attempt_that_was_never_seen_is_asked_for_even_while_the_next_one_runs(tmp_path: Path) -> None:
    server = FakeGitHub(FakeClock(NOW))
    run = server.add_run(NOW - timedelta(hours=2), conclusion="failure")
    server.attempt(run, NOW - timedelta(minutes=5), status="in_progress")
    with server:
        imported(server, tmp_path)
        server.set(run, NOW - timedelta(minutes=1))

        imported(server, tmp_path)

    assert_complete(server, tmp_path)


def test_an_earlier_start_than_before_brings_what_lies_between(server: FakeGitHub, tmp_path: Path) -> None:
    with server:
        imported(server, tmp_path, since=datetime(2026, 3, 1))
        imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}


FAULTS: tuple[Fault, ...] = ("500", "502", "503", "drop", "cut", "secondary", "secondary_after", "not_json")


def some_faults(seed: int) -> Callable[[int], Fault | None]:
    chance = random.Random(seed)  # noqa: S311 - test data
    plan = {n: chance.choice(FAULTS) for n in range(1, 5000) if chance.random() < 0.2}
    return plan.get


@pytest.mark.parametrize("seed", range(3))
def test_faults_at_a_fifth_of_all_requests_lose_and_double_nothing(
    server: FakeGitHub, tmp_path: Path, seed: int
) -> None:
    server.faults = some_faults(seed)
    with server:
        imported(server, tmp_path, patience=Patience(timeout_s=2, tries=12, limit_wait_s=1e6))

    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}
    assert max(server.clock.slept) >= 60.0


def test_a_spent_budget_is_waited_out_until_its_reset(server: FakeGitHub, tmp_path: Path) -> None:
    server.budget = 60
    with server:
        imported(server, tmp_path, patience=Patience(limit_wait_s=4 * 3600))

    assert_complete(server, tmp_path)
    assert all(3000 < wait <= 3601 for wait in server.clock.slept)


def test_a_limit_beyond_what_is_allowed_ends_the_import_and_the_next_goes_on(
    server: FakeGitHub, tmp_path: Path
) -> None:
    server.budget = 60
    ends = 0
    with server:
        for _ in range(10):
            try:
                imported(server, tmp_path, patience=Patience(limit_wait_s=10))
            except SourceError:
                ends += 1
                server.clock.sleep(3600)
            else:
                break

    assert ends >= 2
    assert_complete(server, tmp_path)


def test_a_slow_answer_is_asked_for_again(server: FakeGitHub, tmp_path: Path) -> None:
    server.faults = {3: "slow"}.get
    with server:
        imported(server, tmp_path, patience=Patience(timeout_s=0.1))

    assert_complete(server, tmp_path)


def test_killed_after_any_number_of_requests_it_goes_on_and_stores_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "FLUSH", 3)
    server = FakeGitHub(FakeClock(NOW))
    server.add_history(25, START, NOW, seed=4)
    server.add_deployment(NOW - timedelta(days=2), "success")
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

    assert limit > 10
    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}


def test_killed_between_a_file_and_the_memory_of_it_the_same_file_is_written_again(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = Fetched.remember
    calls = 0

    def killed(self: Fetched, *args: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        remember(self, *args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(Fetched, "remember", killed)
    with server:
        with pytest.raises(Killed):
            imported(server, tmp_path)
        imported(server, tmp_path)

    assert_complete(server, tmp_path)
    assert twice(tmp_path) == {}


def test_two_imports_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"

    with Fetched(path), pytest.raises(SourceError, match="Wait for the other import"):
        Fetched(path)


@pytest.mark.parametrize(
    ("repository", "token", "said"),
    [("acme/other", "t0ken", "Check the repository's name"), ("acme/shop", "old", "make a new one")],
)
def test_a_refusal_says_what_mends_it(
    server: FakeGitHub, tmp_path: Path, repository: str, token: str, said: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"}

    with (
        server,
        Rest(server.address, headers, server.clock.now) as rest,
        Fetched(tmp_path / "memory.sqlite") as fetched,
        pytest.raises(SourceError, match=said),
    ):
        import_github(rest, fetched, repository, tmp_path, now=NOW)


def test_a_repository_without_an_owner_is_refused(tmp_path: Path) -> None:
    with (
        Rest("http://127.0.0.1:1", {}, lambda: NOW) as rest,
        Fetched(tmp_path / "m") as fetched,
        pytest.raises(ConfigurationError, match="owner/name"),
    ):
        import_github(rest, fetched, "shop", tmp_path, now=NOW)


def test_the_token_goes_to_no_other_server() -> None:
    with Rest("http://127.0.0.1:1", {}, lambda: NOW) as rest, pytest.raises(SourceError, match="another place"):
        rest.get("https://elsewhere.example/repos")


def test_deployments_come_with_every_status_as_the_webhook_tells_them(tmp_path: Path) -> None:
    server = FakeGitHub(FakeClock(NOW))
    number = server.add_deployment(NOW - timedelta(days=1), "in_progress")
    with server:
        imported(server, tmp_path)
        deployment, statuses = server.deployments[number]
        statuses.append({**statuses[0], "id": 9, "state": "success", "created_at": "2026-03-20T11:00:00Z"})
        deployment["updated_at"] = "2026-03-20T11:00:00Z"
        imported(server, tmp_path)

    lines = [
        json.loads(line)
        for path in (tmp_path / "deployments").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {line["deployment_status"]["state"] for line in lines} == {"in_progress", "success"}
    assert {line["repository"]["full_name"] for line in lines} == {"acme/shop"}
