"""The core tables of a published snapshot as features read them, with rows of one more revision beside them.

Loads neither Dagster nor MLflow. Each table is read when it is first used: what was kept of the past stands in for
most of the history, which then is not read at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import polars as pl
import pyarrow  # noqa: F401, ICN001 - DuckDB hands rows over in it: loaded with the rest, not when somebody waits

from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.table import Table


class SnapshotTables(Mapping[str, pl.DataFrame]):
    """Tables by name; any other name is a KeyError. Use as a context manager.

    Args:
        path: The snapshot.
        tables: Those that are declared; one that the snapshot has not is empty.
        kept: Those that are there only if the snapshot has all of them, as they are declared today.
    """

    def __init__(self, path: Path, tables: Sequence[Table], kept: Sequence[Table] = ()) -> None:
        self._con = duckdb.connect(str(path), read_only=True)
        self._stored: dict[str, list[str]] = {}
        sql = "select table_name, column_name from duckdb_columns() order by column_index"
        for name, column in self._con.execute(sql).fetchall():
            self._stored.setdefault(name, []).append(column)
        whole = all(self._stored.get(table.name) == list(table.column_names) for table in kept)
        self._kept = tuple(kept) if whole else ()
        self._tables = {table.name: table for table in (*tables, *self._kept)}
        self._dated = [table for table in tables if "known_at" in table.column_names]
        self._extra: Mapping[str, pl.DataFrame] = {}
        self._known: dict[str, datetime | None] = {}
        self._read: dict[str, pl.DataFrame] = {}
        self._beside: dict[str, pl.DataFrame] = {}

    def __enter__(self) -> Self:
        """Give itself; leaving closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._con.close()

    def beside(self, extra: Mapping[str, pl.DataFrame]) -> None:
        """Have rows beside the stored ones, by table, and no others; one whose key is there already adds nothing."""
        self._extra = extra
        self._beside = {}

    def read_kept(self) -> None:
        """Read what is kept now."""
        for table in self._kept:
            _ = self[table.name]

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Read the table, once."""
        if name not in self._read:
            self._read[name] = self._rows(self._tables[name])
        frame = self._read[name]
        if name not in self._extra:
            return frame
        if name not in self._beside:
            key = self._tables[name].key
            new = self._extra[name].join(frame, on=key, how="anti").unique(key, keep="first", maintain_order=True)
            self._beside[name] = pl.concat([frame, new], rechunk=False)
        return self._beside[name]

    def __contains__(self, name: object) -> bool:
        """Whether it is declared, or kept; nothing is read."""
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._tables)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._tables)

    def data_as_of(self, now: datetime) -> datetime | None:
        """The newest ``known_at`` up to now over the declared tables; None when all are empty. Reads no table."""
        added = [self._extra[table.name] for table in self._dated if table.name in self._extra]
        newest = [frame.filter(pl.col("known_at") <= now)["known_at"].max() for frame in added]
        newest += [self._newest(table.name, now) for table in self._dated if table.name in self._stored]
        return max((value for value in newest if isinstance(value, datetime)), default=None)

    def _newest(self, name: str, now: datetime) -> datetime | None:
        """Newest ``known_at`` of a stored table up to now; a snapshot does not change, so one look is enough."""
        sql = f'select max(known_at) from "{name}"'  # noqa: S608 - a declared name
        if name not in self._known:
            ((self._known[name],),) = self._con.execute(sql).fetchall()
        newest = self._known[name]
        if newest is None or newest <= now:
            return newest
        until = f"where known_at <= timestamp '{now.isoformat(sep=' ')}'"
        return next((value for (value,) in self._con.execute(f"{sql} {until}").fetchall()), None)

    def _rows(self, table: Table) -> pl.DataFrame:
        if table.name not in self._stored:
            return empty(table)
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        return shaped(table, self._con.sql(f'select {columns} from "{table.name}"').pl())  # noqa: S608 - declared names
