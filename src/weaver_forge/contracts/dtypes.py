"""What a declared table is in polars: dtypes, empty frames, and frames in the contract's order.

Decoders, links and changes build their results with these. Checks that a frame keeps its contract
(keys, nulls) stand with the warehouse. Nothing on a gate's path may import this module: it loads polars.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from weaver_forge.contracts.table import Table

_SIMPLE: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BOOLEAN": pl.Boolean(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us"),
    "BLOB": pl.Binary(),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), *(\d+)\)")
_MAP = re.compile(r"MAP\((\w+), *(\w+)\)")


def dtype(ddl: str) -> pl.DataType:
    """Give the polars type of a DuckDB type as contracts write it; a MAP is a list of key and value.

    Raises:
        ValueError: If no contract type is spelled so.
    """
    if ddl in _SIMPLE:
        return _SIMPLE[ddl]
    if match := _DECIMAL.fullmatch(ddl):
        return pl.Decimal(int(match[1]), int(match[2]))
    if match := _MAP.fullmatch(ddl):
        return pl.List(pl.Struct({"key": dtype(match[1]), "value": dtype(match[2])}))
    if ddl.endswith("[]"):
        return pl.List(dtype(ddl.removesuffix("[]")))
    raise ValueError(f"no polars type is known for the column type {ddl!r}")


def schema(table: Table) -> dict[str, pl.DataType]:
    """Column name -> polars type, in declared order."""
    return {column.name: dtype(column.type) for column in table.columns}


def empty(table: Table) -> pl.DataFrame:
    """A frame of the table without rows."""
    return pl.DataFrame(schema=schema(table))


def from_columns(table: Table, columns: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """Build a frame of the table from one sequence a column; an absent column means null."""
    length = len(next(iter(columns.values()), ()))
    data = {name: columns.get(name, [None] * length) for name in table.column_names}
    return pl.DataFrame(data, schema=schema(table), strict=True)


def from_rows(table: Table, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Build a frame of the table from mappings; an absent key means null, an undeclared one is left out."""
    return pl.DataFrame(rows, schema=schema(table), strict=True) if rows else empty(table)


def shaped(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Cast to the table's types and keep its columns in declared order; an absent column becomes null."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in schema(table).items()
    )
