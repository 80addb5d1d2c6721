"""The warehouse file: reading and writing whole contract tables.

Put operations on a table as a whole here. Deriving one table from another is SQL in ``marts`` or polars in
``links`` and ``changes``; a connection is given out for that by :meth:`Warehouse.connect`.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import CORE_TRACE_SPANS, RAW_OTLP_SPANS
from weaver_forge.errors import ContractError, MissingInput
from weaver_forge.warehouse import migrations, writes
from weaver_forge.warehouse.conform import conform, one_a_key
from weaver_forge.warehouse.connection import opened, transaction
from weaver_forge.warehouse.lake import Lake
from weaver_forge.warehouse.naming import quoted, selected, stored_columns
from weaver_forge.warehouse.publish import Publication, publish
from weaver_forge.warehouse.room import room_for
from weaver_forge.warehouse.rows import append_new, insert, replace_sets
from weaver_forge.warehouse.views import refresh_lake_view, refresh_span_views

_LAKE_VIEWS = frozenset(
    t.name for t in (RAW_OTLP_SPANS, CORE_TRACE_SPANS, RAW_OTLP_METRIC_POINTS, RAW_OTLP_LOG_RECORDS)
)


class Warehouse:
    """The DuckDB file at ``path`` and the lakes under ``lake``: spans, metric points and log records.

    No connection is kept: each operation opens the file, does its work in one transaction and lets go, so that
    runs, which are processes of their own, can take turns.

    Args:
        path: The file; made on the first write.
        lake: The folder of Delta tables.
        wait_s: How long to wait for another process that holds the file.
    """

    def __init__(self, path: Path, lake: Path, *, wait_s: float = 30.0) -> None:
        self.path = path
        self.wait_s = wait_s
        self.spans = Lake(lake / "spans", RAW_OTLP_SPANS, "start_unix_ns", mark="kind", equal_times=False)
        self.metric_points = Lake(lake / "metric_points", RAW_OTLP_METRIC_POINTS, "time_unix_ns")
        self.log_records = Lake(lake / "log_records", RAW_OTLP_LOG_RECORDS, "time_unix_ns")

    @property
    def lakes(self) -> dict[str, Lake]:
        """Lakes by the name of the table that they hold."""
        return {lake.table.name: lake for lake in (self.spans, self.metric_points, self.log_records)}

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection for the time of a ``with`` block, session time zone UTC.

        Raises:
            StoreBusy: If another process holds the file longer than ``wait_s``.
            StoreFull: If what is written in the block finds no room.
            MissingInput: If it is to be read and does not exist.
        """
        if not read_only:
            with room_for(str(self.path)):
                self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.is_file():
            raise MissingInput(
                "there is no warehouse yet", where=str(self.path), do="Take something in with `weaver-forge ingest`"
            )
        with room_for(str(self.path)), opened(self.path, read_only=read_only, wait_s=self.wait_s) as con:
            yield con

    @contextmanager
    def writing(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection in a transaction, for changes that are more than one table's rows put in place."""
        with self.connect() as con, transaction(con):
            yield con

    def migrate(self, tables: Iterable[Table]) -> None:
        """Bring the file forward to this release's layout and to these contracts; does nothing when it is there.

        Raises:
            SourceError: If a newer release wrote the file.
            ContractError: If stored rows fit their contract no more and no migration step mends it.
        """
        with self.connect() as con:
            migrations.bring_forward(con, self.path)
            for table in tables:
                if not _is_view(table):
                    migrations.reconcile(con, table)
            self._refresh_views(con)

    def read(self, table: Table, *, where: str = "") -> pl.DataFrame:
        """The rows of a table, columns as declared; a table or file that does not exist yet gives no rows.

        Args:
            table: Also a view of the warehouse, or a decision's own table.
            where: An SQL condition over the table's columns, of trusted text. Row order is not promised.
        """
        if not self.path.is_file():
            return empty(table)
        with self.connect(read_only=True) as con:
            if not stored_columns(con, table.name):
                return empty(table)
            condition = f" where {where}" if where else ""
            sql = f"select {selected(table)} from {quoted(table.name)}{condition}"  # noqa: S608 - declared names, trusted text
            return conform(table, con.sql(sql).pl())

    def append(self, table: Table, frame: pl.DataFrame) -> int:
        """Add the rows whose key is not stored yet, the first of each key in the frame; returns how many.

        What belongs to a lake goes there. A unique index would do the same at five to nine times the price
        (measured).

        Raises:
            ContractError: If the frame is not of the table.
            StoreFull: If there is no room.
        """
        if table.name in self.lakes:
            added = self.lakes[table.name].append(frame)
            self.refresh_lake_views()
            return added
        rows = one_a_key(table, conform(_writable(table), frame))
        with self._writing(table) as con:
            return append_new(con, table, rows)

    def write_together(self, frames: Sequence[tuple[Table, pl.DataFrame]]) -> dict[str, int]:
        """Append to, or where ``replace_by`` is set replace in, several tables: all of it is written or nothing.

        Gives rows written a table name.

        Raises:
            ContractError: If a frame is not of its table.
            StoreFull: If there is no room.
        """
        conformed = [(table, conform(_writable(table), frame)) for table, frame in frames]
        written: dict[str, int] = {}
        with self.writing() as con:
            for table, rows in conformed:
                con.execute(table.ddl)
                sets = bool(table.replace_by)
                n = replace_sets(con, table, rows) if sets else append_new(con, table, one_a_key(table, rows))
                written[table.name] = written.get(table.name, 0) + n
        return written

    def replace(self, table: Table, frame: pl.DataFrame | Iterable[pl.DataFrame]) -> int:
        """Put the frame in place of the whole table, or of the value sets of ``replace_by`` that it has rows for.

        A table replaced as a whole may come in several frames without a key in common; it is seen when all are in.

        Where ``replace_by`` is set, the last row of a repeated key is kept: what was reported last holds. Where
        ``newest_by`` is set too, the newest is, and a row older than the stored one changes nothing.

        Raises:
            ContractError: If the frame is not of the table, or a key is repeated in a table replaced as a whole.
        """
        _writable(table)
        frames = [frame] if isinstance(frame, pl.DataFrame) else frame
        with self._writing(table) as con:
            if table.replace_by:
                return sum(replace_sets(con, table, conform(table, part)) for part in frames)
            con.execute(f"delete from {quoted(table.name)}")  # noqa: S608 - a declared name
            writes.count(con, table.name)
            return sum(insert(con, table, _once_a_key(table, conform(table, part))) for part in frames)

    def replace_ranges(self, table: Table, frame: pl.DataFrame, ranges: Sequence[tuple[datetime, datetime]]) -> int:
        """Put the frame in place of the rows of these ranges of time ``[start, end)``; returns rows written.

        Raises:
            ContractError: If the table is not daily, or a row of the frame lies outside, or a key is repeated.
        """
        rows = conform(_writable(table), frame)
        if table.day_column is None:
            raise ContractError("the table is not daily", where=table.name, do="Declare its day_column, or use replace")
        at = pl.col(table.day_column)
        inside = pl.any_horizontal(pl.lit(value=False), *((at >= start) & (at < end) for start, end in ranges))
        outside = rows.filter(~inside).height
        if outside:
            raise ContractError(
                f"{outside} of {rows.height} rows lie outside the ranges to replace",
                where=table.name,
                do="Filter them, or replace the range they belong to as well",
            )
        _once_a_key(table, rows)
        column = quoted(table.day_column)
        with self._writing(table) as con:
            for start, end in ranges:
                con.execute(f"delete from {quoted(table.name)} where {column} >= ? and {column} < ?", [start, end])  # noqa: S608 - declared names
            writes.count(con, table.name)
            return insert(con, table, rows)

    def query(self, sql: str) -> pl.DataFrame:
        """The result of a query that changes nothing.

        Raises:
            MissingInput: If there is no warehouse yet.
        """
        with self.connect(read_only=True) as con:
            return con.sql(sql).pl()

    def show(self, con: duckdb.DuckDBPyConnection, lake: Lake) -> list[Path]:
        """Point the views over a lake at the files that are committed now; returns these files.

        Who counts files counts these, in the same transaction: another process may commit more at any time, and
        what is counted and not shown would never be computed.

        Args:
            con: Of :meth:`writing`.
            lake: One of :attr:`lakes`.
        """
        files = lake.ranges()
        paths = [file.path for file in files]
        if lake is self.spans:
            refresh_span_views(con, files)
        else:
            refresh_lake_view(con, lake.table, paths)
        return paths

    def refresh_lake_views(self) -> None:
        """Point the views over the lakes at the files that are committed now; call it in the run that commits."""
        with self.writing() as con:
            self._refresh_views(con)

    def _refresh_views(self, con: duckdb.DuckDBPyConnection) -> None:
        for lake in self.lakes.values():
            self.show(con, lake)

    def publish(
        self,
        folder: Path,
        *,
        tables: Sequence[Table],
        specs: list[dict[str, Any]],
        policy_text: str,
        artifacts: Mapping[str, bytes],
        now: datetime,
        data_as_of: datetime | None,
        keep: int = 5,
    ) -> int:
        """Write the next snapshot for readers and point them to it; returns its version.

        Args:
            folder: The deployment's ``data/published``.
            tables: What readers need; views are left out, spans are pinned by Delta version instead.
            specs: ``spec_as_data`` of every decision.
            policy_text: policy.yaml as it holds now.
            artifacts: ``<decision>__<entity>`` -> the champion's artifact as JSON bytes.
            now: When it is published, naive UTC.
            data_as_of: Newest ``known_at`` of the data behind it; None when there is no data.
            keep: How many snapshots stay, this one included.
        """
        publication = Publication(
            tables=tuple(table for table in tables if not _is_view(table)),
            specs=tuple(specs),
            policy_text=policy_text,
            artifacts=artifacts,
            published_at=now,
            data_as_of=data_as_of,
            lake=self.spans.path,
            delta_version=self.spans.version(),
        )
        with self.connect() as con:
            return publish(con, folder, publication, keep=keep)

    @contextmanager
    def _writing(self, table: Table) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection in a transaction in which the table exists."""
        with self.writing() as con:
            con.execute(table.ddl)
            yield con


def _is_view(table: Table) -> bool:
    return table.name in _LAKE_VIEWS or table.view


def _writable(table: Table) -> Table:
    if _is_view(table):
        raise ContractError("it is a view and cannot be written", where=table.name, do="Write what it is made from")
    return table


def _once_a_key(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    key = list(table.key)
    repeated = rows.height - rows.n_unique(subset=key) if rows.height else 0
    if repeated:
        example = rows.filter(pl.struct(key).is_duplicated()).select(key).row(0)
        raise ContractError(
            f"{repeated} rows repeat the key ({', '.join(key)}), the first is {example}",
            where=table.name,
            do="Make the rows unique where they are computed: which of them holds is decided there",
        )
    return rows
