"""Collected reports of many tools against the results that are stated beside them, and every file read or refused."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.settings import test_data as outside_data

pytestmark = pytest.mark.outside
TOLD = Told(received_at=datetime(2027, 1, 1))

DIFFERENT_BY_INTENT = {
    "junit-xml_no-attributes": "test cases without any name have no identity, and are refused",
    "junit-xml_no-cases-but-tests": "the totals of a suite are never trusted, and there is no test case",
    "nunit_nunit3_jenkins_NUnit-sec1752-file": "a DTD is refused with its file",
    "nunit_nunit3_jenkins_NUnit-sec1752-https": "a DTD is refused with its file",
    "trx_yami_YAMILEX_2015-10-24_04_18_59": "an aborted test is an error, and so is the crash of its host",
}
LAUNCHABLE = {
    "ant_record_test_result.json": "ant_junitreport_TEST-*.xml",
    "bazel_record_test_result.json": "bazel_*.xml",
    "behave_record_test_result.json": "behave_*.xml",
    "cucumber_record_test_result.json": "cucumber_report_TEST*.xml",
    "cypress_record_test_result.json": "cypress_test-result.xml",
    "dotnet_record_test_result.json": "dotnet_test-result.xml",
    "go_test_record_test_result.json": "go_test_reportv1*.xml",
    "googletest_record_test_result.json": "googletest_output_*.xml",
    "googletest_fail_record_test_result.json": "googletest_fail_output.xml",
    "gradle_recursion_expected.json": "gradle_recursion*.xml",
    "jest_record_test_result.json": "jest_junit.xml",
    "maven_record_test_result.json": "maven_reports_TEST-*.xml",
    "minitest_record_test_result.json": "minitest_*.xml",
    "nunit_nunit-reporter-bug-with-nested-type.json": "nunit_nunit-reporter-bug*.xml",
    "nunit_record_test_result-linux.json": "nunit_output-linux.xml",
    "nunit_record_test_result-windows.json": "nunit_output-windows.xml",
    "playwright_record_test_result.json": "playwright_report.xml",
    "prove_record_test_result.json": "prove_report.xml",
    "pytest_record_test_result.json": "pytest_report.xml",
    "rspec_record_test_result.json": "rspec_rspec.xml",
    "vitest_record_test_result.json": "vitest_report.xml",
    "xctest_record_test_result.json": "xctest_junit.xml",
}
"""Expected results -> the reports they are of."""
OTHER_NAMES = {
    "go_test_record_test_result.json": "a subtest is there without its parent, here with it: TestA/case",
    "prove_record_test_result.json": "the number of a TAP test is there cut off: `1 - use Example;`",
}
_LAUNCHABLE_STATUS = {"passed": 1, "skipped": 2, "xfailed": 2}


def fixtures() -> Path:
    root = outside_data()
    if root is None or not (root / "fixtures").is_dir():
        pytest.skip("needs fixtures of WEAVER_FORGE_TEST_DATA")
    return root / "fixtures"


def read(*paths: Path) -> Batch:
    return decode([Frame(path.name, path.read_bytes()) for path in paths], TOLD)


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_TEST_RESULTS.name]


def test_every_collected_report_is_read_or_refused_with_its_reason() -> None:
    """No file is silent: it has rows, or says why not, or says that it holds no test."""
    root = fixtures()
    paths = [
        path
        for folder in ("junit-*", "testrunners-launchable")
        for path in root.glob(f"{folder}/*")
        if path.suffix in {".xml", ".trx"}
    ]

    outcome: Counter[str] = Counter()
    for path in paths:
        batch = read(path)
        frame = rows(batch)
        said = "rows" if frame.height else "refused" if batch.rejected else "empty" if batch.notes else "silent"
        outcome[said] += 1
        outcome[frame["format"][0] if frame.height else "none"] += 1

    assert len(paths) >= 271
    assert outcome == {
        "rows": 249, "refused": 17, "empty": 15, "junit": 202, "nunit": 27, "trx": 13, "xunit": 7, "none": 32
    }  # fmt: skip


def test_counts_agree_with_the_results_that_stand_beside_the_reports() -> None:
    """Tests or runs passed, skipped, and failed or in error; NUnit's errors are failures there."""
    different = set()
    n_compared = 0
    for oracle in sorted((fixtures() / "junit-enricomi").glob("*.results.json")):
        stem = oracle.name.removesuffix(".results.json")
        report = next((path for kind in ("xml", "trx") if (path := oracle.with_name(f"{stem}.{kind}")).exists()), None)
        stats = json.loads(oracle.read_bytes()).get("stats")
        if report is None or not stats or stats["errors"]:
            continue
        last = rows(read(report)).filter(pl.col("status") != "failed_by_child").sort("attempt")
        counted = Counter(last.group_by("suite", "position").agg(pl.last("status"))["status"])
        bad = sum(counted[status] for status in ("failed", "xpassed", "error", "collection_error"))
        mine = (counted["passed"], counted["skipped"] + counted["xfailed"], bad)
        stated = {
            (stats[f"{unit}_succ"], stats[f"{unit}_skip"], stats[f"{unit}_fail"] + stats[f"{unit}_error"])
            for unit in ("tests", "runs")
        }
        n_compared += 1
        if mine not in stated:
            different.add(stem)

    assert different == set(DIFFERENT_BY_INTENT)
    assert n_compared >= 55


@pytest.mark.parametrize(("oracle", "pattern"), LAUNCHABLE.items(), ids=list(LAUNCHABLE))
def test_tests_and_states_are_those_that_launchable_records(oracle: str, pattern: str) -> None:
    folder = fixtures() / "testrunners-launchable"
    recorded = json.loads((folder / oracle).read_bytes())["events"]
    expected = Counter((event["testPath"][-1]["name"], event["status"]) for event in recorded)

    frame = rows(read(*sorted(folder.glob(pattern))))

    found = Counter((name, _LAUNCHABLE_STATUS.get(status, 0)) for name, status in frame.select("name", "status").rows())
    if oracle in OTHER_NAMES:
        assert Counter(status for _, status in found.elements()) == Counter(status for _, status in expected.elements())
    else:
        assert found == expected


@pytest.mark.parametrize("name", ["pytest-json-ctrf-0.6.1.json", "pytest9.2-xunit2-rerunfailures16.7.xml"])
def test_both_formats_of_the_captured_pytest_run_tell_its_truth(name: str) -> None:
    """4 passed of which 1 flaky, 4 failed, 2 skipped: JUnit XML hides it, CTRF states it."""
    frame = rows(read(fixtures() / "junit-captured" / name))

    tests = {test: frame.filter(pl.col("name") == test)["status"].to_list() for test in frame["name"].unique()}
    passed = {test for test, statuses in tests.items() if statuses[-1] == "passed"}
    failed = {test for test, statuses in tests.items() if statuses[-1] in {"failed", "error", "xpassed"}}
    assert {test for test in passed if len(tests[test]) > 1} == {"test_flaky"}
    assert (len(passed), len(failed), len(tests)) == (4, 4, 10)
    assert {test: len(statuses) for test, statuses in tests.items() if len(statuses) > 1} == dict.fromkeys(
        (*failed, "test_flaky"), 2
    )


def test_the_xdist_report_with_a_collection_error_has_no_such_test() -> None:
    frame = rows(read(fixtures() / "junit-captured" / "pytest9.2-xdist-collect-error.xml"))

    assert frame.filter(pl.col("status") == "collection_error")["name"].to_list() == ["tests.test_broken"]


@pytest.mark.parametrize("example", ["minimal", "comprehensive", "with-retries", "with-insights", "with-diagnostics"])
def test_the_examples_of_ctrf_are_read_whole(example: str) -> None:
    path = fixtures() / "ctrf" / f"examples_{example}.json"
    tests = json.loads(path.read_bytes())["results"]["tests"]

    batch = read(path)

    assert rows(batch)["position"].n_unique() == len(tests)
    assert batch.rejected == ()


def test_go_events_agree_with_the_truth_of_the_captured_run() -> None:
    """TestSub/bad, TestFlaky and TestPanic failed; TestSub failed by its child alone."""
    frame = rows(read(fixtures() / "junit-captured" / "go1.27-test-json.jsonl"))

    assert dict(frame.select(pl.col("classname").str.slice(-1) + "." + pl.col("name"), "status").rows()) == {
        "a.TestOK": "passed",
        "a.TestSub": "failed_by_child",
        "a.TestSub/x/y_z": "passed",
        "a.TestSub/bad": "failed",
        "a.TestSkip": "skipped",
        "a.TestFlaky": "failed",
        "b.TestPanic": "failed",
        "b.TestOK": "passed",
    }
