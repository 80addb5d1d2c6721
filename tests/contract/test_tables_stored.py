"""Every shared table: what is written is read back as it was, and what does not fit is refused."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.docs import tables_markdown
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables import ALL
from weaver_forge.errors import ContractError
from weaver_forge.warehouse import Warehouse, check, conform, polars_schema

STORED = [table for table in ALL if not table.view]

VALUES = {
    "VARCHAR": "naïve 'text'",
    "BOOLEAN": True,
    "INTEGER": -(2**31),
    "BIGINT": 2**62,
    "DOUBLE": 0.1,
    "BIGINT[]": [0, 2**62],
    "DOUBLE[]": [0.1, -1.0],
    "BLOB": b"\x00\xff",
    "TIMESTAMP": datetime(2026, 3, 1, 23, 59, 59, 999_999),
    "DECIMAL(38, 15)": Decimal("12345678901234567890123.123456789012345"),
    "MAP(VARCHAR, VARCHAR)": [{"key": "a", "value": "1"}, {"key": "b", "value": None}],
}


def rows(table: Table) -> pl.DataFrame:
    """Three rows: full, every nullable column null, and full with other keys."""

    def value(column: Column, position: int) -> object:
        if position == 1 and column.nullable:
            return None
        if position and column.name in table.key and column.type == "VARCHAR":
            return f"{VALUES[column.type]} {position}"
        if position and column.name in table.key and column.type == "TIMESTAMP":
            return datetime(2026, 1, position)
        return VALUES[column.type]

    columns = {c.name: [value(c, position) for position in range(3)] for c in table.columns}
    return pl.DataFrame(columns, schema=polars_schema(table))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake", wait_s=1)


@pytest.mark.parametrize("table", STORED, ids=lambda table: table.name)
def test_rows_come_back_as_they_were_written(table: Table, warehouse: Warehouse) -> None:
    """Values, nulls, types and column order survive; a second append of the same rows adds nothing."""
    frame = rows(table)

    added = warehouse.append(table, frame)
    again = warehouse.append(table, frame)

    assert (added, again) == (3, 0)
    assert warehouse.read(table).sort(table.key).equals(frame.sort(table.key))
    assert dict(warehouse.read(table).schema) == polars_schema(table)
    with warehouse.connect(read_only=True) as con:
        assert check(con, table) == []


@pytest.mark.parametrize("table", STORED, ids=lambda table: table.name)
def test_an_empty_frame_keeps_every_type(table: Table, warehouse: Warehouse) -> None:
    added = warehouse.append(table, empty(table))

    assert added == 0
    assert dict(warehouse.read(table).schema) == polars_schema(table)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_an_absent_table_reads_as_no_rows_of_its_types(table: Table, warehouse: Warehouse) -> None:
    frame = warehouse.read(table)

    assert frame.is_empty()
    assert dict(frame.schema) == polars_schema(table)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_missing_key_column_is_refused(table: Table) -> None:
    frame = rows(table).drop(table.key[-1])

    with pytest.raises(ContractError, match=table.key[-1]):
        conform(table, frame)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_null_in_the_key_is_refused(table: Table) -> None:
    frame = rows(table).with_columns(pl.lit(None).alias(table.key[0]))

    with pytest.raises(ContractError, match="may not be null"):
        conform(table, frame)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_table_keeps_the_rules_of_declaring(table: Table) -> None:
    """Key columns are never null, every column says what it means, names are lower case."""
    assert not any(c.nullable for c in table.columns if c.name in table.key)
    assert all(c.doc.endswith(".") for c in table.columns)
    assert all(name == name.lower() for name in table.column_names)
    assert table.name.count("__") == 1


def test_names_are_unique() -> None:
    assert len({table.name for table in ALL}) == len(ALL)


def test_a_fresh_warehouse_keeps_every_contract(warehouse: Warehouse) -> None:
    warehouse.migrate(ALL)

    with warehouse.connect(read_only=True) as con:
        assert {table.name: check(con, table) for table in ALL} == {table.name: [] for table in ALL}


def test_the_page_on_tables_is_what_the_declarations_make() -> None:
    """docs/tables.md is generated; when this fails, write it anew from tables_markdown(ALL)."""
    page = Path(__file__).parents[2] / "docs" / "tables.md"

    assert page.read_text(encoding="utf-8") == tables_markdown(ALL)
