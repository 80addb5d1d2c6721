"""Rows into the tables of an open connection: what is new, what replaces what.

Put here what a write does inside its transaction. Which rows may be written at all is decided in ``conform``, what
becomes visible together in ``store``.
"""

import duckdb
import polars as pl

from weaver_forge.contracts.table import Table
from weaver_forge.warehouse import writes
from weaver_forge.warehouse.conform import newest_last, one_a_key, without_older
from weaver_forge.warehouse.naming import inserted, quoted, quoted_list


def append_new(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> int:
    """Insert the rows, of distinct keys, whose key is not stored; returns how many."""
    key = list(table.key)
    if not rows.is_empty():
        con.register("incoming", rows.select(key))
        sql = f"select {quoted_list(key)} from {quoted(table.name)} semi join incoming using ({quoted_list(key)})"  # noqa: S608 - declared names
        known = con.sql(sql).pl()
        con.unregister("incoming")
        rows = rows.join(known, on=key, how="anti", maintain_order="left")
    return insert(con, table, rows)


def replace_sets(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> int:
    """Put rows in place of the value sets of ``replace_by`` that they have; returns how many."""
    newest = one_a_key(table, newest_last(table, rows), keep="last")
    newest = _not_older(con, table, newest)
    _delete_value_sets(con, table, newest)
    return insert(con, table, newest)


def _delete_value_sets(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> None:
    con.register("present", rows.select(table.replace_by).unique())
    same = " and ".join(f"old.{quoted(name)} is not distinct from present.{quoted(name)}" for name in table.replace_by)
    con.execute(f"delete from {quoted(table.name)} as old using present where {same}")  # noqa: S608 - declared names
    con.unregister("present")


def _not_older(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not older than the stored row of their key; all of them where nothing orders reports."""
    if not table.newest_by or rows.is_empty():
        return rows
    key, order = list(table.key), list(table.newest_by_columns)
    con.register("present", rows.select(key))
    sql = f"select {quoted_list(key + order)} from {quoted(table.name)} semi join present using ({quoted_list(key)})"  # noqa: S608 - declared names
    stored = con.sql(sql).pl().cast({name: rows.schema[name] for name in key + order})
    con.unregister("present")
    return without_older(table, rows, stored)


def insert(con: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame) -> int:
    """Insert the rows; returns how many."""
    if rows.is_empty():
        return 0
    con.register("incoming", rows)
    columns = quoted_list(table.column_names)
    con.execute(f"insert into {quoted(table.name)} ({columns}) select {inserted(table)} from incoming")  # noqa: S608 - declared names
    con.unregister("incoming")
    writes.count(con, table.name)
    return rows.height
