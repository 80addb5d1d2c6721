"""What the pytest plugin wrote down is read as it happened, and as one run with pytest's own JUnit XML."""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import empty, schema
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    CORE_CI_RUNS,
    CORE_CI_TEST_RESULTS,
    CORE_CI_TEST_VERDICTS,
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_TEST_RESULTS,
)
from weaver_forge.decode.recognise import recognise
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode, sniff
from weaver_forge.links import core_ci
from weaver_forge.testing.damage import damaged

TOLD = Told(received_at=datetime(2026, 3, 2))
REVISION = "a" * 40
RUN = {"pytest_record": 1, "run_id": "77", "revision": REVISION, "repo_id": "github.com/o/r", "trace_id": "b" * 32}
START = 1_772_366_400_000_000_000
"""2026-03-01T12:00:00Z."""


def attempt(nodeid: str = "t/test_a.py::test_a", outcome: str = "passed", **said: Any) -> dict[str, Any]:
    return {"nodeid": nodeid, "outcome": outcome, "duration_ms": 12.5, "start_unix_ns": START, **said}


def lines(*said: dict[str, Any] | str) -> bytes:
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in said).encode()


def read(data: bytes, name: str = "tests.jsonl") -> Batch:
    return decode([Frame(name, data)], TOLD)


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_TEST_RESULTS.name]


def core(*reports: bytes) -> dict[str, pl.DataFrame]:
    batch = decode([Frame(f"r{number}", data) for number, data in enumerate(reports)], TOLD)
    others = (RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS, RAW_GIT_COMMITS)
    return core_ci(rows(batch), *map(empty, others))


def test_an_attempt_is_a_row_that_names_test_file_run_and_revision() -> None:
    batch = read(lines(RUN, attempt("t/test_a.py::TestB::test_c[1-c::d]")))

    row = rows(batch).row(0, named=True)
    assert batch.rejected == ()
    assert (row["classname"], row["name"], row["file"]) == ("t.test_a.TestB", "test_c[1-c::d]", "t/test_a.py")
    assert (row["status"], row["duration_ms"], row["producer"], row["format"]) == ("passed", 12.5, "pytest", "pytest")
    assert (row["run_id"], row["revision"], row["repo_id"]) == ("77", REVISION, "github.com/o/r")
    assert row["suite_started_at"] == datetime(2026, 3, 1, 12)


def test_reruns_are_attempts_in_their_order_wherever_they_stand() -> None:
    other = attempt("t/test_a.py::test_b")

    batch = read(lines(RUN, attempt(outcome="failed"), other, attempt(outcome="error"), attempt()))

    told = rows(batch).filter(pl.col("name") == "test_a").select("position", "attempt", "status").rows()
    assert told == [(0, 1, "failed"), (0, 2, "error"), (0, 3, "passed")]


def test_bad_lines_are_refused_with_their_number_and_the_rest_is_kept() -> None:
    batch = read(
        lines(
            RUN,
            attempt(),
            "{not json}",
            attempt("t/test_a.py::test_b", outcome="exploded"),
            {"outcome": "passed"},
            "[1]",
            '{"nodeid": 5, "outcome": "passed"}',
            attempt("t/test_a.py::test_c"),
        )
    )

    assert rows(batch)["name"].to_list() == ["test_a", "test_c"]
    assert [(piece.position, piece.reason.partition(":")[0]) for piece in batch.rejected] == [
        ("line 3", "no JSON object of the plugin"),
        ("line 4", "no outcome of a test"),
        ("line 5", "neither a run nor an attempt"),
        ("line 6", "no JSON object of the plugin"),
        ("line 7", "no JSON object of the plugin"),
    ]


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_a_last_line_that_is_cut_off_is_said_and_costs_nothing_else(kept: float) -> None:
    last = json.dumps(attempt("t/test_a.py::test_b"))

    batch = read(lines(RUN, attempt()) + last[: int(len(last) * kept)].encode())

    (piece,) = batch.rejected
    assert rows(batch)["name"].to_list() == ["test_a"]
    assert piece.position == "line 3"
    assert piece.reason.startswith("it is cut off: the run was ended")


def test_a_last_line_without_its_end_of_line_is_whole() -> None:
    batch = read(lines(RUN, attempt()).rstrip(b"\n"))

    assert batch.rejected == ()
    assert rows(batch).height == 1


def test_a_test_that_had_begun_has_no_result() -> None:
    batch = read(lines(RUN, attempt(outcome="unfinished"), attempt("t/test_a.py::test_b")))

    assert rows(batch)["name"].to_list() == ["test_b"]
    assert batch.notes == ("tests.jsonl: 1 tests had begun when the run was broken off: no result",)


def test_a_run_without_a_test_is_empty_and_says_so() -> None:
    batch = read(lines(RUN))

    assert rows(batch).height == 0
    assert batch.notes == ("tests.jsonl: the report holds no test",)


def test_records_put_together_keep_their_runs_apart() -> None:
    batch = read(lines(RUN, attempt(), {**RUN, "run_id": "78"}, attempt(outcome="failed")))

    assert rows(batch).select("run_id", "attempt", "status").rows() == [("77", 1, "passed"), ("78", 1, "failed")]


@pytest.mark.parametrize("bad", [{"duration_ms": -1}, {"start_unix_ns": 10**20}, {"start_unix_ns": -5}])
def test_a_number_that_means_nothing_costs_no_row(bad: dict[str, Any]) -> None:
    batch = read(lines(RUN, attempt(**bad)))

    assert rows(batch)["status"].to_list() == ["passed"]


def test_a_record_is_told_by_how_it_begins() -> None:
    record, older = lines(RUN, attempt()), lines(attempt(test_id="t.test_a::test_a"))

    assert [sniff(data) for data in (record, older, record[:-20])] == [("pytest", "")] * 3
    assert [(likely.source if (likely := recognise(data)) else "") for data in (record, older)] == ["tests"] * 2


JUNIT = f"""<testsuites name="pytest tests"><testsuite name="pytest" tests="3" timestamp="2026-03-01T12:00:00+00:00">
<properties><property name="cicd.pipeline.run.id" value="77"/>
<property name="vcs.ref.head.revision" value="{REVISION}"/>
<property name="repo_id" value="github.com/o/r"/></properties>
<testcase classname="t.test_a" name="test_a" time="0.0125"/><testcase classname="t.test_a" name="test_a" time="0.0125"/>
<testcase classname="t.test_a" name="test_b" time="0.5"><skipped message="later"/></testcase>
<testcase classname="t.test_a" name="test_only_here" time="0.5"/></testsuite></testsuites>""".encode()


@pytest.mark.parametrize("turned", [False, True])
def test_a_record_and_the_junit_file_of_its_run_are_one_run_counted_once(turned: bool) -> None:
    record = lines(RUN, attempt(outcome="failed"), attempt(), attempt("t/test_a.py::test_b", outcome="skipped"))

    tables = core(*((JUNIT, record) if turned else (record, JUNIT)))

    assert tables[CORE_CI_RUNS.name]["run_id"].to_list() == ["77"]
    assert tables[CORE_CI_TEST_RESULTS.name].select("test_id", "attempt", "status").rows() == [
        ("t.test_a::test_a", 1, "failed"),
        ("t.test_a::test_a", 2, "passed"),
        ("t.test_a::test_b", 1, "skipped"),
        ("t.test_a::test_only_here", 1, "passed"),
    ]
    assert dict(tables[CORE_CI_TEST_VERDICTS.name].select("test_id", "verdict").iter_rows()) == {
        "t.test_a::test_a": "flaky", "t.test_a::test_b": "skipped", "t.test_a::test_only_here": "passed"
    }  # fmt: skip


def test_damage_never_crashes_the_reader() -> None:
    data = lines(RUN, *(attempt(f"t/test_a.py::test_{n}") for n in range(8)))

    for seed in range(60):
        batch = read(damaged(data, seed))

        assert rows(batch).schema == schema(RAW_TEST_RESULTS)
