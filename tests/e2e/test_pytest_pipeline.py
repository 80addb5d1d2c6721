"""What real pytest ran, as the plugin wrote it down, is in the warehouse once and in the pipeline's trace.

One ingest for all tests: a whole run with reruns and workers, and a run that was killed while it wrote a line.
"""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.verbs.loop import Runner
from weaver_forge.contracts.identity import pipeline_root_span_id, pipeline_trace_id
from weaver_forge.contracts.tables.ci import (
    CORE_CI_PIPELINE_SPANS,
    CORE_CI_RUNS,
    CORE_CI_TEST_RESULTS,
    CORE_CI_TEST_VERDICTS,
    RAW_TEST_RESULTS,
)
from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.settings import environment_with, load
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e
REVISION = "c" * 40
TESTS = """
import pathlib, pytest
def test_flaky():
    mark = pathlib.Path(__file__).with_name("mark")
    is_first = not mark.exists()
    mark.write_text("")
    assert not is_first
def test_bad(): assert 0
@pytest.fixture
def broken(): raise RuntimeError("no")
def test_setup(broken): pass
@pytest.mark.xfail
def test_x(): assert 0
def test_skip(): pytest.skip("later")
class TestK:
    @pytest.mark.parametrize("text", ["1-c::d", "a/b", "[x]", "\\u00fc"])
    def test_p(self, text): pass
"""
ENDS = {
    "test_flaky": "flaky",
    "test_bad": "failed",
    "test_setup": "failed",
    "test_x": "skipped",
    "test_skip": "skipped",
}
KILLED = """
import os, signal
def test_a(): pass
def test_b(): pass
def test_dies(): os.kill(os.getpid(), signal.SIGKILL)
def test_never(): pass
"""


@dataclass(frozen=True, slots=True)
class Ingested:
    """A deployment that took in both runs twice."""

    folder: Path
    warehouse: Warehouse
    at_first: int

    def of_run(self, run_id: str) -> pl.DataFrame:
        """Results of a run."""
        return self.warehouse.read(CORE_CI_TEST_RESULTS).filter(pl.col("run_id") == run_id)


def run_pytest(folder: Path, text: str, run_id: str, *options: str) -> int:
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "test_m.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    github = {"GITHUB_RUN_ID": run_id, "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": REVISION}
    names = ("PYTEST_ADDOPTS", "TRACEPARENT", "GITHUB_REF", "GITHUB_SERVER_URL", "OTEL_RESOURCE_ATTRIBUTES")
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "weaver_forge.hooks.pytest_plugin")
    recording = ("--weaver-mode", "record", "--junitxml=report.xml")
    return subprocess.run(
        [sys.executable, *command, *recording, *options], cwd=folder, capture_output=True, timeout=120, check=False,
        env=environment_with(**dict.fromkeys(names, ""), **github, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
    ).returncode  # fmt: skip


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Run, be killed, and take in everything twice."""
    folder = tmp_path_factory.mktemp("recorded")
    ended = run_pytest(
        folder / "whole", TESTS, "91", "-p", "xdist", "-n", "2", "-p", "pytest_rerunfailures", "--reruns=2"
    )
    killed = run_pytest(folder / "killed", KILLED, "92")
    assert (ended, killed) == (1, -signal.SIGKILL)
    with (folder / "killed" / ".weaver-forge" / "tests.jsonl").open("a", encoding="utf-8") as record:
        record.write('{"nodeid": "sub/test_m.py::test_dies", "test_i')
    (folder / "deployment").mkdir()
    (folder / "deployment" / "weaver-forge.toml").write_text("", encoding="utf-8")
    settings = load(folder / "deployment")
    settings.dagster_home.mkdir(parents=True)
    runner = Runner(settings, lambda _event: None)
    written = sorted(str(path) for path in folder.glob("*/.weaver-forge/*.jsonl") if path.stat().st_size)
    inputs: dict[str, Any] = {
        "tests": {"paths": [str(folder / "whole" / "report.xml"), *(path for path in written if "tests" in path)]},
        "otlp": {"paths": [path for path in written if "spans" in path]},
    }
    runner.ingest(inputs)
    at_first = runner.deployment.warehouse.read(RAW_TEST_RESULTS).height
    runner.ingest(inputs)
    return Ingested(folder, runner.deployment.warehouse, at_first)


def test_a_run_told_by_the_record_and_by_junit_is_one_run_with_each_test_once(ingested: Ingested) -> None:
    results = ingested.of_run("91")

    raw = ingested.warehouse.read(RAW_TEST_RESULTS).filter(pl.col("run_id") == "91")
    named = {form: set(raw.filter(pl.col("format") == form)["name"]) for form in ("junit", "pytest")}
    runs = ingested.warehouse.read(CORE_CI_RUNS)
    assert sorted(runs["run_id"]) == ["91", "92"]
    assert set(runs["revision"]) == {REVISION}
    assert (
        named["junit"] == named["pytest"] == {*ENDS, *(f"test_p[{text}]" for text in ("1-c::d", "a/b", "[x]", "\\xfc"))}
    )
    assert results.select("test_id", "attempt").is_unique().all()
    assert results.height == raw.filter(pl.col("format") == "pytest").height == 2 + 3 + 3 + 1 + 1 + 4
    assert set(results["file"]) == {"sub/test_m.py"}
    assert set(results["repo_id"]) == {"github.com/o/r"}


def test_verdicts_are_those_of_the_run(ingested: Ingested) -> None:
    verdicts = ingested.warehouse.read(CORE_CI_TEST_VERDICTS).filter(pl.col("run_id") == "91")

    told = dict(verdicts.select("test_id", "verdict").iter_rows())
    assert {name.removeprefix("sub.test_m::"): told for name, told in told.items() if "TestK" not in name} == ENDS
    assert {told[name] for name in told if "TestK" in name} == {"passed"}


def test_the_spans_are_in_the_trace_of_the_pipeline_and_name_the_tests_alike(ingested: Ingested) -> None:
    trace, root = pipeline_trace_id("91", 1), pipeline_root_span_id("91", 1)

    spans = ingested.warehouse.query(f"select * from {RAW_OTLP_SPANS.name} where trace_id = '{trace}'")

    session = spans.filter(pl.col("name") == "pytest")
    tests = spans.filter(pl.col("name") != "pytest")
    assert session["parent_span_id"].to_list() == [root]
    assert set(tests["parent_span_id"]) == set(session["span_id"])
    assert tests.height == ingested.of_run("91").height
    assert ingested.warehouse.read(CORE_CI_PIPELINE_SPANS).is_empty()
    assert set(ingested.of_run("91")["test_id"]) == {
        name for said in tests["attributes"] for name in [dict(said).get("test.case.name")] if name
    }


def test_of_a_killed_run_all_is_kept_but_the_line_that_was_cut_off(ingested: Ingested) -> None:
    refused = ingested.warehouse.read(RAW_INGEST_REJECTED)

    killed = ingested.of_run("92").sort("test_id")
    assert killed.select("test_id", "status").rows() == [
        ("sub.test_m::test_a", "passed"), ("sub.test_m::test_b", "passed")
    ]  # fmt: skip
    assert refused.select("source", "position").rows() == [("tests", "line 4")]
    assert "cut off" in refused["reason"][0]


def test_taking_it_in_again_changes_nothing(ingested: Ingested) -> None:
    assert ingested.warehouse.read(RAW_TEST_RESULTS).height == ingested.at_first
