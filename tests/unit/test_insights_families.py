"""A small organisation in tables: what is planted is found, and what is shuffled is not.

Every query runs on tables of the declared contracts; nothing is known to the families but what stands in them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables import ALL as TABLES
from weaver_forge.insights.families import ALL
from weaver_forge.insights.finding import Report, judge, read
from weaver_forge.insights.hypothesis import CATEGORIES, Rows
from weaver_forge.insights.showing import report_data

START = datetime(2026, 1, 5)
DAYS = 42
END = START + timedelta(days=DAYS)
REPO = "host/shop"


def at(day: float, hours: float = 0.0) -> datetime:
    return START + timedelta(days=day, hours=hours)


def ask(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = con.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        for table in TABLES:
            if table.layer == "core" and not table.view:
                opened.execute(table.ddl)
        for name, frame in world(np.random.default_rng(4)).items():
            made = shaped(next(table for table in TABLES if table.name == name), frame)
            opened.register("made", made.to_arrow())
            opened.execute(f"insert into {name} by name select * from made")
            opened.unregister("made")
        yield opened


@pytest.fixture(scope="module")
def rows(con: duckdb.DuckDBPyConnection) -> dict[str, Rows | None]:
    present = [table.name for table in TABLES]
    return read(ALL, lambda sql: ask(con, sql), present, START)


@pytest.fixture(scope="module")
def report(rows: dict[str, Rows | None]) -> Report:
    return judge(ALL, rows, since=START, until=END)


def world(rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Forty-two days of a shop with one of everything that the families look for."""
    return {**_development(rng), **_production(rng), **_money(rng)}


def _development(rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    changes, files, blames, verdicts = [], [], [], []
    for i in range(210):
        revision, committed = f"{i:040x}", at(i / 5)
        hot = rng.random() < 0.25
        paths = ["src/hot.py" if hot else f"src/cold{rng.integers(6)}.py", f"docs/{rng.integers(9)}.md"]
        common = {
            "repo_id": REPO,
            "revision": revision,
            "author": "a",
            "committed_at": committed,
            "known_at": committed,
        }
        changes.append(
            {**common, "parent": "p", "subject": "s", "is_fix": False, "n_files": 2, "n_added": 9, "n_deleted": 1}
        )
        files += [{**common, "path": path, "n_added": 4, "n_deleted": 1} for path in paths]
        if rng.random() < (0.6 if hot else 0.08):
            blames.append({**common, "fix_revision": f"f{i}", "n_lines": 2, "method": "szz_blame"})
        pair = rng.random() < 0.05
        for test in range(25):
            is_pair = test in {3, 4}
            failed = pair if is_pair else rng.random() < 0.08 and test != 7
            verdict = "flaky" if rng.random() < (0.2 if test == 0 else 0.004) else "failed" if failed else "passed"
            verdicts.append({
                "repo_id": REPO, "run_id": f"r{i}", "revision": revision, "test_id": f"suite::test_{test}",
                "verdict": verdict, "n_attempts": 1, "run_ended_at": committed, "known_at": committed,
                "duration_ms": (90_000.0 if test == 7 else 100.0) * rng.lognormal(0, 0.1)
                * (1.05 ** (i / 5) if test == 9 else 1.0),
            })  # fmt: skip
    jobs = [
        {
            "repo_id": REPO, "job_id": f"{name}{day}-{hour}", "run_id": "r", "run_attempt": 1, "name": name,
            "conclusion": "success", "started_at": at(day, hour), "known_at": at(day, hour),
            "queued_ms": 20_000.0 * rng.lognormal(0, 0.1) * 1.03**day * (3.0 if hour == 9 else 1.0),
            "duration_ms": 300_000.0 * rng.lognormal(0, 0.1) * (1.03**day if name == "build" else 1.0),
        }
        for day in range(DAYS) for hour in (1, 5, 9, 13) for name in ("build", "lint")
    ]  # fmt: skip
    return {
        "core_changes__changes": pl.DataFrame(changes),
        "core_changes__files": pl.DataFrame(files),
        "core_changes__blames": pl.DataFrame(blames),
        "core_ci__test_verdicts": pl.DataFrame(verdicts),
        "core_ci__jobs": pl.DataFrame(jobs),
    }


def _production(rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    days = range(DAYS)
    minutes = [
        {
            "service_key": "s/web/p", "operation": name, "minute_at": at(day, hour), "n_requests": 500,
            "n_errors": int(rng.binomial(500, 0.01 + (0.002 * day if name == "GET /failing" else 0.0))),
            "duration_p50_ms": 5.0, "duration_p99_ms": 50.0, "known_at": at(day, hour),
            "duration_p95_ms": 20.0 * rng.lognormal(0, 0.1) * (1.02**day if name == "GET /slowing" else 1.0),
        }
        for day in days for hour in (3, 9, 15) for name in ("GET /slowing", "GET /failing", "GET /calm", "GET /still")
    ]  # fmt: skip
    red = [{k: v for k, v in row.items() if k != "operation"} for row in minutes if row["operation"] == "GET /calm"]
    edges = [
        {
            "caller_key": "s/web/p", "callee_key": callee, "hour_at": at(day, 3), "n_errors": 0, "duration_p95_ms": 3.0,
            "n_calls": int(1500 * a_request * rng.lognormal(0, 0.05)), "known_at": at(day, 3),
        }
        for day in days
        for callee, a_request in (("s/prices/p", 8.0), ("s/stock/p", 0.5 * 1.02**day), ("s/mail/p", 0.9))
    ]  # fmt: skip
    deployments, incidents = [], []
    for i in range(130):
        service = f"s/{'web' if i % 2 == 0 else 'api'}/p"
        started = at(i / 3.2)
        deployments.append({
            "service_key": service, "environment": "p", "version": str(i), "deployment_id": f"d{i}", "repo_id": REPO,
            "revision": "r", "status": "succeeded", "started_at": started, "known_at": started,
        })  # fmt: skip
        if rng.random() < (0.6 if i % 2 == 0 else 0.02):
            begins = started + timedelta(hours=1)
            incidents.append({
                "incident_id": f"i{i}", "service_key": service, "severity": "major", "title": "t", "started_at": begins,
                "known_at": begins,
            })  # fmt: skip
    findings = [
        {
            "service_key": "s/web/p", "day_at": at(day), "signal": "span", "finding_id": "deprecated",
            "level": "violation", "attribute": "http.method", "n": 40,
            "message": "m", "example": "e", "known_at": at(day),
        }
        for day in days
    ]  # fmt: skip
    quality = [
        {
            "service_key": "s/web/p", "day_at": at(day), "n_samples": 900, "n_violations": 40, "coverage": 1.0,
            "score": 0.99 - 0.005 * day + rng.normal(0, 0.01), "known_at": at(day),
        }
        for day in days
    ]  # fmt: skip
    return {
        "core_trace__operation_minutes": pl.DataFrame(minutes),
        "core_trace__red_minutes": pl.DataFrame(red),
        "core_trace__edges": pl.DataFrame(edges),
        "core_deployments__deployments": pl.DataFrame(deployments),
        "core_incidents__incidents": pl.DataFrame(incidents),
        "core_semantic__findings": pl.DataFrame(findings),
        "core_semantic__quality": pl.DataFrame(quality),
    }


def _money(rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    charges = [
        {
            "export": "e", "billing_period_start": START, "row_number": 3 * day + i, "provider_name": "p",
            "service_name": "s", "resource_id": f"//cloud/{name}", "charge_category": "Usage",
            "charge_period_start": at(day),
            "charge_period_end": at(day + 1), "billing_currency": "EUR", "known_at": at(day),
            "tags": '{"service": "web"}', "billed_cost": cost, "effective_cost": cost,
            "consumed_quantity": 0.0 if name == "idle" else 7.0,
        }
        for day in range(DAYS)
        for i, name in enumerate(("leak", "idle", "steady"))
        for cost in [round(10.0 * float(rng.lognormal(0, 0.05)) * (1.03**day if name == "leak" else 1.0), 4)]
    ]  # fmt: skip
    return {"core_cost__charges": pl.DataFrame(charges)}


def found(report: Report, family: str) -> list[dict[str, str]]:
    return [dict(each.subject) for each in report.insights if each.family == family]


@pytest.mark.parametrize(
    ("family", "column", "value"),
    [
        ("flaky_tests", "test_id", "suite::test_0"),
        ("slow_tests_that_rarely_fail", "test_id", "suite::test_7"),
        ("slowing_tests", "test_id", "suite::test_9"),
        ("tests_that_fail_together", "other_test_id", "suite::test_4"),
        ("changes_blamed_later", "path", "src/hot.py"),
        ("slowing_jobs", "name", "build"),
        ("growing_queues", "repo_id", REPO),
        ("waiting_hours", "from_hour", "8"),
        ("slowing_operations", "operation", "GET /slowing"),
        ("failing_operations", "operation", "GET /failing"),
        ("fan_out", "callee_key", "s/prices/p"),
        ("chattier_edges", "callee_key", "s/stock/p"),
        ("deployments_that_hurt", "service_key", "s/web/p"),
        ("growing_charges", "resource_id", "//cloud/leak"),
        ("charges_beyond_traffic", "resource_id", "//cloud/leak"),
        ("idle_charges", "resource_id", "//cloud/idle"),
        ("lasting_violations", "attribute", "http.method"),
        ("falling_quality", "service_key", "s/web/p"),
    ],
)
def test_what_was_planted_is_found_and_nothing_beside_it(report: Report, family: str, column: str, value: str) -> None:
    assert [subject.get(column) for subject in found(report, family)] == [value]


def test_every_family_is_asked_and_says_what_is_exchanged(report: Report) -> None:
    assert [each.name for each in report.families if not each.n_hypotheses] == []
    assert all(each.unit and each.question for each in report.families)
    assert {each.category for each in report.families} == set(CATEGORIES)


def test_every_insight_has_an_interval_evidence_with_n_and_a_query_that_gives_rows(
    report: Report, con: duckdb.DuckDBPyConnection
) -> None:
    for each in report.insights:
        assert each.effect.low <= each.effect.value <= each.effect.high
        assert each.evidence
        assert all(fact.n > 0 for fact in each.evidence)
        assert ask(con, each.query)
        assert 0.95 <= each.confidence < 1


def test_no_insight_claims_a_cause(report: Report) -> None:
    said = " ".join(f"{each.description} {each.impact.text}" for each in report.insights)

    assert not re.search(r"because|caus|due to|leads to|reason", said)


def test_the_same_rows_give_the_same_answer(rows: dict[str, Rows | None], report: Report) -> None:
    again = judge(ALL, rows, since=START, until=END)

    assert report_data(again) == report_data(report)


def test_shuffled_data_give_an_insight_in_at_most_one_run_of_twenty(rows: dict[str, Rows | None]) -> None:
    """All families together, every one with its units exchanged; 300 runs gave none."""
    rng = np.random.default_rng(17)
    runs = 12

    with_any = 0
    for _ in range(runs):
        drawn = {f.name: f.shuffle(own, rng) if (own := rows[f.name]) is not None else None for f in ALL}
        with_any += bool(judge(ALL, drawn, since=START, until=END).insights)

    assert with_any <= 0.05 * runs


def test_a_category_is_told_apart_but_judged_with_all_others(report: Report) -> None:
    cost = report_data(report, ["cost"])

    assert {each["category"] for each in cost["insights"]} == {"cost"}
    assert cost["n_hypotheses"] == report.n_hypotheses
    assert cost["n_insights"] == len(report.insights)


def test_where_there_is_no_table_or_too_little_of_it_words_say_so() -> None:
    none = {family.name: None for family in ALL}
    little = {family.name: [] for family in ALL}

    nowhere = judge(ALL, none, since=START, until=END)
    hardly = judge(ALL, little, since=START, until=END)

    assert nowhere.insights == hardly.insights == ()
    assert all("no data: " in each.missing for each in nowhere.families)
    assert all(re.search(r"insufficient data: 0 of \d+", each.missing) for each in hardly.families)


def test_an_insight_keeps_its_name_when_others_come_and_go(rows: dict[str, Rows | None], report: Report) -> None:
    alone = tuple(family for family in ALL if family.category == "cost")

    names = {each.insight_id for each in judge(alone, rows, since=START, until=END).insights}

    assert {each.insight_id for each in report.insights if each.category == "cost"} <= names


def test_a_family_is_data(report: Report) -> None:
    """Another question is a family more: nothing else has to know of it."""
    more = replace(ALL[0], name="flaky_tests_again")

    assert more.query(START).count("timestamp '2026-01-05 00:00:00'") == 1
    assert "$since" not in more.query(START)


def test_of_a_huge_history_the_newest_revisions_are_taken(con: duckdb.DuckDBPyConnection) -> None:
    """The 5,250 results of 210 revisions; where 1,000 are the most, the newest 40 revisions with their 25 tests."""
    family = ALL[0]

    kept = ask(con, family.query(START).replace("3000000", "1000"))

    assert {len(row["revisions"]) for row in kept} == {40}
    assert {min(row["revisions"]) for row in kept} == {171}
