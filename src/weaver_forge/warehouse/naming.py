"""How declared names and types are spelled in DuckDB, and what DuckDB says is stored.

Every name that becomes SQL text is a declared one and goes through here; values are parameters.
"""

from collections.abc import Iterable

import duckdb

from weaver_forge.contracts.table import Table


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: Iterable[str]) -> str:
    """Names as SQL identifiers, joined by commas."""
    return ", ".join(map(quoted, names))


def is_map(kind: str) -> bool:
    """Whether a declared type is a MAP."""
    return kind.startswith("MAP")


def selected(table: Table) -> str:
    """The select list that reads a table as ``conform`` gives it: a MAP comes as its entries."""
    return ", ".join(
        f"map_entries({quoted(c.name)}) as {quoted(c.name)}" if is_map(c.type) else quoted(c.name)
        for c in table.columns
    )


def inserted(table: Table) -> str:
    """The select list that turns a conformed frame into stored columns."""
    return ", ".join(f"map_from_entries({quoted(c.name)})" if is_map(c.type) else quoted(c.name) for c in table.columns)


def stored_columns(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, tuple[str, bool]]:
    """Column -> (type without spaces, nullable) of a table or view; empty when there is none of this name.

    Not within a transaction where there may be none: from DuckDB 2 on the question itself would end it. There ask
    :func:`is_stored` first.
    """
    # Not from duckdb_columns(): that binds every view, and a view over a lake opens hundreds of files. Nor is
    # duckdb_tables() asked first: it describes all tables, which costs ten times as much as this.
    sql = "select name, upper(replace(type, ' ', '')), not \"notnull\" from pragma_table_info(?) order by cid"
    try:
        found = con.execute(sql, [quoted(name)]).fetchall()
    except duckdb.CatalogException:
        return {}
    return {column: (kind, nullable) for column, kind, nullable in found}


def is_stored(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether there is a table of this name; dear, because the catalogue describes all of them."""
    sql = "select 1 from duckdb_tables() where table_name = ? and schema_name = 'main' and not internal"
    return bool(con.execute(sql, [name]).fetchall())


def stored_as_view(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether there is a view of this name; the columns of a view are all nullable to DuckDB."""
    sql = "select 1 from duckdb_views() where view_name = ? and schema_name = 'main' and not internal"
    return bool(con.execute(sql, [name]).fetchall())
