"""The span lake: a Delta table of spans, exact duplicates removed, that anybody may read without a lock.

Spans are too many for the warehouse file: measured, a native insert costs four to ten times a Parquet append.
What a span means is derived in ``marts``; this module stores and lists files.
"""

import bisect
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.errors import ConfigurationError, StoreBusy
from weaver_forge.warehouse.conform import conform, one_a_key

_LOG = logging.getLogger(__name__)
_KEY = list(RAW_OTLP_SPANS.key)
_START = "start_unix_ns"
_ATTEMPTS = 20
_MAP = pl.Map(pl.String(), pl.String())


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A committed Parquet file and the range of span starts in it, both ends inclusive, nanoseconds since 1970."""

    path: Path
    n_rows: int
    first_start_unix_ns: int
    last_start_unix_ns: int


class SpanLake:
    """The Delta table of spans at ``path``. Nothing is cached: every call sees the newest commit.

    Args:
        path: Its folder; made by the first append.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, frame: pl.DataFrame) -> int:
        """Store the spans that are not there yet, in one commit; returns how many that were.

        A duplicate of a span carries the same start, so only files whose range of starts meets the batch are
        asked. Exact with several writers too: a commit that another one overtook is checked and tried again.

        Raises:
            ContractError: If the frame is no frame of raw_otlp__spans.
            StoreBusy: If other writers overtook it every time.
        """
        batch = one_a_key(RAW_OTLP_SPANS, conform(RAW_OTLP_SPANS, frame))
        for _ in range(_ATTEMPTS):
            table = self._table()
            fresh = _unknown(batch, [] if table is None else self._files_of(table))
            if fresh.is_empty() or self._commit(table, fresh):
                return fresh.height
            _LOG.info("%s: another writer was faster, checking again", self.path)
        raise StoreBusy(
            f"other writers overtook this one {_ATTEMPTS} times",
            where=str(self.path),
            do="Let the other ingest finish and try again: nothing of this batch was stored",
        )

    def files(self, version: int | None = None) -> list[Path]:
        """Absolute paths of the committed files, of an older version if asked; empty when there is no lake."""
        return [file.path for file in self.ranges(version)]

    def ranges(self, version: int | None = None) -> list[LakeFile]:
        """The committed files with their ranges of span starts, ordered by first start."""
        table = self._table(version)
        return [] if table is None else self._files_of(table)

    def version(self) -> int | None:
        """The newest committed version, counting from 0; None when nothing was ever stored."""
        table = self._table()
        return None if table is None else table.version()

    def compact(self) -> int:
        """Join small files into large ones, in one commit; returns how many files there are after it.

        Older versions keep their files until :meth:`vacuum`.
        """
        table = self._table()
        if table is None:
            return 0
        table.optimize.compact(writer_properties=_writer_properties())
        return len(self.files())

    def vacuum(self, *, keep_version: int, older_than: timedelta = timedelta(days=7)) -> list[str]:
        """Delete files that no version from ``keep_version`` on needs; returns their names.

        Args:
            keep_version: The Delta version that the oldest published snapshot pins.
            older_than: Files that left the table later than this stay for readers that still hold a list.
        """
        table = self._table()
        if table is None:
            return []
        return list(
            table.vacuum(
                retention_hours=int(older_than.total_seconds() // 3600),
                dry_run=False,
                enforce_retention_duration=False,
                keep_versions=list(range(keep_version, table.version() + 1)),
            )
        )

    def _table(self, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(str(self.path), version=version)
        except TableNotFoundError:
            return None

    def _files_of(self, table: DeltaTable) -> list[LakeFile]:
        actions = table.get_add_actions(flatten=True)
        columns = (
            actions.column(name).to_pylist() for name in ("path", "num_records", f"min.{_START}", f"max.{_START}")
        )
        # Not ``file_uris()``: it escapes blanks and letters beyond ASCII, and DuckDB reads paths, not addresses.
        files = [
            LakeFile(self.path.resolve() / path, n, low, high) for path, n, low, high in zip(*columns, strict=True)
        ]
        return sorted(files, key=lambda file: (file.first_start_unix_ns, file.path))

    def _commit(self, table: DeltaTable | None, fresh: pl.DataFrame) -> bool:
        """Commit on exactly the version that was checked; False when another writer came in between."""
        if "%" in str(self.path.resolve()):
            raise ConfigurationError(
                "a path with a percent sign cannot hold a Delta table", where=str(self.path), do="Move the deployment"
            )
        maps = [c.name for c in RAW_OTLP_SPANS.columns if c.type.startswith("MAP")]
        try:
            write_deltalake(
                str(self.path) if table is None else table,
                fresh.with_columns(pl.col(maps).cast(_MAP)).to_arrow(),
                mode="error" if table is None else "append",
                schema_mode=None if table is None else "merge",
                writer_properties=_writer_properties(),
                # Without retries a commit fails when its version is taken, instead of slipping in behind it.
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        except CommitFailedError:
            return False
        except DeltaError:
            if table is None and self._table() is not None:  # another writer made the table first
                return False
            raise
        return True


def _writer_properties() -> WriterProperties:
    return WriterProperties(compression="ZSTD", compression_level=1)


def _unknown(batch: pl.DataFrame, files: list[LakeFile]) -> pl.DataFrame:
    """The rows of the batch whose key is in none of the files."""
    if batch.is_empty() or not files:
        return batch
    starts = batch[_START].sort().to_list()
    # Against the starts themselves, not their range: one span with a broken clock must not open every file.
    met = [
        file.path
        for file in files
        if bisect.bisect_left(starts, file.first_start_unix_ns) < bisect.bisect_right(starts, file.last_start_unix_ns)
    ]
    if not met:
        return batch
    known = (
        pl.scan_parquet(met)
        .filter(pl.col(_START).is_between(starts[0], starts[-1]))
        .select(_KEY)
        .join(batch.lazy().select(_KEY), on=_KEY, how="semi")
        .collect()
    )
    return batch.join(known, on=_KEY, how="anti", maintain_order="left")
