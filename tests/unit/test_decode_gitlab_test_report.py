"""GitLab's test reports of pipelines."""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.settings import test_data as outside_data

NOON = datetime(2026, 3, 1, 12)
PIPELINE = {
    "id": 3,
    "sha": "a" * 40,
    "web_url": "https://gitlab.com/a/b/-/pipelines/3",
    "started_at": "2026-03-01T11:00:00Z",
}


def read(document: Any) -> Batch:
    return decode([Frame("report.json", json.dumps(document).encode())], Told(received_at=NOON))


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables["raw_tests__results"]


def test_a_report_beside_its_pipeline_is_of_that_run_and_revision() -> None:
    case = {"status": "failed", "name": "adds", "classname": "Cart", "execution_time": 1.5, "stack_trace": "expected 2"}
    report = {"test_suites": [{"name": "unit", "test_cases": [case]}]}

    said = rows(read({"pipeline": PIPELINE, "test_report": report}))

    assert said.select("repo_id", "run_id", "revision", "suite", "name", "status", "duration_ms", "message").rows() == [
        ("gitlab.com/a/b", "3", "a" * 40, "unit", "adds", "failed", 1500.0, "expected 2")
    ]


def test_a_suite_that_gitlab_could_not_read_is_refused_and_said() -> None:
    suites = [{"name": "unit", "suite_error": "JUnit XML parsing failed", "test_cases": []}]

    batch = read({"total_time": 0, "test_suites": suites})

    assert [item.reason for item in batch.rejected] == [
        "GitLab could not read the job's report: JUnit XML parsing failed"
    ]


@pytest.mark.parametrize("case", [7, {"name": "a"}, {"name": "", "status": "success"}, {"name": "a", "status": "odd"}])
def test_a_bad_test_is_refused_alone(case: Any) -> None:
    good = {"status": "success", "name": "adds"}

    batch = read({"total_time": 0, "test_suites": [{"name": "unit", "test_cases": [case, good]}]})

    assert rows(batch)["name"].to_list() == ["adds"]
    assert [item.position for item in batch.rejected] == ["suite 0, test 0"]


@pytest.mark.outside
def test_a_report_of_gitlab_has_the_tests_that_it_lists_and_not_those_that_it_counts() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("needs fixtures/gitlab-webhooks of WEAVER_FORGE_TEST_DATA")
    data = (root / "fixtures" / "gitlab-webhooks" / "get_pipeline_testreport.json").read_bytes()

    batch = decode([Frame("report.json", data)], Told(received_at=NOON))

    counts = dict(rows(batch).group_by("status").len().iter_rows())
    assert json.loads(data)["total_count"] == 9
    assert counts == {"passed": 2, "error": 3}
    assert batch.rejected == ()
