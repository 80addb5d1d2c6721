"""The views of the warehouse over its lakes: made anew over the committed files, never over a glob.

A glob would show half-written and already joined files: duplicates and vanishing rows, seen under load.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.operations import CORE_TRACE_SPANS, RAW_OTLP_SPANS
from weaver_forge.warehouse.lake import LakeFile
from weaver_forge.warehouse.naming import quoted, quoted_list
from weaver_forge.warehouse.span_view import span_view_sql


def refresh_span_views(con: duckdb.DuckDBPyConnection, files: Sequence[LakeFile]) -> None:
    """Make ``raw_otlp__spans`` and ``core_trace__spans`` show exactly these files; typed and empty without any."""
    paths = [file.path for file in files]
    refresh_lake_view(con, RAW_OTLP_SPANS, paths)
    with_kinds = [file.path for file in files if file.lowest is not None and file.lowest > 0]
    core = span_view_sql(paths, with_kinds=with_kinds) if files else _empty_sql(CORE_TRACE_SPANS)
    con.execute(f"create or replace view {quoted(CORE_TRACE_SPANS.name)} as {core}")


def narrow_span_view(con: duckdb.DuckDBPyConnection, files: Sequence[LakeFile]) -> None:
    """Have ``core_trace__spans`` show only these files to this connection: a query opens every file of its view.

    Does nothing where a file may have spans without a kind: whether such a span is an entry depends on all files.
    """
    if files and all(file.lowest is not None and file.lowest > 0 for file in files):
        paths = [file.path for file in files]
        core = span_view_sql(paths, with_kinds=paths)
        con.execute(f"create or replace temp view {quoted(CORE_TRACE_SPANS.name)} as {core}")


def refresh_lake_view(con: duckdb.DuckDBPyConnection, table: Table, files: Sequence[Path]) -> None:
    """Make the view of a lake's table show exactly these files; typed and empty without any."""
    sql = _raw_sql(table, files) if files else _empty_sql(table)
    con.execute(f"create or replace view {quoted(table.name)} as {sql}")


def _raw_sql(table: Table, files: Sequence[Path]) -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    # By name: files of an older release may lack a column that was added since.
    return f"select {quoted_list(table.column_names)} from read_parquet([{listed}], union_by_name = true)"  # noqa: S608 - our own paths


def _empty_sql(table: Table) -> str:
    columns = ", ".join(f"cast(null as {c.type}) as {quoted(c.name)}" for c in table.columns)
    return f"select {columns} where false"
