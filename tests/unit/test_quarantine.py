"""Quarantine: held until a date and no longer, proposed on evidence, kept out of labels, and never failing open."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from models import test_selection
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.errors import SourceError
from weaver_forge.hooks.publishing_quarantine import publish_quarantine
from weaver_forge.hooks.quarantine import FILE, UNSTABLE_SQL, held, of_one_repository, proposals, read_quarantine
from weaver_forge.hooks.quarantine_verdict import verdict_of
from weaver_forge.hooks.quarantined_failures import QuarantinedFailures
from weaver_forge.ledger import Ledger

NOW = datetime(2026, 3, 6, 15)
DAY = timedelta(days=1)
KIND = test_selection.SPEC.kinds[0]


def row(test: str = "t::a", state: str = "in", at: datetime = NOW - DAY, until: datetime | None = NOW + DAY) -> Any:
    return {
        "repo_id": "h/o/n", "test_id": test, "state": state, "reason": "why", "actor": "ann", "made_at": at,
        "expires_at": until if state == "in" else None, "evidence": None,
    }  # fmt: skip


def names(rows: list[Any], now: datetime = NOW) -> list[str]:
    return [one.test_id for one in held(rows, now)]


def test_a_test_is_held_from_its_entry_to_its_date_and_counts_again_then() -> None:
    rows = [row(at=NOW, until=NOW + DAY)]

    assert [names(rows, at) for at in (NOW - DAY, NOW, NOW + DAY - timedelta(seconds=1), NOW + DAY)] == [
        [], ["t::a"], ["t::a"], [],
    ]  # fmt: skip


def test_the_newest_word_holds() -> None:
    out, again = row(state="out", at=NOW - DAY / 2), row(at=NOW - DAY / 4)

    assert names([row(), out]) == []
    assert names([row(), out, again]) == ["t::a"]


def test_entries_of_several_repositories_excuse_nothing_by_a_tests_id_alone() -> None:
    one, other = held([row()], NOW), held([{**row(), "repo_id": "h/o/other"}], NOW)

    assert of_one_repository(one) == (one, "")
    inside, why = of_one_repository((*one, *other))
    assert not inside
    assert "several repositories" in why


def test_what_was_published_is_read_without_a_ledger_and_expires_by_itself(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        ledger.append("quarantines", [row(), row("t::b", until=NOW + 9 * DAY)], now=NOW)
        publish_quarantine(tmp_path / "published", ledger, now=NOW)

    now, _ = read_quarantine(tmp_path / "published", NOW, "h/o/n")
    later, _ = read_quarantine(tmp_path / "published", NOW + 2 * DAY)
    elsewhere, _ = read_quarantine(tmp_path / "published", NOW, "h/o/other")

    assert [one.test_id for one in now] == ["t::a", "t::b"]
    assert [one.test_id for one in later] == ["t::b"]
    assert elsewhere == ()


def test_a_list_that_cannot_be_read_holds_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"quarantined": [{"test_id": 1')

    found, problem = read_quarantine(tmp_path, NOW)

    assert found == ()
    assert "no test is in quarantine" in problem
    assert read_quarantine(tmp_path / "missing", NOW) == ((), "")


def verdicts(*said: tuple[str, str, str, int]) -> pl.DataFrame:
    """Verdicts of (run, revision, verdict, hours ago) of one test."""
    rows = [
        {
            "repo_id": "h/o/n", "run_id": run, "revision": revision, "test_id": "t::a", "verdict": verdict,
            "n_attempts": 1, "run_ended_at": NOW - timedelta(hours=ago), "known_at": NOW - timedelta(hours=ago),
        }
        for run, revision, verdict, ago in said
    ]  # fmt: skip
    return shaped(BY_NAME["core_ci__test_verdicts"], pl.DataFrame(rows))


def proposed(frame: pl.DataFrame, **more: Any) -> list[Any]:
    with duckdb.connect() as con:
        con.register("core_ci__test_verdicts", frame.to_arrow())
        cursor = con.execute(UNSTABLE_SQL, [NOW - 30 * DAY, "", ""])
        columns = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
    return list(proposals(rows, **more))


def test_a_test_that_came_out_both_ways_twice_is_proposed_with_what_shows_it() -> None:
    frame = verdicts(
        ("1", "r1", "flaky", 50), ("2", "r2", "failed", 40), ("3", "r2", "passed", 30), ("4", "r3", "passed", 20)
    )

    (one,) = proposed(frame)

    assert (one.n_runs, one.n_failed, one.n_flaky, one.n_disagreed) == (4, 1, 1, 1)
    assert one.examples == ("r2", "r1")
    assert one.words == (
        "attempts disagreed in 1 and runs of one revision disagreed on 1 of 4 runs, last 2026-03-05: r2, r1"
    )


@pytest.mark.parametrize(
    "said",
    [
        [("1", "r1", "flaky", 5)],  # once may have been the machine
        [("1", "r1", "failed", 5), ("2", "r2", "failed", 4), ("3", "r3", "failed", 3)],  # broken, not flaky
        [("1", "r1", "failed", 5), ("2", "r2", "passed", 4), ("3", "r3", "failed", 3)],  # broken and mended
        [("1", "r1", "flaky", 24 * 40), ("2", "r2", "flaky", 24 * 41)],  # long ago
    ],
)
def test_what_is_not_shown_to_be_flaky_is_not_proposed(said: list[tuple[str, str, str, int]]) -> None:
    assert proposed(verdicts(*said)) == []


def test_what_is_in_quarantine_is_not_proposed_again() -> None:
    frame = verdicts(("1", "r1", "flaky", 5), ("2", "r2", "flaky", 4))

    assert len(proposed(frame)) == 1
    assert proposed(frame, already=held([row()], NOW)) == []


def labelled(quarantines: list[Any], verdict: str = "failed") -> dict[str, Any]:
    """The label of a test that ran an hour ago."""
    said = [{**one, "known_at": one["made_at"]} for one in quarantines]
    table = BY_NAME["core_ci__quarantines"]
    tables = {
        "core_ci__test_verdicts": verdicts(("1", "r1", verdict, 1)),
        table.name: shaped(table, pl.DataFrame(said, infer_schema_length=None)) if said else empty(table),
    }
    subject = pl.DataFrame(
        {"repo_id": ["h/o/n"], "revision": ["r1"], "test_id": ["t::a"], "predicted_at": [NOW - timedelta(hours=2)]},
        schema_overrides={"predicted_at": pl.Datetime("us")},
    )
    return KIND.labels(tables, subject, NOW).row(0, named=True)


def test_a_failure_in_quarantine_is_no_failure_to_learn_from_and_stays_on_record() -> None:
    inside = labelled([row(at=NOW - DAY)])

    assert (inside["outcome"], inside["maturity"]) == (0.0, "mature")
    assert inside["link_method"] == "revision:failed in quarantine, flaky"


@pytest.mark.parametrize(
    "quarantines",
    [
        [],
        [row(until=NOW - timedelta(hours=3))],
        [row(at=NOW - timedelta(minutes=5))],
        [row("t::other")],
        [row(), row(state="out", at=NOW - timedelta(hours=2))],
    ],
    ids=["never", "expired", "put in afterwards", "another test", "let out before"],
)
def test_a_failure_outside_its_time_in_quarantine_counts(quarantines: list[Any]) -> None:
    assert labelled(quarantines)["outcome"] == pytest.approx(1.0)


def test_a_pass_in_quarantine_is_a_pass() -> None:
    label = labelled([row()], "passed")

    assert (label["outcome"], label["link_method"]) == (0.0, "revision:verdict")


@pytest.mark.parametrize(
    ("failures", "code", "excused"),
    [
        ([("t.py::a", ("t::a",))], 1, True),
        ([("t.py::a", ("t::a",)), ("t.py::b", ("t::b",))], 1, False),
        ([("t.py::a", ("t::a",)), ("broken.py", ())], 1, False),
        ([("t.py::a", ("t::a",))], 2, False),
        ([], 1, False),
    ],
    ids=["alone", "with another", "with a file that was not collected", "interrupted", "failed for something else"],
)
def test_a_run_is_excused_only_where_nothing_else_failed(
    failures: list[tuple[str, tuple[str, ...]]], code: int, excused: bool
) -> None:
    run = QuarantinedFailures({"t::a": NOW})
    for nodeid, called in failures:
        run.failed(nodeid, called)

    assert run.excuses(code) is excused


JUNIT = """<testsuite name="s" tests="2"><testcase classname="t" name="a"><failure message="x"/></testcase>
<testcase classname="t" name="{other}">{said}</testcase></testsuite>"""


def test_reports_with_nothing_but_quarantined_failures_pass(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT.format(other="b", said=""))

    found = verdict_of([report], held([row()], NOW), NOW)

    assert (found.counts, found.n_tests) == ((), 2)
    assert list(found.excused) == ["t::a"]
    assert "failed in quarantine: t::a (until 2026-03-07: why)" in found.lines()[1]


def test_another_failure_counts(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT.format(other="b", said="<error message='y'/>"))

    assert verdict_of([report], held([row()], NOW), NOW).counts == ("t::b",)
    assert verdict_of([report], (), NOW).counts == ("t::a", "t::b")


@pytest.mark.parametrize("content", ["<testsuite name='s' tests='0'></testsuite>", "no report", JUNIT[:80]])
def test_reports_that_prove_nothing_are_an_error_and_no_green(tmp_path: Path, content: str) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(content)

    with pytest.raises(SourceError):
        verdict_of([report], (), NOW)


def test_the_published_list_is_plain_json(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        ledger.append("quarantines", [row()], now=NOW)
        publish_quarantine(tmp_path, ledger, now=NOW)

    (one,) = json.loads((tmp_path / FILE).read_text())["quarantined"]

    assert (one["test_id"], one["expires_at"], one["actor"]) == ("t::a", "2026-03-07T15:00:00Z", "ann")
