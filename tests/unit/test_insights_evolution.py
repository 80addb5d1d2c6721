"""A plan: what the budget buys, what nobody can estimate, and checks that say whether it came true."""

from datetime import datetime
from itertools import chain, combinations
from typing import Any

import duckdb
import numpy as np
import pytest

from weaver_forge.contracts.tables import ALL as TABLES
from weaver_forge.errors import UsageError
from weaver_forge.insights.evolution import check_queries, hot_spots
from weaver_forge.insights.evolution.checks import judged
from weaver_forge.insights.evolution.choosing import chosen
from weaver_forge.insights.evolution.item import AREAS, Check, Estimate, Item

DONE = datetime(2026, 2, 1)
NEVER = Check(text="t", query="select 0 as n, null as value", below=1.0, least=1, noun="days")


def item(reach: float | None, effort: float, name: str = "x", path: str = "") -> Item:
    estimate = Estimate(text="not estimable: x") if reach is None else Estimate(
        reach=reach, low=0.0, high=2 * reach, unit="bugs", share=1 / 6, text="t"
    )  # fmt: skip
    return Item(
        area="process", kind=name, subject={"path": path} if path else {}, what="w", effect=estimate,
        effort_hours=effort, check=NEVER, way_back="b",
    )  # fmt: skip


def asked(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = con.execute(sql)
    return [dict(zip([c[0] for c in cursor.description or ()], row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    for table in TABLES:
        if table.layer == "core" and not table.view:
            opened.execute(table.ddl)
    return opened


def test_the_budget_buys_what_no_other_set_beats() -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        items = [item(float(rng.uniform(1, 9)), float(rng.integers(1, 20)) / 4, f"k{i}") for i in range(9)]
        budget = float(rng.integers(4, 40)) / 4

        found = chosen(items, budget)

        sets = chain.from_iterable(combinations(range(9), size) for size in range(10))
        best = max(
            sum(items[i].effect.hours or 0 for i in each)
            for each in sets
            if sum(items[i].effort_hours for i in each) <= budget
        )
        assert sum(items[i].effort_hours for i in found) <= budget
        assert sum(items[i].effect.hours or 0 for i in found) == pytest.approx(best)


def test_of_two_things_to_do_to_one_file_only_the_better_is_bought() -> None:
    items = [item(5.0, 2.0, "split", "src/a.py"), item(9.0, 2.0, "protect", "src/a.py"), item(1.0, 2.0, "other")]

    assert chosen(items, 100.0) == [1, 2]


def test_what_nobody_can_estimate_is_never_bought_and_never_a_number() -> None:
    items = [item(None, 1.0), item(0.0, 1.0, "y")]

    assert items[0].effect.hours is None
    assert chosen(items, 100.0) == []
    with pytest.raises(UsageError):
        chosen(items, -1.0)


@pytest.mark.parametrize(
    ("n", "value", "state", "text"),
    [
        (30, 0.1, "came true", "0.1 over 30 changes, below 0.5"),
        (30, 0.5, "did not come true", "0.5 over 30 changes, not below 0.5"),
        (4, 0.1, "insufficient data", "insufficient data: 4 of 12 changes"),
        (30, None, "insufficient data", "insufficient data: 30 of 12 changes"),
    ],
)
def test_a_check_says_whether_it_came_true_or_how_many_are_missing(
    n: int, value: float | None, state: str, text: str
) -> None:
    check = {"query": "since $done", "below": 0.5, "least": 12, "noun": "changes"}

    found = judged(check, DONE, lambda sql: [{"n": n, "value": value}] if "timestamp '2026-02-01" in sql else [])

    assert (found.state, found.text) == (state, text)


@pytest.mark.parametrize(
    "check",
    [
        check_queries.flaky_less("r", "it's a test", 0.02),
        check_queries.failing_less("r", "t", 0.02),
        check_queries.faster("s", "GET /"),
        check_queries.blamed_less(),
        check_queries.blamed_less("src/it's.py", "r"),
        check_queries.deployed_better(),
        check_queries.found_less("user.email", "", 0.01),
        check_queries.found_less("http.method", "deprecated", 0.1),
        check_queries.known_to_more("r", "p"),
        check_queries.apart("r", "a/b", "c/d"),
    ],
    ids=lambda check: check.text[:30],
)
def test_every_check_runs_and_knows_nothing_of_empty_tables(check: Check, con: duckdb.DuckDBPyConnection) -> None:
    found = judged(
        {"query": check.query, "below": check.below, "least": check.least, "noun": check.noun},
        DONE,
        lambda sql: asked(con, sql),
    )

    assert found.text == f"insufficient data: 0 of {check.least} {check.noun}"


def test_the_rate_of_blame_is_compared_with_the_sixty_days_before_and_leaves_out_the_newest(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """Before: 8 of 20 blamed. After: 2 of 20. The newest two weeks, in which blame is still to come, do not count."""
    con.execute("""
        insert into core_changes__changes (repo_id, revision, author, committed_at, subject, is_fix, n_files, n_added,
            n_deleted, known_at)
        select 'r', i, 'a', timestamp '2026-01-12' + interval (i) days, 's', false, 1, 1, 1, timestamp '2026-01-12'
        from range(60) t(i)
    """)
    con.execute("""
        insert into core_changes__files select 'r', revision, 'src/hot.py', 1, 1, 'a', committed_at, known_at
        from core_changes__changes
    """)
    con.execute("""
        insert into core_changes__blames select 'r', revision, 'f' || revision, 1, 'szz_blame', known_at
        from core_changes__changes where revision::int in (1, 3, 5, 7, 9, 11, 13, 15, 21, 30)
    """)
    check = check_queries.blamed_less("src/hot.py", "r")

    row = asked(con, check.query.replace("$done", "timestamp '2026-02-01'"))[0]

    assert row["n"] == 26
    assert row["value"] == pytest.approx((2 / 26) / (8 / 20))


def test_hot_files_are_proposed_for_protection_unless_they_are_protected(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        insert into core_changes__changes
        select 'r', i, 'p', 'a' || (i % 2), timestamp '2026-01-12' + interval (i) hours, 's', false, null, 2, 1, 1,
            timestamp '2026-01-12' from range(40) t(i)
    """)
    con.execute("""
        insert into core_changes__files select 'r', revision, unnest(['src/core/hot.py', 'lib/web/[x].py']), 1, 1,
            author, committed_at, known_at from core_changes__changes
    """)
    con.execute("""
        insert into core_changes__blames select 'r', revision, 'f' || revision, 1, 'szz_blame', known_at
        from core_changes__changes where revision::int < 6
    """)

    def proposed(patterns: list[str]) -> tuple[list[Item], list[str]]:
        return hot_spots.items(
            lambda sql: asked(con, sql), [table.name for table in TABLES], since=datetime(2026, 1, 1), days=30.0,
            protects=lambda _: patterns, holding=["deploy_risk"],
        )  # fmt: skip

    found, missing = proposed([])
    without, _ = proposed(["src/"])

    edits = {each.subject["path"]: each.edit for each in found if each.kind == "protect_path"}
    assert edits == {
        "src/core/hot.py": {"decision": "deploy_risk", "pattern": "src/core/hot.py"},
        "lib/web/[x].py": None,  # a bracket would be read as a pattern: people have to do it
    }
    assert [each.subject["path"] for each in without if each.kind == "protect_path"] == ["lib/web/[x].py"]
    assert {"split_file", "decouple_folders"} <= {each.kind for each in found}
    assert all(each.area in AREAS and each.check.query and each.way_back for each in found)
    assert "slow operations: insufficient data: 0 of 1 rows of core_trace__operation_minutes" in missing


def test_an_estimate_says_what_is_measured_and_what_is_assumed(con: duckdb.DuckDBPyConnection) -> None:
    row = {"repo_id": "r", "path": "a/b.py", "n_changes": 20, "n_bugs": 6, "n_people": 3}

    made = hot_spots._split(row, 60.0).effect

    assert made.reach == pytest.approx(3.0)
    assert (made.low, made.high) == pytest.approx((1.101, 6.529), abs=0.01)  # Garwood's interval of 6, halved
    assert "an assumption, not measured" in made.text
