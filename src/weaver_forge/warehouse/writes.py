"""How often each table was written, and what of that each computation had seen when it ran.

A computation whose inputs were not written since, and whose code and settings are the same, would give what is
stored. Put here the two books alone; what else a computation depends on is said by who computes.
"""

from collections.abc import Iterable, Mapping

import duckdb

_WRITES = "table_writes"
_COMPUTED = "computed_from"
_MAKE = f"""
create table if not exists {_WRITES} (name varchar primary key, n bigint not null);
create table if not exists {_COMPUTED} (name varchar primary key, origin varchar not null);
"""


def count(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Note in the open transaction that a table's rows are others from now on."""
    con.execute(_MAKE)
    con.execute(f"insert into {_WRITES} values (?, 1) on conflict do update set n = n + 1", [name])  # noqa: S608 - named above, here and below


def counted(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Mapping[str, int]:
    """How often each of these tables was written; 0 for one that never was."""
    asked = sorted(set(names))
    if not _there(con):
        return dict.fromkeys(asked, 0)
    found = con.execute(f"select name, n from {_WRITES} where name in (select unnest(?))", [asked]).fetchall()  # noqa: S608
    return {**dict.fromkeys(asked, 0), **dict(found)}


def computed_from(con: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    """Computation -> what it was made from when it was last done whole."""
    return dict(con.execute(f"select name, origin from {_COMPUTED}").fetchall()) if _there(con) else {}  # noqa: S608


def note_computed(con: duckdb.DuckDBPyConnection, name: str, origin: str) -> None:
    """Note what a computation that is done was made from."""
    con.execute(_MAKE)
    con.execute(f"insert or replace into {_COMPUTED} values (?, ?)", [name, origin])  # noqa: S608


def _there(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(con.execute("select 1 from duckdb_tables() where table_name = ?", [_COMPUTED]).fetchall())
