"""Which minutes of a lake changed since something was computed from them: found by counting, not remembered.

Every committed file of a lake is immutable, so its rows are counted by minute once. A minute whose files have
another sum than the one it was computed from is touched. A run killed anywhere therefore loses nothing, a late row
touches what it must, and joining small files to large ones touches nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from weaver_forge.contracts.table import Table
from weaver_forge.warehouse.naming import quoted


@dataclass(frozen=True, slots=True)
class LakeMinutes:
    """The counts of one lake.

    Args:
        counted: Table of ``file, minute_at, n_rows``.
        done: Table of ``minute_at, n_rows``: from how many rows a minute was computed.
        time_column: Of the lake, BIGINT nanoseconds since 1970.
    """

    counted: Table
    done: Table
    time_column: str

    def count_files(self, con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> int:
        """Count the rows of new files by minute, and forget files that are gone; returns how many are new.

        Args:
            con: A connection in a transaction, for writing.
            files: The committed files of the lake.
        """
        table = quoted(self.counted.name)
        con.register("present", pl.DataFrame({"file": [path.name for path in files]}, schema={"file": pl.String}))
        con.execute(f"delete from {table} where file not in (select file from present)")  # noqa: S608 - declared names, here and below
        known = {name for (name,) in con.execute(f"select distinct file from {table}").fetchall()}  # noqa: S608
        con.unregister("present")
        new = [path for path in files if path.name not in known]
        if new:
            listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in new)
            con.execute(f"""
                insert into {table}
                select
                  parse_filename(filename) as file,
                  time_bucket(interval 1 minute, make_timestamp({quoted(self.time_column)} // 1000)) as minute_at,
                  count(*) as n_rows
                from read_parquet([{listed}], filename = true, union_by_name = true)
                group by all
            """)  # noqa: S608
        return len(new)

    def pending(self, con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
        """``minute_at, n_rows`` of the touched minutes of a range, in order; 0 rows where all of them are gone."""
        return con.sql(f"""
            with counted as (
              select minute_at, cast(sum(n_rows) as bigint) as n_rows from {quoted(self.counted.name)} group by all
            )
            select coalesce(counted.minute_at, done.minute_at) as minute_at, coalesce(counted.n_rows, 0) as n_rows
            from counted
            full join {quoted(self.done.name)} as done on done.minute_at = counted.minute_at
            where counted.n_rows is distinct from done.n_rows
              and coalesce(counted.minute_at, done.minute_at) >= timestamp '{start}'
              and coalesce(counted.minute_at, done.minute_at) < timestamp '{end}'
            order by 1
        """).pl()  # noqa: S608

    def all_of(self, con: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> pl.DataFrame:
        """The same columns for every minute of a range that has rows: to compute it anew on request."""
        return con.sql(f"""
            select minute_at, cast(sum(n_rows) as bigint) as n_rows from {quoted(self.counted.name)}
            where minute_at >= timestamp '{start}' and minute_at < timestamp '{end}'
            group by all
            order by 1
        """).pl()  # noqa: S608

    def are_done(self, con: duckdb.DuckDBPyConnection, minutes: pl.DataFrame) -> None:
        """Write down that these minutes (``minute_at, n_rows``) were computed from that many rows."""
        table = quoted(self.done.name)
        con.register("minutes", minutes)
        con.execute(f"delete from {table} where minute_at in (select minute_at from minutes)")  # noqa: S608
        con.execute(f"insert into {table} select minute_at, n_rows from minutes where n_rows > 0")  # noqa: S608
        con.unregister("minutes")
