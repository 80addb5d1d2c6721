"""JUnit reports are read as what happened, not as what the elements look like."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.settings import test_data as outside_data

FIXTURES = Path(__file__).parents[1] / "fixtures" / "junit"
RECEIVED = datetime(2026, 3, 2)
SHA = "0123456789abcdef0123456789abcdef01234567"


def read(data: bytes | str, **context: str) -> Batch:
    raw = data.encode() if isinstance(data, str) else data
    return decode([Frame("report.xml", raw)], Told(received_at=RECEIVED, **context))


def rows(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_TEST_RESULTS.name]


def attempts(batch: Batch) -> dict[str, list[str]]:
    grouped = rows(batch).sort("position", "attempt").group_by("name", maintain_order=True).agg("status")
    return dict(grouped.iter_rows())


def cases(inner: str, attributes: str = "") -> str:
    return f"<testsuite name='s' {attributes}>{inner}</testsuite>"


def test_bare_repeats_of_pytest_are_failed_attempts() -> None:
    """pytest-rerunfailures writes a failed attempt as an element without children: it looks passed."""
    batch = read((FIXTURES / "pytest-reruns.xml").read_bytes())

    assert attempts(batch) == {
        "tests.test_broken": ["collection_error"],
        "test_flaky": ["failed", "passed"],
        "test_bad[1-c::d]": ["failed", "failed"],
        "test_skip": ["skipped"],
        "test_xfail": ["xfailed"],
        "test_xpass": ["xpassed"],
        "test_fine": ["passed"],
    }
    assert batch.rejected == ()


def test_suite_properties_and_times_reach_every_row() -> None:
    frame = rows(read((FIXTURES / "pytest-reruns.xml").read_bytes()))

    assert frame.schema == schema(RAW_TEST_RESULTS)
    assert frame["revision"].unique().to_list() == [SHA]
    assert frame["run_id"].unique().to_list() == ["77"]
    assert frame["hostname"].unique().to_list() == ["runner-1"]
    assert frame["suite_started_raw"].unique().to_list() == ["2026-03-01T12:00:00.500000+01:00"]
    assert frame["suite_started_at"].unique().to_list() == [datetime(2026, 3, 1, 11, 0, 0, 500000)]
    assert frame["received_at"].unique().to_list() == [RECEIVED]


def test_the_file_of_a_nodeid_ends_at_its_first_separator() -> None:
    """Parameters may hold `::` themselves."""
    frame = rows(read((FIXTURES / "pytest-reruns.xml").read_bytes()))

    assert frame.filter(pl.col("name").str.starts_with("test_bad"))["file"][0] == "tests/test_a.py"


def test_surefire_reruns_are_attempts_in_their_order() -> None:
    """A flaky child came before the pass; a rerun child came after the failure. Suite totals count attempts."""
    batch = read((FIXTURES / "surefire-reruns.xml").read_bytes())

    assert attempts(batch) == {
        "adds": ["passed"],
        "pays": ["failed", "failed", "error"],
        "later": ["skipped"],
        "races": ["failed", "passed"],
    }
    races = rows(batch).filter(pl.col("name") == "races")
    assert races["attempt"].to_list() == [1, 2]
    assert races["duration_ms"].to_list() == [None, 1_000_500.0]
    assert races["message"].to_list() == ["first", None]


def test_the_worst_child_decides_the_status() -> None:
    inner = "<testcase name='t'><skipped/><error message='e'/><failure message='f'/></testcase>"

    frame = rows(read(cases(inner)))

    assert frame["status"].to_list() == ["error"]
    assert frame["message"].to_list() == ["e"]


def test_repeats_of_other_runners_are_attempts_as_they_stand() -> None:
    inner = "<testcase name='t' classname='c'><failure/></testcase><testcase name='t' classname='c'/>"

    batch = read(cases(inner))

    assert attempts(batch) == {"t": ["failed", "passed"]}
    assert rows(batch)["attempt"].to_list() == [1, 2]


def test_pytest_repeats_that_its_totals_explain_stay_passed() -> None:
    inner = "<testcase name='t'/><testcase name='t'/>"

    batch = read(f"<testsuite name='pytest' tests='2'>{inner}</testsuite>")

    assert attempts(batch) == {"t": ["passed", "passed"]}


def test_a_case_that_was_not_run_is_skipped() -> None:
    inner = "<testcase name='DISABLED_t' status='notrun'/><testcase name='u' status='run'/>"

    assert attempts(read(cases(inner))) == {"DISABLED_t": ["skipped"], "u": ["passed"]}


def test_nested_suites_inherit_and_override() -> None:
    batch = read(
        "<testsuites timestamp='2026-01-01T00:00:00'><testsuite name='outer' hostname='h'>"
        "<testcase name='a'/><testsuite name='inner' timestamp='2026-01-02'><testcase name='b'/></testsuite>"
        "<testcase name='c'/></testsuite></testsuites>"
    )

    picked = rows(batch).select("name", "suite", "hostname", "suite_started_at").rows()
    assert picked == [
        ("a", "outer", "h", datetime(2026, 1, 1)),
        ("b", "inner", "h", datetime(2026, 1, 2)),
        ("c", "outer", "h", datetime(2026, 1, 1)),
    ]


def test_what_the_caller_says_holds_over_properties() -> None:
    other = "f" * 40
    batch = read((FIXTURES / "pytest-reruns.xml").read_bytes(), revision=other, run_id="9", repo_id="example.org/a/b")

    first = rows(batch).row(0, named=True)
    assert (first["revision"], first["run_id"], first["repo_id"]) == (other, "9", "example.org/a/b")
    assert first["context"] == Told(received_at=RECEIVED, revision=other, run_id="9", repo_id="example.org/a/b").context
    assert json.loads(first["context"]) == {"repo_id": "example.org/a/b", "revision": other, "run_id": "9"}


def test_a_version_named_revision_is_no_commit() -> None:
    """Maven's `revision` property is a version; linking by it would invent a commit."""
    inner = "<properties><property name='revision' value='1.0-SNAPSHOT'/></properties><testcase name='t'/>"

    batch = read(cases(inner))

    assert rows(batch)["revision"].to_list() == [None]


@pytest.mark.parametrize(
    ("name", "value", "repo_id"),
    [
        ("GITHUB_REPOSITORY", "Acme/shop", "github.com/Acme/shop"),
        ("repository", "git@GitHub.com:acme/shop.git", "github.com/acme/shop"),
        ("repo", "github.com/acme/shop", "github.com/acme/shop"),
    ],
)
def test_a_repository_property_is_normalised(name: str, value: str, repo_id: str) -> None:
    inner = f"<properties><property name='{name}'>{value}</property></properties><testcase name='t'/>"

    assert rows(read(cases(inner)))["repo_id"].to_list() == [repo_id]


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE t [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><testsuite><testcase name='&x;'/></testsuite>",
        "<!DOCTYPE t [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><testsuite><testcase name='&b;'/></testsuite>",
        "<!DOCTYPE t SYSTEM 'http://example.invalid/t.dtd'><testsuite><testcase name='t'/></testsuite>",
    ],
    ids=["external entity", "entity bomb", "external subset"],
)
def test_a_dtd_is_refused_with_the_file(document: str) -> None:
    batch = read(document)

    assert rows(batch).is_empty()
    assert "DTD" in batch.rejected[0].reason


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ("<robot/>", "Robot Framework"),
        ("<Site/>", "CTest"),
        ("<nonsense/>", "no format"),
        ("", "empty"),
        ("{}", "JSON, but neither"),
        ("plain text", "neither JSON nor XML"),
    ],
)
def test_a_format_that_is_not_read_is_rejected_by_its_name(document: str, kind: str) -> None:
    batch = read(document)

    assert rows(batch).is_empty()
    assert kind in batch.rejected[0].reason


def test_a_truncated_file_keeps_its_complete_cases() -> None:
    batch = read("<testsuite name='s'><testcase name='a'/><testcase name='b'><failure mess")

    assert attempts(batch) == {"a": ["passed"]}
    (piece,) = batch.rejected
    assert "the one complete test case before it is kept" in piece.reason
    assert piece.raw == "<testcase name='b'><failure mess"


def test_a_nameless_case_is_rejected_alone() -> None:
    batch = read(cases("<testcase/><testcase name='a'/>"))

    assert attempts(batch) == {"a": ["passed"]}
    assert rows(batch)["position"].to_list() == [1]
    assert [piece.position for piece in batch.rejected] == ["test case 0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.5", 500.0), ("2,503.1", 2_503_100.0), ("0,014", 14.0), ("11:18:43", None), ("-3", None), ("nan", None)],
)
def test_durations_are_read_or_null_but_never_guessed(text: str, expected: float | None) -> None:
    batch = read(cases(f"<testcase name='t' time='{text}'/>"))

    assert rows(batch)["duration_ms"].to_list() == [expected]
    assert bool(batch.notes) == (expected is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T17:20:11", datetime(2026, 11, 22, 17, 20, 11)),
        ("2026-11-22T17:20:11Z", datetime(2026, 11, 22, 17, 20, 11)),
        ("2026-11-22T17:20:11.852Z", datetime(2026, 11, 22, 17, 20, 11, 852000)),
        ("2026-11-22T17:20:11.852800+02:00", datetime(2026, 11, 22, 15, 20, 11, 852800)),
        ("2026-11-22T17:20:11.1234567Z", datetime(2026, 11, 22, 17, 20, 11, 123456)),
        ("2026-11-22 17:20:11Z", datetime(2026, 11, 22, 17, 20, 11)),
        ("2026-11-22T17:20:11 UTC", datetime(2026, 11, 22, 17, 20, 11)),
        ("2026-11-22T 17:20:11", datetime(2026, 11, 22, 17, 20, 11)),
        ("2026-11-22", datetime(2026, 11, 22)),
        ("Sat, 03 Dec 2022 23:10:07 GMT", datetime(2022, 12, 3, 23, 10, 7)),
        ("20210319 11:34:50.087", datetime(2021, 3, 19, 11, 34, 50, 87000)),
        ("1795368712658", datetime(2026, 11, 22, 17, 31, 52, 658000)),
        ("06/15/2018 18:09:29", datetime(2018, 6, 15, 18, 9, 29)),
        ("06/07/2018 18:09:29", None),
        ("9999-12-31T23:59:59-10:00", None),
        ("yesterday", None),
    ],
)
def test_instants_of_all_producers_become_utc(text: str, expected: datetime | None) -> None:
    """Ambiguous ones stay unknown: June 7 and July 6 are not a choice to make silently."""
    assert parse_instant(text) == expected


GOOD = b"".join(b"<testcase classname='c' name='t%d' time='0.%d'/>" % (n, n) for n in range(20))
DOCUMENT = b"<testsuite name='s' tests='20'>" + GOOD + b"</testsuite>"


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(DOCUMENT)))
def test_cutting_a_report_never_changes_the_rows_before_the_cut(cut: int) -> None:
    """Every case that ends before the cut is there unchanged, and nothing else is."""
    whole = rows(read(DOCUMENT)).drop("report_sha256")
    n_complete = DOCUMENT[:cut].count(b"/>")

    kept = rows(read(DOCUMENT[:cut])).drop("report_sha256")

    assert kept.equals(whole.head(n_complete))


@settings(max_examples=80, deadline=None)
@given(position=st.integers(0, len(DOCUMENT) - 1), noise=st.binary(min_size=1, max_size=6))
def test_damage_never_crashes_and_never_reaches_back(position: int, noise: bytes) -> None:
    whole = rows(read(DOCUMENT)).drop("report_sha256")
    n_before = DOCUMENT[:position].count(b"/>")
    damaged = DOCUMENT[:position] + noise + DOCUMENT[position + len(noise) :]

    batch = read(damaged)

    if position > 40:
        kept = rows(batch).drop("report_sha256").head(n_before)
        assert kept.equals(whole.head(n_before))


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=200))
def test_any_bytes_give_a_batch(noise: bytes) -> None:
    batch = read(noise)

    assert rows(batch).is_empty()
    assert batch.rejected


def outside(folder: str) -> Path:
    root = outside_data()
    if root is None or not (root / "fixtures" / folder).is_dir():
        pytest.skip(f"needs fixtures/{folder} of WEAVER_FORGE_TEST_DATA")
    return root / "fixtures" / folder


def verdicts(batch: Batch) -> Counter[str]:
    """Passed, flaky, failed or skipped a test, by hand: the truth is stated so."""
    counted: Counter[str] = Counter()
    for statuses in attempts(batch).values():
        passed, failed = "passed" in statuses, bool({"failed", "error", "xpassed"} & set(statuses))
        counted["flaky" if passed and failed else "passed" if passed else "failed" if failed else "skipped"] += 1
    return counted


@pytest.mark.outside
def test_the_captured_pytest_rerun_report_has_its_known_truth() -> None:
    """4 passed of which 1 flaky, 4 failed, 2 skipped; plain readers count 9 passed."""
    report = outside("junit-captured") / "pytest9.2-xunit2-rerunfailures16.7.xml"

    assert verdicts(read(report.read_bytes())) == {"passed": 3, "flaky": 1, "failed": 4, "skipped": 2}


@pytest.mark.outside
def test_the_captured_surefire_rerun_report_has_its_known_truth() -> None:
    report = outside("junit-captured") / "surefire2.22.3-rerun2-TEST-org.ex.FlakyTest.xml"

    assert verdicts(read(report.read_bytes())) == {"passed": 1, "flaky": 1, "failed": 1, "skipped": 1}


@pytest.mark.outside
def test_no_collected_report_crashes_and_keys_stay_unique() -> None:
    root = outside("junit-captured").parent
    reports = [p for pattern in ("junit*", "testrunners*") for p in root.glob(f"{pattern}/*.xml")]

    batch = decode([Frame(path.name, path.read_bytes()) for path in reports], Told(received_at=RECEIVED))

    frame = rows(batch)
    key = list(RAW_TEST_RESULTS.key)
    distinct_reports = {path.read_bytes() for path in reports}
    assert frame["report_sha256"].n_unique() <= len(distinct_reports)
    assert frame.unique(["report_sha256", *key[1:]]).height >= 12_000
    assert not frame["status"].is_in(["passed", "failed", "error", "skipped"]).all()
    assert len(batch.rejected) < 80


@pytest.mark.outside
def test_counts_agree_with_the_expected_results_beside_the_reports() -> None:
    """Two files differ by intent: cases without any name, and totals without any case."""
    folder = outside("junit-enricomi")
    by_intent = {"junit-xml_no-attributes.xml", "junit-xml_no-cases-but-tests.xml"}
    different = set()
    for path in folder.glob("junit-xml_*.xml"):
        oracle = path.with_name(f"{path.stem}.results.json")
        stats = json.loads(oracle.read_bytes()).get("stats") if oracle.exists() else None
        if not stats or stats["errors"]:
            continue
        frame = rows(read(path.read_bytes()))
        counted = Counter(frame.sort("attempt").group_by("position").agg(pl.last("status"))["status"])
        mine = (counted["passed"], counted["skipped"] + counted["xfailed"])
        if mine not in {(stats[f"{unit}_succ"], stats[f"{unit}_skip"]) for unit in ("tests", "runs")}:
            different.add(path.name)

    assert different == by_intent
