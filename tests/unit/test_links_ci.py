"""Reports, runs and commits are put together without inventing a link."""

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.dtypes import empty, from_rows, schema
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_TEST_RESULTS,
)
from weaver_forge.links import core_ci

NOON = datetime(2026, 3, 1, 12)
A, B = "a" * 40, "b" * 40


def result(test: str = "c::t", status: str = "passed", **changes: Any) -> dict[str, Any]:
    classname, _, name = test.rpartition("::")
    return {
        "report_sha256": "0123456789abcdef" * 4,
        "context": "{}",
        "position": 0,
        "attempt": 1,
        "suite": "s",
        "classname": classname,
        "name": name,
        "status": status,
        "duration_ms": 100.0,
        "suite_started_at": NOON,
        "received_at": NOON + timedelta(days=1),
        **changes,
    }


def run(run_id: str = "1", attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "repo_id": "github.com/a/b",
        "run_id": run_id,
        "run_attempt": attempt,
        "workflow": "ci",
        "event": "push",
        "branch": "main",
        "revision": A,
        "status": "completed",
        "conclusion": "success",
        "created_at": NOON,
        "updated_at": NOON + timedelta(minutes=10 * attempt),
        **changes,
    }


def link(
    *results: dict[str, Any], runs: tuple[dict[str, Any], ...] = (), repos: tuple[str, ...] = ("r",)
) -> dict[str, pl.DataFrame]:
    commits = [
        {
            "repo_id": repo,
            "revision": A,
            "parents": "",
            "author": "",
            "authored_at": NOON,
            "committed_at": NOON,
            "subject": "",
            "body": "",
        }
        for repo in repos
    ]
    numbered = [{**row, "position": row["position"] or number} for number, row in enumerate(results)]
    return core_ci(
        from_rows(RAW_TEST_RESULTS, numbered),
        from_rows(RAW_GITHUB_ACTIONS_RUNS, runs),
        empty(RAW_GITHUB_ACTIONS_JOBS),
        from_rows(RAW_GIT_COMMITS, commits),
    )


def verdicts(frames: dict[str, pl.DataFrame]) -> dict[str, str]:
    return dict(frames["core_ci__test_verdicts"].select("test_id", "verdict").rows())


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["passed"], "passed"),
        (["failed"], "failed"),
        (["error", "failed"], "failed"),
        (["failed", "passed"], "flaky"),
        (["passed", "error"], "flaky"),
        (["skipped"], "skipped"),
        (["xfailed"], "skipped"),
        (["failed", "skipped"], "failed"),
        (["passed", "skipped"], "passed"),
        (["failed", "xpassed"], "failed"),
    ],
)
def test_retries_resolve_to_one_verdict(statuses: list[str], verdict: str) -> None:
    """Only a strict xpass is visible in a report, and pytest fails the run for it."""
    rows = [result(status=status, revision=A, attempt=number) for number, status in enumerate(statuses, 1)]

    frames = link(*rows)

    assert verdicts(frames) == {"c::t": verdict}
    assert frames["core_ci__test_verdicts"]["n_attempts"].to_list() == [len(statuses)]


def test_a_report_finds_its_revision_by_its_run() -> None:
    frames = link(result(run_id="1"), runs=(run(),))

    row = frames["core_ci__test_verdicts"].row(0, named=True)
    assert (row["repo_id"], row["run_id"], row["revision"]) == ("github.com/a/b", "1", A)
    assert row["run_ended_at"] == row["known_at"] == NOON + timedelta(minutes=10)
    assert frames["core_ci__runs"]["link_method"].to_list() == ["provider"]


@pytest.mark.parametrize(
    ("changes", "method", "revision"),
    [
        ({"revision": B, "context": json.dumps({"revision": B})}, "given", B),
        ({"revision": B}, "properties", B),
        ({}, "none", None),
    ],
)
def test_a_report_without_a_run_is_a_run_of_its_own(changes: dict[str, Any], method: str, revision: str | None) -> None:
    frames = link(result(**changes), result("c::u", duration_ms=900.0, **changes))

    (row,) = frames["core_ci__runs"].rows(named=True)
    assert (row["run_id"], row["link_method"], row["revision"]) == ("report-0123456789abcdef", method, revision)
    assert (row["started_at"], row["ended_at"]) == (NOON, NOON + timedelta(seconds=1))


def test_unlinked_results_are_stored_but_make_no_verdict() -> None:
    frames = link(result(), result("c::u", revision=A, report_sha256="f" * 64))

    results = frames["core_ci__test_results"]
    assert results.height == 2
    assert results["revision"].null_count() == 1
    assert list(verdicts(frames)) == ["c::u"]


def test_a_report_without_times_is_known_from_its_arrival_on() -> None:
    frames = link(result(revision=A, suite_started_at=None, duration_ms=None))

    assert frames["core_ci__test_results"]["known_at"].to_list() == [NOON + timedelta(days=1)]


def test_reports_of_one_run_belong_together_in_the_order_of_their_times() -> None:
    """The second report is the retry, whatever the order of the rows."""
    second = result(revision=A, run_id="9", report_sha256="0" * 64, suite_started_at=NOON + timedelta(hours=1))
    first = result(status="failed", revision=A, run_id="9", report_sha256="f" * 64)

    frames = link(second, first)

    assert frames["core_ci__test_results"].select("attempt", "status").rows() == [(1, "failed"), (2, "passed")]
    assert verdicts(frames) == {"c::t": "flaky"}
    assert frames["core_ci__runs"]["ended_at"].to_list() == [NOON + timedelta(hours=1, milliseconds=100)]


def test_attempts_of_a_run_are_one_run_known_when_the_last_ended() -> None:
    frames = link(
        result(status="failed", run_id="1"),
        result(run_id="1", report_sha256="f" * 64, suite_started_at=NOON + timedelta(minutes=11)),
        runs=(run(), run(attempt=2)),
    )

    assert frames["core_ci__runs"].height == 2
    assert verdicts(frames) == {"c::t": "flaky"}
    assert frames["core_ci__test_results"]["known_at"].unique().to_list() == [NOON + timedelta(minutes=20)]


def test_a_run_that_has_not_ended_lends_its_revision_but_not_its_end() -> None:
    frames = link(result(run_id="1"), runs=(run(status="in_progress", conclusion=None),))

    (row,) = frames["core_ci__runs"].rows(named=True)
    assert (row["link_method"], row["revision"], row["conclusion"]) == ("run", A, "success")
    assert row["ended_at"] == NOON + timedelta(milliseconds=100)


@pytest.mark.parametrize(("repos", "expected"), [(("r",), "r"), (("r", "q"), "unknown"), ((), "unknown")])
def test_a_repository_is_assumed_only_where_there_is_one_alone(repos: tuple[str, ...], expected: str) -> None:
    frames = link(result(revision=A), repos=repos)

    assert frames["core_ci__test_results"]["repo_id"].to_list() == [expected]


def test_the_same_report_told_twice_is_not_a_retry() -> None:
    """Taken in first without and then with a run, it is one execution of each test."""
    told = {"run_id": "9", "revision": A}

    frames = link(result(position=5, **told), result(position=5, context='{"run_id":"9"}', **told))

    assert frames["core_ci__test_results"].height == 1


def test_a_report_that_got_its_link_later_counts_once() -> None:
    frames = link(result(position=5), result(position=5, revision=A, context=json.dumps({"revision": A})))

    assert frames["core_ci__test_results"]["revision"].to_list() == [A]
    assert frames["core_ci__runs"]["link_method"].to_list() == ["given"]


def test_a_collection_error_fails_the_run_and_is_no_test() -> None:
    frames = link(result("::tests.test_broken", "collection_error", revision=A), result(revision=A))

    assert list(verdicts(frames)) == ["c::t"]
    assert frames["core_ci__runs"]["conclusion"].to_list() == ["failure"]


def test_a_test_without_a_class_is_its_name() -> None:
    assert list(verdicts(link(result("alone", revision=A)))) == ["alone"]


def test_a_job_that_never_started_has_no_duration() -> None:
    job = {
        "repo_id": "r",
        "job_id": "1",
        "run_id": "1",
        "run_attempt": 1,
        "name": "test",
        "revision": A,
        "status": "completed",
        "conclusion": "cancelled",
        "started_at": NOON,
        "completed_at": NOON - timedelta(seconds=3),
        "labels": "",
    }
    ran = {**job, "job_id": "2", "completed_at": NOON + timedelta(seconds=3)}

    frames = core_ci(
        empty(RAW_TEST_RESULTS),
        empty(RAW_GITHUB_ACTIONS_RUNS),
        from_rows(RAW_GITHUB_ACTIONS_JOBS, [job, ran]),
        empty(RAW_GIT_COMMITS),
    )

    assert dict(frames["core_ci__jobs"].select("job_id", "duration_ms").rows()) == {"1": None, "2": 3000.0}


def test_results_keep_the_contract_whatever_is_missing() -> None:
    full = link(result(revision=A), runs=(run(),))
    bare = link(repos=())

    for frames in (full, bare):
        assert {name: frame.schema for name, frame in frames.items()} == {
            name: schema(BY_NAME[name]) for name in frames
        }
        for name, frame in frames.items():
            assert frame.unique(BY_NAME[name].key).height == frame.height


NUMBERED = '{"run_number":"7"}'


def test_a_report_that_knows_only_the_number_of_its_run_gets_its_revision_and_repository() -> None:
    frames = link(result(context=NUMBERED), runs=(run("91", run_number=7), run("92", run_number=8, revision=B)))

    linked = frames["core_ci__test_results"].select("repo_id", "run_id", "revision").rows()
    assert linked == [("github.com/a/b", "91", A)]


@pytest.mark.parametrize(
    "twin",
    [
        run("92", run_number=7, workflow="nightly", revision=B),
        run("92", run_number=7, repo_id="github.com/c/d"),
        run("92", run_number=8, repo_id="github.com/c/d"),
    ],
    ids=["workflow", "repository", "repository-whose-own-run-is-not-here"],
)
def test_a_number_that_may_be_of_two_runs_links_nothing(twin: dict[str, Any]) -> None:
    """A wrong link is worse than none: the results are kept and counted without a revision."""
    frames = link(result(context=NUMBERED), runs=(run("91", run_number=7), twin))

    assert frames["core_ci__test_results"]["revision"].to_list() == [None]
    assert frames["core_ci__test_verdicts"].is_empty()


def test_the_repository_given_tells_runs_of_one_number_apart() -> None:
    twin = run("92", run_number=7, repo_id="github.com/c/d", revision=B)

    frames = link(result(context=NUMBERED, repo_id="github.com/c/d"), runs=(run("91", run_number=7), twin))

    assert frames["core_ci__test_results"]["revision"].to_list() == [B]


def test_attempts_of_one_run_share_its_number() -> None:
    frames = link(result(context=NUMBERED), runs=(run("91", 1, run_number=7), run("91", 2, run_number=7)))

    assert frames["core_ci__test_results"]["run_id"].to_list() == ["91"]


def test_a_parent_that_failed_by_its_child_is_one_failure() -> None:
    frames = link(
        result("p::T/bad", "failed", revision=A, position=0),
        result("p::T", "failed_by_child", revision=A, position=1),
    )

    assert verdicts(frames) == {"p::T/bad": "failed"}
    assert frames["core_ci__runs"]["conclusion"].to_list() == ["failure"]


def test_what_fails_outside_tests_is_an_error_of_the_run() -> None:
    frames = link(result("tests.test_broken", "collection_error", revision=A, message="no module"), result(revision=A))

    (error,) = frames["core_ci__run_errors"].rows(named=True)
    assert (error["name"], error["message"], error["revision"]) == ("tests.test_broken", "no module", A)


def test_tests_named_by_sentences_are_told_apart_by_their_file() -> None:
    """Two files of jest may both have a test called "adds"; a path of the machine would be no name."""
    frames = link(
        result("adds", "failed", revision=A, producer="jest", file="a.test.js", position=0),
        result("adds", revision=A, producer="jest", file="b.test.js", position=1),
        result("adds", revision=A, producer="jest", file="/ci/c.test.js", position=2),
        result("c::adds", revision=A, producer="pytest", file="a.py", position=3),
    )

    assert verdicts(frames) == {
        "a.test.js::adds": "failed",
        "b.test.js::adds": "passed",
        "adds": "passed",
        "c::adds": "passed",
    }


def test_a_run_told_in_two_formats_is_counted_by_the_one_that_tells_of_retries() -> None:
    told = {"revision": A, "run_id": "9"}
    frames = link(
        result(format="junit", **told),
        result(status="failed", format="ctrf", report_sha256="e" * 64, position=0, **told),
        result(format="ctrf", report_sha256="e" * 64, position=0, attempt=2, **told),
    )

    assert frames["core_ci__test_results"].select("attempt", "status").rows() == [(1, "failed"), (2, "passed")]
    assert verdicts(frames) == {"c::t": "flaky"}
