"""Reports of every format say the same of the same run: attempts, subtests, states, and what was no test."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from weaver_forge.benchmarks.junit_corpus import junit_corpus, measure
from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode import test_results
from weaver_forge.decode.report import lines_of, named_by_pytest
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode, decode_parts, sniff
from weaver_forge.testing.damage import damaged

RECEIVED = datetime(2026, 3, 2)
TOLD = Told(received_at=RECEIVED)


def read(data: bytes | str) -> Batch:
    return decode([Frame("report", data.encode() if isinstance(data, str) else data)], TOLD)


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_TEST_RESULTS.name]


def attempts(batch: Batch) -> dict[str, list[str]]:
    grouped = rows(batch).sort("position", "attempt").group_by("name", maintain_order=True).agg("status")
    return dict(grouped.iter_rows())


def parents(batch: Batch) -> dict[str, str | None]:
    return dict(rows(batch).select("name", "parent").iter_rows())


def events(*said: dict[str, Any] | str) -> str:
    package = {"Time": "2026-03-01T12:00:00.5Z", "Package": "example.com/a"}
    return "".join(line if isinstance(line, str) else json.dumps({**package, **line}) + "\n" for line in said)


def ran(name: str, action: str, elapsed: float = 0.25) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"Action": "run", "Test": name}, {"Action": action, "Test": name, "Elapsed": elapsed}


def test_a_go_parent_that_failed_by_its_child_is_no_second_failure() -> None:
    """Names of subtests may hold slashes themselves: `x/y_z` is one subtest of TestSub."""
    batch = read(
        events(
            {"Action": "run", "Test": "TestSub"},
            *ran("TestSub/x/y_z", "pass"),
            {"Action": "run", "Test": "TestSub/bad"},
            {"Action": "output", "Test": "TestSub/bad", "Output": "=== RUN   TestSub/bad\n"},
            {"Action": "output", "Test": "TestSub/bad", "Output": "    a_test.go:4: no\n"},
            {"Action": "fail", "Test": "TestSub/bad", "Elapsed": 0},
            {"Action": "fail", "Test": "TestSub", "Elapsed": 0.5},
            *ran("TestSkip", "skip"),
            {"Action": "fail", "Elapsed": 1},
        )
    )

    assert attempts(batch) == {
        "TestSub/x/y_z": ["passed"],
        "TestSub/bad": ["failed"],
        "TestSub": ["failed_by_child"],
        "TestSkip": ["skipped"],
    }
    assert parents(batch) == {"TestSub/x/y_z": "TestSub", "TestSub/bad": "TestSub", "TestSub": None, "TestSkip": None}
    bad = rows(batch).row(1, named=True)
    assert (bad["classname"], bad["message"], bad["producer"]) == ("example.com/a", "a_test.go:4: no", "go")
    assert rows(batch)["suite_started_at"][0] == datetime(2026, 3, 1, 12, 0, 0, 500000)
    assert rows(batch).schema == schema(RAW_TEST_RESULTS)


def test_go_runs_that_repeat_a_test_are_its_attempts() -> None:
    batch = read(events(*ran("TestA", "fail"), *ran("TestA", "pass", 0.5), {"Action": "fail"}))

    assert attempts(batch) == {"TestA": ["failed", "passed"]}
    assert rows(batch)["duration_ms"].to_list() == [250.0, 500.0]
    assert rows(batch)["attempt"].to_list() == [1, 2]


def test_interleaved_packages_keep_their_tests() -> None:
    other = {"Package": "example.com/b"}
    batch = read(
        events(
            {"Action": "run", "Test": "TestA"},
            {"Action": "run", "Test": "TestA", **other},
            {"Action": "pass", "Test": "TestA", **other},
            {"Action": "fail", "Test": "TestA"},
            {"Action": "pass", **other},
            {"Action": "fail"},
        )
    )

    assert set(rows(batch).select("classname", "status").rows()) == {
        ("example.com/b", "passed"),
        ("example.com/a", "failed"),
    }


def test_a_go_test_that_never_ended_is_an_error_once_its_package_failed() -> None:
    """A panic in a goroutine, a timeout or os.Exit ends the process: no event says which test it was."""
    batch = read(
        events(
            *ran("TestOk", "pass"),
            {"Action": "run", "Test": "TestOuter"},
            {"Action": "run", "Test": "TestOuter/inner"},
            {"Action": "output", "Test": "TestOuter/inner", "Output": "panic: boom\n"},
            {"Action": "fail", "Elapsed": 0.1},
        )
    )

    assert attempts(batch) == {"TestOk": ["passed"], "TestOuter/inner": ["error"], "TestOuter": ["failed_by_child"]}
    assert rows(batch)["message"].to_list()[1] == "panic: boom"


@pytest.mark.parametrize(
    "said",
    [
        ("FAIL\texample.com/a [build failed]\n",),
        (
            {"Action": "build-output", "ImportPath": "example.com/a [example.com/a.test]", "Output": "a.go:2: no\n"},
            {"Action": "build-fail", "ImportPath": "example.com/a [example.com/a.test]"},
            {"Action": "fail", "Elapsed": 0},
        ),
        ({"Action": "output", "Output": "flag provided but not defined\n"}, {"Action": "fail", "Elapsed": 0}),
    ],
    ids=["before go 1.24", "since go 1.24", "TestMain"],
)
def test_a_go_package_that_ran_no_test_is_the_infrastructures(said: tuple[Any, ...]) -> None:
    batch = read(events({"Action": "start", "Package": "example.com/ok"}, *said))

    assert attempts(batch) == {"[package]": ["collection_error"]}
    assert rows(batch)["classname"].to_list() == ["example.com/a"]


def test_benchmarks_and_packages_without_tests_fail_nothing() -> None:
    batch = read(
        events(
            {"Action": "run", "Test": "BenchmarkX"},
            {"Action": "output", "Test": "BenchmarkX", "Output": "BenchmarkX \t 10\t 3 ns/op\n"},
            {"Action": "pass"},
            {"Action": "skip", "Package": "example.com/none"},
        )
    )

    assert attempts(batch) == {"BenchmarkX": ["passed"]}


def test_a_cut_off_go_stream_gives_no_result_to_what_was_running() -> None:
    text = events(*ran("TestA", "pass"), {"Action": "run", "Test": "TestB"}, {"Action": "output", "Test": "TestB"})

    batch = read(text[:-20])

    assert attempts(batch) == {"TestA": ["passed"]}
    assert [piece.position for piece in batch.rejected] == ["line 4", "end of the stream"]
    assert batch.rejected[1].raw == "TestB"


def test_plain_lines_in_a_go_stream_are_counted() -> None:
    batch = read("go: downloading example.com/x v1.0.0\n" + events(*ran("TestA", "pass"), {"Action": "pass"}))

    assert attempts(batch) == {"TestA": ["passed"]}
    assert batch.notes == ("report: 1 lines between the events are plain text and were passed over",)


def ctrf(*tests: Any, tool: str = "jest", **more: Any) -> str:
    return json.dumps({"reportFormat": "CTRF", "results": {"tool": {"name": tool}, "tests": list(tests), **more}})


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"status": "passed", "retries": 0}, ["passed"]),
        ({"status": "pending"}, ["skipped"]),
        ({"status": "failed", "rawStatus": "timedOut"}, ["error"]),
        ({"status": "skipped", "rawStatus": "xfailed"}, ["xfailed"]),
        ({"status": "failed", "message": "[XPASS(strict)] fixed"}, ["xpassed"]),
        (
            {"status": "passed", "flaky": True, "retries": 1, "retryAttempts": [{"attempt": 1, "status": "failed"}]},
            ["failed", "passed"],
        ),
        (
            {
                "status": "passed", "flaky": True, "retries": 1,
                "retryAttempts": [{"attempt": 1, "status": "failed"}, {"attempt": 2, "status": "passed"}],
            },
            ["failed", "passed"],
        ),
        ({"status": "passed", "retries": 2}, ["failed", "failed", "passed"]),
        ({"status": "passed", "flaky": True}, ["failed", "passed"]),
    ],
    ids=["once", "pending", "timed out", "xfail", "xpass", "earlier listed", "all listed", "counted", "only flaky"],
)  # fmt: skip
def test_ctrf_attempts_are_what_the_writer_means(test: dict[str, Any], expected: list[str]) -> None:
    """Some writers list the last execution among the retries, some do not, some only count."""
    batch = read(ctrf({"name": "t", "duration": 5, **test}))

    assert attempts(batch) == {"t": expected}
    assert batch.rejected == ()


def test_ctrf_of_pytest_names_tests_as_its_junit_does() -> None:
    name = "tests/test_a.py::TestB::test_c[1-c::d]"
    batch = read(ctrf({"name": name, "status": "passed", "duration": 1}, tool="pytest"))

    assert rows(batch).select("classname", "name").row(0) == ("tests.test_a.TestB", "test_c[1-c::d]")
    assert named_by_pytest("a[1]/test_b.py::test_c", "a[1]/test_b.py") == ("a[1].test_b", "test_c")


def test_ctrf_environment_links_the_report() -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    environment = {"commit": sha, "buildId": 77, "repositoryUrl": "https://github.com/Acme/shop.git"}

    batch = read(ctrf({"name": "t", "status": "passed", "duration": 1}, environment=environment))

    assert rows(batch).select("revision", "run_id", "repo_id").row(0) == (sha, "77", "github.com/Acme/shop")


def test_an_unfit_ctrf_test_is_rejected_alone() -> None:
    good = {"name": "good", "status": "passed", "duration": 1}
    batch = read(ctrf({"status": "passed"}, {"name": "t", "status": "green"}, 7, good, {**good, "retries": -1}))

    assert attempts(batch) == {"good": ["passed"]}
    assert [piece.position for piece in batch.rejected] == ["test 0", "test 1", "test 2", "test 4"]


def test_a_cut_off_ctrf_report_keeps_its_complete_tests() -> None:
    text = ctrf(*({"name": f"t{n}", "status": "passed", "duration": 1} for n in range(3)))

    batch = read(text[: text.index("t2")])

    assert list(attempts(batch)) == ["t0", "t1"]
    assert rows(batch)["producer"].unique().to_list() == ["jest"]
    assert "2 complete tests" in batch.rejected[0].reason


TRX = """<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
<Times start="2026-03-01T12:00:00.0000000+02:00"/>
<Results>
<UnitTestResult testId="1" testName="Ns.C.Plain" computerName="pc" duration="00:00:01.5000000" outcome="Passed"/>
<UnitTestResult testId="2" testName="Retried" duration="1.01:00:00" outcome="Failed"><Output><ErrorInfo>
<Message>no</Message></ErrorInfo></Output></UnitTestResult>
<UnitTestResult testId="2" testName="Retried" outcome="Passed"/>
<UnitTestResult testId="3" testName="Rows" outcome="Failed"><InnerResults>
<UnitTestResult testId="3" testName="Rows (Data Row 0)" outcome="Passed"/>
<UnitTestResult testId="3" testName="Rows (Data Row 1)" outcome="Failed"/></InnerResults></UnitTestResult>
<UnitTestResult testId="4" testName="Slow" outcome="Timeout"/>
<UnitTestResult testId="5" testName="Later" outcome="NotExecuted"/>
</Results>
<TestDefinitions><UnitTest name="Plain" id="1"><TestMethod className="Ns.C" name="Plain"/></UnitTest>
<UnitTest name="Retried" id="2"><TestMethod className="Ns.C, Asm, Version=1.0" name="Retried"/></UnitTest>
</TestDefinitions>
<ResultSummary><RunInfos><RunInfo outcome="Error"><Text>[xUnit.net 00:00:00.39]  Ns.C.Retried [FAIL]</Text></RunInfo>
<RunInfo outcome="Error"><Text>The host ended unexpectedly.</Text></RunInfo></RunInfos></ResultSummary></TestRun>"""


def test_trx_says_rows_retries_and_what_befell_the_run() -> None:
    batch = read("\ufeff" + TRX)

    assert attempts(batch) == {
        "Plain": ["passed"],
        "Retried": ["failed", "passed"],
        "Rows (Data Row 0)": ["passed"],
        "Rows (Data Row 1)": ["failed"],
        "Rows": ["failed_by_child"],
        "Slow": ["error"],
        "Later": ["skipped"],
        "[run]": ["collection_error"],
    }
    assert rows(batch)["classname"].to_list()[:3] == ["Ns.C", "Ns.C", "Ns.C"]
    assert rows(batch)["duration_ms"].to_list()[:2] == [1500.0, 90_000_000.0]
    assert rows(batch)["suite_started_at"][0] == datetime(2026, 3, 1, 10)
    assert parents(batch)["Rows (Data Row 1)"] == "Rows"


NUNIT3 = """<test-run start-time="2026-03-01 12:00:00Z"><test-suite type="Assembly" fullname="a.dll">
<environment machine-name="pc"/><test-suite type="TestFixture" fullname="Ns.F">
<failure><message>child</message></failure>
<test-case name="Adds(1,&quot;a.b&quot;)" fullname="Ns.F.Adds(1,&quot;a.b&quot;)" classname="Ns.F" result="Passed"
 duration="0.5"/>
<test-case name="Bad" fullname="Ns.F.Bad" classname="Ns.F" result="Failed">
<failure><message>no</message></failure></test-case>
<test-case name="Boom" fullname="Ns.F.Boom" classname="Ns.F" result="Failed" label="Error"/>
<test-case name="Off" fullname="Ns.F.Off" classname="Ns.F" result="Skipped" label="Ignored"/>
</test-suite></test-suite></test-run>"""
NUNIT2 = """<test-results date="2026-03-01" time="12:00:00"><environment machine-name="pc"/>
<test-suite type="TestFixture" name="F"><results>
<test-case name="Ns.F.Adds(1,&quot;a.b&quot;)" executed="True" success="True" time="0.5"/>
<test-case name="Ns.F.Bad" executed="True" result="Failure" success="False">
<failure><message>no</message></failure></test-case>
<test-case name="Ns.F.Boom" executed="True" result="Error"/><test-case name="Ns.F.Off" executed="False"/>
</results></test-suite></test-results>"""
XUNIT = """<assemblies computer="pc"><assembly name="/builds/a.dll" run-date="2026-03-01" run-time="12:00:00">
<errors><error type="assembly-cleanup" name="Fixture"><failure><message>cleanup</message></failure></error></errors>
<collection><test name="Ns.F.Adds(1,&quot;a.b&quot;)" type="Ns.F" method="Adds" result="Pass" time="0.5"/>
<test name="Ns.F.Bad" type="Ns.F" method="Bad" result="Fail"><failure><message>no</message></failure></test>
<test name="Ns.F.Off" type="Ns.F" method="Off" result="Skip"><reason>later</reason></test></collection>
</assembly></assemblies>"""


@pytest.mark.parametrize(
    ("document", "kind", "extra"),
    [
        (NUNIT3, "nunit", {"Boom": ["error"]}),
        (NUNIT2, "nunit", {"Boom": ["error"]}),
        (XUNIT, "xunit", {"Fixture": ["collection_error"]}),
    ],
    ids=["NUnit 3", "NUnit 2", "xUnit.net 2"],
)
def test_dotnet_reports_name_fixture_and_method(document: str, kind: str, extra: dict[str, list[str]]) -> None:
    batch = read(document)

    assert attempts(batch) == {'Adds(1,"a.b")': ["passed"], "Bad": ["failed"], "Off": ["skipped"], **extra}
    adds = rows(batch).filter(pl.col("name").str.starts_with("Adds")).row(0, named=True)
    assert (adds["format"], adds["classname"], adds["duration_ms"], adds["hostname"]) == (kind, "Ns.F", 500.0, "pc")
    assert adds["suite_started_at"] == datetime(2026, 3, 1, 12)
    assert rows(batch).filter(pl.col("name") == "Bad")["message"].to_list() == ["no"]


@pytest.mark.parametrize("document", [TRX, NUNIT3, XUNIT], ids=["trx", "nunit", "xunit"])
def test_a_cut_off_dotnet_report_keeps_its_complete_tests(document: str) -> None:
    cut = document[: document.index("Off") if "Off" in document else document.index("Slow")]

    batch = read(cut)

    assert "passed" in rows(batch)["status"].to_list()
    assert "complete test cases before it are kept" in batch.rejected[0].reason


@pytest.mark.parametrize("root", ["TestRun", "test-run", "assemblies", "testsuites"])
def test_a_dtd_is_refused_in_every_xml_format(root: str) -> None:
    batch = read(f"<!DOCTYPE {root} [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><{root}>&x;</{root}>")

    assert rows(batch).is_empty()
    assert "DTD" in batch.rejected[0].reason


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xef\xbb\xbf<?xml version='1.0'?><!-- note --><testsuite/>", "junit"),
        ("<?xml version='1.0' encoding='utf-16'?><testsuites/>".encode("utf-16"), "junit"),
        (b"<x:assemblies xmlns:x='u'/>", "xunit"),
        (b'{"Action":"start","Package":"a"}\n', "go_test"),
        (b'{\n  "results": {', "ctrf"),
        (b'{"nodeid": ""}', None),
        (b"[1, 2]", None),
        (b"PK\x03\x04", None),
    ],
)
def test_the_format_is_told_by_structure(head: bytes, kind: str | None) -> None:
    assert sniff(head)[0] == kind


def test_a_large_report_is_read_in_parts_as_it_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reruns of pytest and a go parent are resolved across parts; only the batches differ."""
    cases = "".join(f"<testcase classname='c' name='t{n % 900}'/>" for n in range(1000))
    subtests = (
        "<testcase name='T/a'><failure/></testcase>"
        + "<testcase name='f'/>" * 500
        + "<testcase name='T'><failure/></testcase>"
    )
    go = f"<testsuite name='p'><properties><property name='go.version' value='1'/></properties>{subtests}</testsuite>"
    data = f"<testsuites><testsuite name='pytest' tests='900'>{cases}</testsuite>{go}</testsuites>".encode()
    whole = read(data)

    def blocks() -> Iterator[bytes]:
        yield from (data[at : at + 1000] for at in range(0, len(data), 1000))

    monkeypatch.setattr(test_results, "SMALL_BYTES", 5000)
    parts = list(decode_parts("report", blocks, TOLD))

    assert len(parts) > 20
    assert pl.concat([rows(part) for part in parts[1:]]).equals(rows(whole))
    assert rows(whole)["status"].value_counts().sort("status").rows() == [
        ("failed", 101),
        ("failed_by_child", 1),
        ("passed", 1400),
    ]


def test_lines_come_whole_out_of_any_blocks() -> None:
    data = b"one\ntwo\n\nthree"

    for size in range(1, len(data) + 1):
        blocks = [data[at : at + size] for at in range(0, len(data), size)]
        assert list(lines_of(blocks)) == data.split(b"\n")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-02T05:30:00", None),
        ("2026-03-01T23:30:00", datetime(2026, 3, 1, 23, 30)),
        ("2026-03-02T05:30:00Z", datetime(2026, 3, 2, 5, 30)),
        ("2026-03-12T05:30:00", datetime(2026, 3, 12, 5, 30)),
    ],
    ids=["local time in the east", "utc", "with its zone", "not a matter of zones"],
)
def test_a_zoneless_time_ahead_of_its_file_is_unknown(text: str, at: datetime | None) -> None:
    """Read as UTC it would lie hours in the future: it is the local time of a runner, and stays raw."""
    batch = read(f"<testsuite timestamp='{text}' hostname='h'><testcase name='t'/></testsuite>")

    assert rows(batch).select("suite_started_raw", "suite_started_at", "hostname").row(0) == (text, at, "h")


def test_a_test_that_failed_and_whose_teardown_failed_ran_once() -> None:
    """Two elements are written for it, and one is counted."""
    inner = (
        "<testcase classname='c' name='t'><failure message='assert'/></testcase>"
        "<testcase classname='c' name='t'><error message='failed on teardown with \"x\"'/></testcase>"
    )

    batch = read(f"<testsuite name='pytest' tests='1'>{inner}</testsuite>")

    assert attempts(batch) == {"t": ["error"]}


def test_subtests_do_not_hide_pytests_reruns() -> None:
    """Passed subtests count in `tests` and are listed nowhere, so the total may exceed the elements."""
    inner = "<testcase classname='c' name='t'/><testcase classname='c' name='t'/>"

    batch = read(f"<testsuite name='pytest' tests='5'>{inner}</testsuite>")

    assert attempts(batch) == {"t": ["failed", "passed"]}


GO = events(*ran("TestA", "pass"), *ran("TestB", "fail"), {"Action": "fail"})
CTRF = ctrf(*({"name": f"t{n}", "status": "passed", "duration": 1, "retries": 1} for n in range(4)))
JUNIT = b"".join(junit_corpus(2, 30)).decode()


@pytest.mark.parametrize(
    "document",
    [TRX, NUNIT3, NUNIT2, XUNIT, GO, CTRF, JUNIT],
    ids=["trx", "nunit 3", "nunit 2", "xunit", "go", "ctrf", "junit"],
)
def test_damage_never_crashes_a_reader(document: str) -> None:
    """A sample; many more seeds are swept over the collected reports in the end-to-end tests."""
    data = document.encode()

    for seed in range(60):
        batch = read(damaged(data, seed))

        assert rows(batch).schema == schema(RAW_TEST_RESULTS)


def test_the_measured_corpus_is_read_to_its_last_case() -> None:
    measured = measure(20, 50)

    assert measured.n_cases == 1000
    assert measured.cases_per_cpu_second > 0
