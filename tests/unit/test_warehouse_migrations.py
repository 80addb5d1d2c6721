"""An older warehouse file becomes a current one, and a newer one is left alone."""

from pathlib import Path

import duckdb
import pytest

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.errors import ContractError, SourceError
from weaver_forge.warehouse import Warehouse, check
from weaver_forge.warehouse.migrations import STEPS, Step, bring_forward, reconcile
from weaver_forge.warehouse.naming import stored_columns

NOW = Table(
    layer="core",
    source="test",
    entity="runs",
    grain="run",
    columns=(
        Column("id", "VARCHAR", "Id."),
        Column("duration_ms", "DOUBLE", "Milliseconds; null when omitted.", nullable=True),
        Column("label", "VARCHAR", "Label; null when there is none.", nullable=True),
    ),
    key=("id",),
)


def _rename(con: duckdb.DuckDBPyConnection) -> None:
    if "duration" in stored_columns(con, NOW.name):
        con.execute(f"alter table {NOW.name} rename column duration to duration_ms")


RENAMED = (STEPS[0], Step(2, "durations say their unit", _rename))


@pytest.fixture
def old() -> duckdb.DuckDBPyConnection:
    """A file of version 1: another column name, no label, a duration that was never null."""
    con = duckdb.connect(":memory:")
    con.execute(f"create table {NOW.name} (id varchar not null, duration double not null)")
    con.execute(f"insert into {NOW.name} values ('a', 1.5)")
    bring_forward(con, Path("old"), STEPS[:1])
    return con


def test_an_old_file_is_brought_forward_with_its_rows(old: duckdb.DuckDBPyConnection) -> None:
    bring_forward(old, Path("old"), RENAMED)
    reconcile(old, NOW)

    assert old.execute(f"select id, duration_ms, label from {NOW.name}").fetchall() == [("a", 1.5, None)]
    assert check(old, NOW) == []
    assert old.execute("select version, description from schema_version order by 1").fetchall() == [
        (1, "first layout, tables from contracts"),
        (2, "durations say their unit"),
    ]


def test_bringing_forward_twice_changes_nothing(old: duckdb.DuckDBPyConnection) -> None:
    for _ in range(2):
        bring_forward(old, Path("old"), RENAMED)
        reconcile(old, NOW)

    assert old.execute("select count(*) from schema_version").fetchall() == [(2,)]


def test_a_step_that_fails_leaves_the_file_at_the_version_before(old: duckdb.DuckDBPyConnection) -> None:
    def fail(con: duckdb.DuckDBPyConnection) -> None:
        _rename(con)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        bring_forward(old, Path("old"), (STEPS[0], Step(2, "breaks", fail)))

    assert list(stored_columns(old, NOW.name)) == ["id", "duration"]
    assert old.execute("select max(version) from schema_version").fetchall() == [(1,)]


def test_no_step_runs_on_a_new_file() -> None:
    """A step may count on the tables of an older file, so a file that has none is born current."""
    con = duckdb.connect(":memory:")

    version = bring_forward(
        con, Path("new"), (STEPS[0], Step(2, "needs a table", lambda c: c.execute("drop table gone")))
    )

    assert version == 2


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake")
    warehouse.migrate([NOW])
    with warehouse.connect() as con:
        con.execute("insert into schema_version (version, description) values (99, 'from the future')")

    with pytest.raises(SourceError, match="schema version 99"):
        warehouse.migrate([NOW])


def test_stored_rows_that_fit_no_more_are_never_dropped(old: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ContractError, match="column duration is not declared any more"):
        reconcile(old, NOW)

    assert old.execute(f"select count(*) from {NOW.name}").fetchall() == [(1,)]


def test_an_empty_table_is_made_again_in_the_new_shape(old: duckdb.DuckDBPyConnection) -> None:
    old.execute(f"delete from {NOW.name}")

    reconcile(old, NOW)

    assert check(old, NOW) == []


def test_results_of_the_former_source_junit_are_kept_as_those_of_tests() -> None:
    """A warehouse from before reports of every format were read keeps its rows and knows its inputs."""
    con = duckdb.connect(":memory:")
    for table in (RAW_TEST_RESULTS, RAW_INGEST_INPUTS):
        con.execute(table.ddl)
    con.execute("alter table raw_tests__results rename to raw_junit__test_results")
    for column in ("format", "producer", "parent"):
        con.execute(f"alter table raw_junit__test_results drop column {column}")
    con.execute(
        "insert into raw_junit__test_results by name select 'f' as report_sha256, '{}' as context, 0 as position,"
        " 1 as attempt, '' as suite, 'c' as classname, 't' as name, 'passed' as status, timestamp '2026-01-01' as"
        " received_at"
    )
    con.execute(
        "insert into raw_ingest__inputs by name select 'junit' as source, 'f' as input_sha256, '{}' as context,"
        " 'r.xml' as name, 1 as n_rows, 0 as n_rejected, timestamp '2026-01-01' as ingested_at"
    )

    bring_forward(con, Path("old"), STEPS)
    for table in (RAW_TEST_RESULTS, RAW_INGEST_INPUTS):
        reconcile(con, table)

    assert con.execute("select name, format, producer, parent from raw_tests__results").fetchall() == [
        ("t", "junit", "", None)
    ]
    assert con.execute("select source from raw_ingest__inputs").fetchall() == [("tests",)]
    assert check(con, RAW_TEST_RESULTS) == []
