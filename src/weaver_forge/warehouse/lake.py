"""A lake: a Delta table of what arrives in bulk, exact duplicates removed, that anybody may read without a lock.

Spans, metric points and log records are too many for the warehouse file: measured, a native insert costs four
to ten times a Parquet append. A write has two halves. ``stage`` turns rows into a Parquet file that no reader
sees; any process may do it. ``commit`` proves which of the staged rows are new and adds them in one Delta
commit, by what ``lake_known`` says. What rows mean is derived in ``marts``; compaction and vacuum are in
``lake_upkeep``.
"""

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.table import Table
from weaver_forge.errors import StoreBusy
from weaver_forge.warehouse import lake_keys
from weaver_forge.warehouse.conform import conform, conform_coded, one_a_key, polars_schema
from weaver_forge.warehouse.lake_files import HeldHashes, LakeFile, Staged, slices
from weaver_forge.warehouse.lake_index import KeyIndex
from weaver_forge.warehouse.lake_keys import Hashes, Hashing, row_hashes
from weaver_forge.warehouse.lake_known import Known, KnownAnywhere, KnownByTime
from weaver_forge.warehouse.lake_parquet import with_maps, write_parquet
from weaver_forge.warehouse.lake_table import bring_forward, create_table, open_table
from weaver_forge.warehouse.room import make_folder, room_for, settle

__all__ = ["Lake", "LakeFile", "Staged"]

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 20


class Lake:
    """The Delta table at ``path``. Every call sees the newest commit; only hashes of immutable files are held.

    Args:
        path: Its folder; made by the first write.
        table: The rows' contract.
        time_column: BIGINT nanoseconds since 1970: what files are told apart by.
        mark: An INTEGER column whose least value in each file is kept in the log, for readers to choose files by.
        equal_times: Whether rows of equal keys have equal times. If not, an index of all keys is kept beside them.
        hashing: How keys are hashed.

    Attributes:
        n_differing: Rows that were left out of commits since this object was made because a row of their key and of
            another time is stored: not sent again, but something else under the same name.
    """

    def __init__(
        self,
        path: Path,
        table: Table,
        time_column: str,
        *,
        mark: str | None = None,
        equal_times: bool = True,
        hashing: Hashing = row_hashes,
    ) -> None:
        self.path, self.table, self.time_column, self.mark = path, table, time_column, mark
        self.n_differing = 0
        self._hashing = hashing
        self._held = HeldHashes(self._read_hashes)
        index = KeyIndex(path, table.key, hashing, self._held.of)
        self._known: Known = (
            KnownByTime(table.key, self._held) if equal_times else KnownAnywhere(index, table.key, time_column, hashing)
        )

    def append(self, frame: pl.DataFrame) -> int:
        """Store the rows that are not there yet, in one commit; returns how many that were.

        Raises:
            ContractError: If the frame is no frame of the table.
            StoreBusy: If other writers overtook it every time.
            StoreFull: If there is no room.
        """
        return self.commit([self.stage(frame)])

    def stage(self, rows: pl.DataFrame | Coded) -> Staged:
        """Write rows to a file that no reader sees yet; of a key that they repeat, the first.

        A staged file that is never committed is removed by a later vacuum.

        Raises:
            ContractError: If they are no rows of the table.
            StoreFull: If there is no room.
        """
        rows = conform_coded(self.table, rows) if isinstance(rows, Coded) else conform(self.table, rows)
        hashes = self._hashes_of(_frame(rows))
        if not lake_keys.repeats(hashes):
            return self._written(rows, hashes)
        distinct = one_a_key(self.table, _frame(rows))
        time = pl.col(self.time_column)
        differs = _frame(rows).select(time != time.first().over(self.table.key)).to_series().sum()
        rows = replace(rows, frame=distinct) if isinstance(rows, Coded) else distinct
        return replace(self._written(rows, self._hashes_of(distinct)), n_differing=int(differs))

    def commit(self, staged: Sequence[Staged]) -> int:
        """Add what is new of staged files, in one commit, all or nothing; returns the rows added.

        Exact with several writers too: a commit that another one overtook is checked and tried again.

        Raises:
            StoreBusy: If other writers overtook it every time.
            StoreFull: If there is no room; the staged files stay uncommitted.
        """
        parts = [part for part in staged if part.n_rows]
        n_differing = sum(part.n_differing for part in parts)
        for _ in range(_ATTEMPTS):
            table = self.delta()
            rest = self._known.without(parts, [] if table is None else self._files_of(table), self._write_rest)
            n_differing += sum(part.n_differing for part in rest) - sum(part.n_differing for part in parts)
            parts = [part for part in rest if part.n_rows]
            if not parts or self._commit(table, parts):
                self.n_differing += n_differing
                for part in parts:
                    self._held.hold(part.path, part.hashes)  # mostly staged by another process
                return sum(part.n_rows for part in parts)
            _LOG.info("%s: another writer was faster, checking again", self.path)
        raise StoreBusy(
            f"other writers overtook this one {_ATTEMPTS} times",
            where=str(self.path),
            do="Let the other ingest finish and try again: nothing of this batch was stored",
        )

    def files(self, version: int | None = None) -> list[Path]:
        """Absolute paths of the committed files, as :meth:`ranges` has them; empty when there is no lake."""
        return [file.path for file in self.ranges(version)]

    def ranges(self, version: int | None = None) -> list[LakeFile]:
        """The committed files with their ranges of times, ordered by the first.

        Raises:
            MissingInput: If a version is asked for that is not there.
        """
        table = self.delta(version)
        return [] if table is None else self._files_of(table)

    def version(self) -> int | None:
        """The newest committed version, counting from 0; None when nothing was ever stored."""
        table = self.delta()
        return None if table is None else table.version()

    def delta(self, version: int | None = None) -> DeltaTable | None:
        """The Delta table as the library has it; None when nothing was ever stored.

        Raises:
            MissingInput: If a version is asked for that is not there.
        """
        return open_table(self.path, version)

    def write(self, rows: pl.DataFrame | Coded, name: str) -> Path:
        """Write conformed rows to a file of the table's folder, safe from a power cut.

        Raises:
            StoreFull: If there is no room; nothing is left behind.
        """
        make_folder(self.path)
        path = self.path.resolve() / name
        try:
            with room_for(str(self.path)):
                write_parquet(self.table, rows, path)
                settle(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def added(self, file: LakeFile, *, data_change: bool) -> AddAction:
        """What the Delta log says of a file."""
        status = file.path.stat()
        marked = {} if self.mark is None or file.lowest is None else {self.mark: file.lowest}
        statistics = {
            "numRecords": file.n_rows,
            "minValues": {self.time_column: file.first_unix_ns, **marked},
            "maxValues": {self.time_column: file.last_unix_ns},
            "nullCount": {self.time_column: 0},
        }
        no_partitions: Mapping[str, str | None] = {}
        written_ms = status.st_mtime_ns // 1_000_000
        return AddAction(file.path.name, status.st_size, no_partitions, written_ms, data_change, json.dumps(statistics))

    def change(self, table: DeltaTable, actions: Sequence[AddAction | RemoveAction]) -> bool:
        """Commit on exactly the given version; False when another writer came in between."""
        # Without retries a commit fails when its version is taken, instead of slipping in behind it.
        alone = CommitProperties(max_commit_retries=0)
        try:
            with room_for(str(self.path)):
                table.create_write_transaction(list(actions), "append", self._schema, commit_properties=alone)
        except CommitFailedError:
            return False
        self._settle_log(table.version() + 1)
        return True

    def _commit(self, table: DeltaTable | None, parts: Sequence[Staged]) -> bool:
        """Make staged files part of the table, on the version that they were checked against."""
        actions = [self.added(part.as_file, data_change=True) for part in parts]
        if table is not None:
            return bring_forward(table, self._schema) and self.change(table, actions)
        made = create_table(self.path, self._schema, actions)
        if made:
            self._settle_log(0)
        return made

    def joined(self, group: Sequence[LakeFile], made: Sequence[LakeFile]) -> None:
        """Tell what knows the lake's keys that a change put files in place of others, with the same rows."""
        self._known.joined(group, made)

    def _write_rest(self, rows: pl.DataFrame) -> Staged:
        return self._written(rows, self._hashes_of(rows))

    def _hashes_of(self, rows: pl.DataFrame) -> Hashes:
        return np.sort(self._hashing(rows, self.table.key))

    def _read_hashes(self, file: LakeFile) -> Hashes:
        pieces = slices(file.path, file.n_rows, self.table.key)
        return lake_keys.merged(self._hashes_of(piece) for piece in pieces)

    def _written(self, rows: pl.DataFrame | Coded, hashes: Hashes) -> Staged:
        frame = _frame(rows)
        times = np.sort(frame[self.time_column].to_numpy())
        name = f"part-{uuid.uuid4().hex}.parquet"
        path = self.write(rows, name) if frame.height else self.path / name
        self._held.hold(path, hashes)
        return Staged(path, times, hashes, self.lowest(frame))

    def lowest(self, rows: pl.DataFrame) -> int | None:
        """The least value of the marked column."""
        found = None if self.mark is None else rows[self.mark].min()
        return int(found) if isinstance(found, int) else None

    def _files_of(self, table: DeltaTable) -> list[LakeFile]:
        actions = table.get_add_actions(flatten=True)
        names = ["path", "num_records", f"min.{self.time_column}", f"max.{self.time_column}"]
        columns = [actions.column(name).to_pylist() for name in names]
        marked = f"min.{self.mark}"
        columns.append(
            actions.column(marked).to_pylist() if marked in actions.column_names else [None] * len(columns[0])
        )
        # Not ``file_uris()``: it escapes blanks and letters beyond ASCII, and DuckDB reads paths, not addresses.
        folder = self.path.resolve()
        files = [LakeFile(folder / path, *more) for path, *more in zip(*columns, strict=True)]
        return sorted(files, key=lambda file: (file.first_unix_ns, file.path))

    @cached_property
    def _schema(self) -> Schema:
        empty = pl.DataFrame(schema=polars_schema(self.table))
        return Schema.from_arrow(with_maps(self.table, empty).to_arrow().schema)

    def _settle_log(self, version: int) -> None:
        """Have the disk hold the commit: what it was made from may be deleted next."""
        log = self.path / "_delta_log"
        for path in (log / f"{version:020d}.json", log, self.path):
            settle(path)


def _frame(rows: pl.DataFrame | Coded) -> pl.DataFrame:
    return rows.frame if isinstance(rows, Coded) else rows
