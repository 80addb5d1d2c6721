"""A snapshot's tables as a question reads them: what is kept only if it is whole, and the newest that was known."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets.snapshot_tables import SnapshotTables
from weaver_forge.contracts.table import Column, Table

AT = Column("known_at", "TIMESTAMP", "When.")
NAME = Column("name", "VARCHAR", "Who.")
ROWS = Table(layer="core", source="x", entity="rows", grain="row", columns=(NAME, AT), key=("name",))
ABSENT = Table(layer="core", source="x", entity="absent", grain="row", columns=(NAME, AT), key=("name",))
KEPT = Table(layer="feat", source="x", entity="kept", grain="row", columns=(NAME,), key=("name",))
CHANGED = Table(layer="feat", source="x", entity="kept", grain="row", columns=(NAME, AT), key=("name",))
T0, HOUR = datetime(2026, 1, 1), timedelta(hours=1)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "serving-000001.duckdb"
    with duckdb.connect(str(path)) as con:
        for table in (ROWS, KEPT):
            con.execute(table.ddl)
        con.execute(f"insert into core_x__rows values ('a', '{T0}'), ('b', '{T0 + 2 * HOUR}')")
        con.execute("insert into feat_x__kept values ('k')")
    return path


def test_the_newest_that_is_known_is_that_of_the_asked_time(snapshot: Path) -> None:
    with SnapshotTables(snapshot, (ROWS, ABSENT)) as tables:
        found = [tables.data_as_of(T0 + hours * HOUR) for hours in (3, 1, -1)]
        tables.beside({ROWS.name: pl.DataFrame({"name": ["c"], "known_at": [T0 + 4 * HOUR]})})
        beside = tables.data_as_of(T0 + 5 * HOUR)

    assert found == [T0 + 2 * HOUR, T0, None]
    assert beside == T0 + 4 * HOUR


def test_rows_beside_the_stored_ones_add_nothing_under_a_known_key(snapshot: Path) -> None:
    later = pl.DataFrame(
        {"name": ["b", "c", "c"], "known_at": [T0, T0, T0 + HOUR]}, schema_overrides={"known_at": pl.Datetime("us")}
    )

    with SnapshotTables(snapshot, (ROWS,)) as tables:
        tables.beside({ROWS.name: later})
        first = tables[ROWS.name]
        tables.beside({})
        second = tables[ROWS.name]

    assert first.rows() == [("a", T0), ("b", T0 + 2 * HOUR), ("c", T0)]
    assert second.height == 2


def test_what_is_kept_is_there_only_as_it_is_declared_today(snapshot: Path) -> None:
    with SnapshotTables(snapshot, (ROWS,), (KEPT,)) as tables, SnapshotTables(snapshot, (ROWS,), (CHANGED,)) as old:
        tables.read_kept()

        assert KEPT.name in tables
        assert tables[KEPT.name].rows() == [("k",)]
        assert CHANGED.name not in old
        assert list(old) == [ROWS.name]


def test_a_declared_table_that_the_snapshot_lacks_is_empty(snapshot: Path) -> None:
    with SnapshotTables(snapshot, (ROWS, ABSENT)) as tables:
        assert tables[ABSENT.name].is_empty()
        with pytest.raises(KeyError):
            tables["core_x__other"]
