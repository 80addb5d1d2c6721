"""The warehouse: writes are exact, whole or nothing, and one process at a time."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from weaver_forge.contracts.table import Column, Table
from weaver_forge.errors import ContractError, MissingInput, SourceError, StoreBusy
from weaver_forge.warehouse import Warehouse, check

EVENTS = Table(
    layer="core",
    source="test",
    entity="events",
    grain="event",
    columns=(
        Column("id", "VARCHAR", "Id."),
        Column("period", "VARCHAR", "Period; null when unknown.", nullable=True),
        Column("at", "TIMESTAMP", "When."),
        Column("n", "INTEGER", "Count; null when unknown.", nullable=True),
    ),
    key=("id",),
    day_column="at",
)
PERIODS = Table(
    layer="raw",
    source="test",
    entity="periods",
    grain="row of a period",
    columns=EVENTS.columns,
    key=("id",),
    replace_by=("period",),
)
NOON = datetime(2026, 3, 1, 12)


def events(*ids: str, n: int = 1, period: str | None = "a", at: datetime = NOON) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": list(ids), "period": [period] * len(ids), "at": [at] * len(ids), "n": [n] * len(ids)},
        schema={"id": pl.String, "period": pl.String, "at": pl.Datetime("us"), "n": pl.Int32},
    )


def contents(warehouse: Warehouse, table: Table = EVENTS) -> dict[str, int]:
    frame = warehouse.read(table)
    return dict(sorted(zip(frame["id"], frame["n"], strict=True)))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake", wait_s=0.05)


def test_a_known_key_adds_nothing_and_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, events("a", "b", n=1))

    added = warehouse.append(EVENTS, events("b", "c", n=2))

    assert added == 1
    assert contents(warehouse) == {"a": 1, "b": 1, "c": 2}


def test_of_a_key_repeated_within_a_batch_the_first_row_is_kept(warehouse: Warehouse) -> None:
    added = warehouse.append(EVENTS, pl.concat([events("a", n=1), events("a", n=2)]))

    assert added == 1
    assert contents(warehouse) == {"a": 1}


def test_rows_are_stored_in_the_order_they_came(warehouse: Warehouse) -> None:
    ids = [f"{n * 7919 % 5000:04}" for n in range(5000)]
    warehouse.append(EVENTS, events(*ids[:2500]))
    warehouse.append(EVENTS, events(*ids))

    assert warehouse.read(EVENTS)["id"].to_list() == ids


def test_replace_puts_the_frame_in_place_of_the_table(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, events("a", "b"))

    written = warehouse.replace(EVENTS, events("c", n=3))

    assert written == 1
    assert contents(warehouse) == {"c": 3}


def test_a_table_replaced_in_parts_is_replaced_whole_or_not_at_all(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, events("a", "b"))

    def breaking() -> Generator[pl.DataFrame]:
        yield events("x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        warehouse.replace(EVENTS, breaking())
    kept = contents(warehouse)
    written = warehouse.replace(EVENTS, iter([events("c", n=3), events("d", n=4)]))

    assert set(kept) == {"a", "b"}
    assert (written, contents(warehouse)) == (2, {"c": 3, "d": 4})


def test_replacing_by_value_sets_leaves_the_others_alone(warehouse: Warehouse) -> None:
    """A restated billing period replaces its own rows, an unknown (null) period included, and no other's."""
    for table_rows in (events("a1", "a2", period="a"), events("b1", period="b"), events("x1", period=None)):
        warehouse.append(PERIODS, table_rows)

    written = warehouse.replace(PERIODS, pl.concat([events("a3", n=9, period="a"), events("x2", n=9, period=None)]))

    assert written == 2
    assert contents(warehouse, PERIODS) == {"a3": 9, "b1": 1, "x2": 9}


def test_an_empty_frame_replaces_no_value_set(warehouse: Warehouse) -> None:
    warehouse.append(PERIODS, events("a1"))

    written = warehouse.replace(PERIODS, events())

    assert written == 0
    assert contents(warehouse, PERIODS) == {"a1": 1}


def test_what_was_reported_last_holds_where_value_sets_are_replaced(warehouse: Warehouse) -> None:
    warehouse.replace(PERIODS, pl.concat([events("a", n=1), events("a", n=2)]))

    assert contents(warehouse, PERIODS) == {"a": 2}


def test_a_computed_table_with_a_repeated_key_is_refused(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, events("a"))

    with pytest.raises(ContractError, match="repeat the key"):
        warehouse.replace(EVENTS, pl.concat([events("b"), events("b")]))

    assert contents(warehouse) == {"a": 1}


def test_replacing_days_leaves_the_other_days_alone(warehouse: Warehouse) -> None:
    first, second, third = (datetime(2026, 3, day) for day in (1, 2, 3))
    warehouse.append(EVENTS, pl.concat([events("a", at=first), events("b", at=second), events("c", at=third)]))

    written = warehouse.replace_ranges(EVENTS, events("d", at=second), [(datetime(2026, 3, 2), datetime(2026, 3, 3))])

    assert written == 1
    assert contents(warehouse) == {"a": 1, "c": 1, "d": 1}


def test_a_row_outside_the_replaced_days_is_refused(warehouse: Warehouse) -> None:
    first, second = datetime(2026, 3, 1), datetime(2026, 3, 2)

    with pytest.raises(ContractError, match="1 of 1 rows lie outside"):
        warehouse.replace_ranges(EVENTS, events("a", at=second), [(first, second)])


def test_a_write_that_fails_halfway_leaves_the_table_as_it_was(warehouse: Warehouse) -> None:
    """The rows are deleted already when the insert breaks; both are undone."""
    with warehouse.connect() as con:
        con.execute(EVENTS.ddl.replace('"n" INTEGER', '"n" INTEGER check (n < 100)'))
    warehouse.append(EVENTS, events("a", "b"))

    with pytest.raises(duckdb.ConstraintException):
        warehouse.replace(EVENTS, pl.concat([events("c"), events("d", n=100)]))

    assert contents(warehouse) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (events("a").with_columns(extra=1), "extra"),
        (events("a").drop("at"), "at"),
        (events("a").with_columns(pl.lit(None, pl.String).alias("id")), "id may not be null and is in 1 of 1"),
        (events("a").with_columns(pl.lit("1").alias("n")), "n is String, expected Int32"),
        (events("a").with_columns(pl.lit(2**40).alias("n")), "n is Int64"),
        (events("a").with_columns(pl.lit(1.5).alias("n")), "n is Float64 and would lose precision"),
        (events("a").with_columns(pl.col("at").dt.replace_time_zone("UTC")), "naive UTC"),
        (events("a").with_columns(pl.col("at").dt.date()), "at is Date"),
        (events("a").with_columns(pl.col("at").cast(pl.Datetime("ns")) + pl.duration(nanoseconds=1)), "precision"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(warehouse: Warehouse, frame: pl.DataFrame, message: str) -> None:
    """Nothing is cut, guessed or rounded; the message names table, column and what was expected."""
    with pytest.raises(ContractError, match=message) as caught:
        warehouse.append(EVENTS, frame)

    assert caught.value.where == "core_test__events"
    assert warehouse.read(EVENTS).is_empty()


def test_lossless_casts_and_absent_nullable_columns_are_filled_in(warehouse: Warehouse) -> None:
    frame = pl.DataFrame({"n": [2], "at": pl.Series([NOON], dtype=pl.Datetime("ms")), "id": ["a"]})

    warehouse.append(EVENTS, frame)

    assert warehouse.read(EVENTS).rows() == [("a", None, NOON, 2)]


def test_money_never_comes_from_a_float(warehouse: Warehouse) -> None:
    money = Table(
        layer="core",
        source="test",
        entity="money",
        grain="sum",
        columns=(Column("id", "VARCHAR", "Id."), Column("cost", "DECIMAL(38, 15)", "Cost.")),
        key=("id",),
    )
    warehouse.append(money, pl.DataFrame({"id": ["a"], "cost": [Decimal("0.10")]}))

    with pytest.raises(ContractError, match="money is never a float"):
        warehouse.append(money, pl.DataFrame({"id": ["b"], "cost": [0.1]}))

    assert warehouse.read(money)["cost"].to_list() == [Decimal("0.100000000000000")]


def test_read_takes_a_condition(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, pl.concat([events("a", n=1), events("b", n=2)]))

    assert warehouse.read(EVENTS, where="n > 1")["id"].to_list() == ["b"]


def test_a_check_names_what_is_wrong(warehouse: Warehouse) -> None:
    with warehouse.connect() as con:
        con.execute('create table "core_test__events" (id varchar, period varchar, "at" timestamp not null, n bigint)')
        wrong_schema = check(con, EVENTS)
        con.execute(f"create or replace {EVENTS.ddl.removeprefix('create ').replace('if not exists ', '')}")
        con.execute("insert into core_test__events values ('a', null, now(), 1), ('a', null, now(), 2)")
        wrong_rows = check(con, EVENTS)

    assert wrong_schema == ["column id is nullable, declared otherwise", "column n is BIGINT, declared INTEGER"]
    assert wrong_rows == ["key (id) is not unique: ('a',) is there 2 times"]


def test_sessions_are_in_utc(warehouse: Warehouse) -> None:
    with warehouse.connect() as con:
        assert con.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_reader_inside_a_writer_of_the_same_process_joins_it(warehouse: Warehouse) -> None:
    warehouse.append(EVENTS, events("a"))

    with warehouse.connect():
        assert contents(warehouse) == {"a": 1}


def test_a_query_without_a_warehouse_says_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(MissingInput, match="weaver-forge ingest"):
        warehouse.query("select 1")


def test_a_file_that_is_no_warehouse_is_refused(warehouse: Warehouse) -> None:
    warehouse.path.write_bytes(b"something else " * 500)

    with pytest.raises(SourceError, match="cannot be opened"):
        warehouse.append(EVENTS, events("a"))


@contextmanager
def held_elsewhere(path: Path) -> Generator[subprocess.Popen[str]]:
    """Another process that holds the file until a line is sent to it."""
    script = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input(); c.close()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_held_warehouse_names_its_holder_and_is_waited_for(warehouse: Warehouse) -> None:
    """Within the wait it goes on by itself; after it the error says which process to look at."""
    patient = Warehouse(warehouse.path, warehouse.path.parent / "lake", wait_s=20)

    with held_elsewhere(warehouse.path) as holder:
        with pytest.raises(StoreBusy) as caught:
            warehouse.append(EVENTS, events("a"))
        holder.stdin.write("\n")
        holder.stdin.flush()
        added = patient.append(EVENTS, events("a"))

    assert caught.value.where.endswith(f"held by process {holder.pid}")
    assert added == 1


REPORTS = Table(
    layer="raw",
    source="test",
    entity="reports",
    grain="thing reported on",
    columns=EVENTS.columns,
    key=("id",),
    replace_by=("id",),
    newest_by=("at", "n"),
)


@pytest.mark.parametrize(
    ("at", "n", "held"),
    [
        pytest.param(NOON - timedelta(hours=1), 9, 5, id="older changes nothing"),
        pytest.param(NOON, 4, 5, id="a tie is decided by the next column"),
        pytest.param(NOON, None, 5, id="a null is older than any value"),
        pytest.param(NOON, 6, 6, id="later in the next column"),
        pytest.param(NOON + timedelta(hours=1), 1, 1, id="newer holds"),
    ],
)
def test_a_report_replaces_only_one_that_is_not_newer(warehouse: Warehouse, at: datetime, n: int, held: int) -> None:
    warehouse.replace(REPORTS, events("a", n=5))

    warehouse.replace(REPORTS, events("a", n=n, at=at))

    assert contents(warehouse, REPORTS) == {"a": held}


def test_an_equal_report_that_comes_later_holds(warehouse: Warehouse) -> None:
    warehouse.replace(REPORTS, events("a", period="first"))

    written = warehouse.replace(REPORTS, events("a", period="second"))

    assert (written, warehouse.read(REPORTS)["period"].to_list()) == (1, ["second"])


def test_within_a_batch_the_newest_report_on_a_row_holds(warehouse: Warehouse) -> None:
    batch = pl.concat([events("a", n=3, at=NOON), events("b"), events("a", n=2, at=NOON - timedelta(hours=1))])

    warehouse.replace(REPORTS, batch)

    assert contents(warehouse, REPORTS) == {"a": 3, "b": 1}


def test_a_stored_row_without_an_order_gives_way_to_any(warehouse: Warehouse) -> None:
    warehouse.replace(REPORTS, events("a").with_columns(n=pl.lit(None, pl.Int32)))

    warehouse.replace(REPORTS, events("a", n=0))

    assert contents(warehouse, REPORTS) == {"a": 0}


def test_an_order_of_reports_on_sets_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="replace_by must be the key"):
        replace(REPORTS, replace_by=("period",))
