"""Whether what is stored keeps its contract; the blocking asset checks ask here.

Put questions about stored rows here. Whether a frame may be written at all is decided in ``conform``.
"""

import duckdb

from weaver_forge.contracts.table import Table
from weaver_forge.warehouse.naming import quoted, quoted_list, stored_as_view, stored_columns


def check(con: duckdb.DuckDBPyConnection, table: Table, *, where: str = "true") -> list[str]:
    """What is wrong with a stored table, one sentence each; empty when the contract holds.

    Asks: the columns and types are the declared ones, nothing is null that may not be, the key is unique.

    Args:
        con: An open connection.
        table: The declaration.
        where: Rows to ask about, as SQL; a day's run need not read years. Keys are compared among these rows.
    """
    stored = stored_columns(con, table.name)
    if not stored:
        return [f"{table.name} does not exist"]
    wrong = _schema(table, stored, may_be_null=False)
    if wrong and stored_as_view(con, table.name):
        wrong = _schema(table, stored, may_be_null=True)
    if wrong:
        return wrong
    return [*_nulls(con, table, where), *_repeated_keys(con, table, where)]


def _schema(table: Table, stored: dict[str, tuple[str, bool]], *, may_be_null: bool) -> list[str]:
    declared = {column.name: column for column in table.columns}
    wrong = [f"column {name} is not declared" for name in stored if name not in declared]
    for name, column in declared.items():
        if name not in stored:
            wrong.append(f"column {name} is missing")
            continue
        kind, nullable = stored[name]
        if kind != column.type.replace(" ", "").upper():
            wrong.append(f"column {name} is {kind}, declared {column.type}")
        if not may_be_null and nullable != column.nullable:
            wrong.append(f"column {name} is {'nullable' if nullable else 'not null'}, declared otherwise")
    return wrong


def _nulls(con: duckdb.DuckDBPyConnection, table: Table, where: str) -> list[str]:
    names = [column.name for column in table.columns if not column.nullable]
    counts = ",\n  ".join(f"count(*) - count({quoted(name)})" for name in names)
    row = con.execute(f"select {counts} from {quoted(table.name)} where {where}").fetchall()[0]  # noqa: S608 - declared names
    return [f"column {name} is null in {n} rows" for name, n in zip(names, row, strict=True) if n]


def _repeated_keys(con: duckdb.DuckDBPyConnection, table: Table, where: str) -> list[str]:
    key = quoted_list(table.key)
    rows = f"{quoted(table.name)} where {where}"
    sql = f"select {key}, count(*) from {rows} group by {key} having count(*) > 1 limit 1"  # noqa: S608 - declared names
    repeated = con.execute(sql).fetchall()
    return [f"key ({', '.join(table.key)}) is not unique: {r[:-1]} is there {r[-1]} times" for r in repeated]
