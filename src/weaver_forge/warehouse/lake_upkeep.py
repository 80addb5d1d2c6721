"""Upkeep of a lake: many small files of closed days become few large ones, and what nobody needs is deleted.

Put what rewrites or deletes committed files here. Neither changes what a reader sees: rows stay the same.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl
from deltalake.transaction import RemoveAction

from weaver_forge.errors import MissingInput
from weaver_forge.warehouse.conform import conform
from weaver_forge.warehouse.lake import Lake, LakeFile

_LOG = logging.getLogger(__name__)

TARGET_ROWS = 500_000
"""Rows of a joined file: about 25 MB of spans, which are sorted in memory."""

_DAY_NS = 86_400 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ATTEMPTS = 20


def compact(lake: Lake, before: datetime, *, target_rows: int = TARGET_ROWS) -> tuple[int, int]:
    """Join the small files of days that are over, sorted by time; returns files replaced and files written.

    No file written crosses midnight: a row with a broken clock is put apart, and no longer makes the range of
    its file as wide as its error. Older versions keep their files until :func:`vacuum`.

    Args:
        lake: Where.
        before: Midnight, naive UTC: days before it are over.
        target_rows: Files of half this size or more are left alone.

    Raises:
        StoreFull: If there is no room; what was joined until then stays joined.
    """
    closed_ns = int((before.replace(tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1)) * 1000
    replaced = written = 0
    for find in (_wide, _small):
        for group in find(lake.ranges(), closed_ns, target_rows):
            made = _rewrite(lake, group)
            replaced, written = replaced + (len(group) if made else 0), written + made
    return replaced, written


def vacuum(lake: Lake, *, pinned: Sequence[int] = (), older_than: timedelta = timedelta(days=1)) -> list[Path]:
    """Delete files that neither the newest version nor a pinned one needs; returns those deleted.

    Logs older than 30 days go too, but for those that the oldest version kept is read from: its checkpoint and what
    follows.

    Args:
        lake: Where.
        pinned: The Delta versions that published snapshots name; one that is gone is skipped with a warning.
        older_than: Younger files stay: readers may still hold a list of them, and writers may be about to commit
            them. Whole hours.
    """
    table = lake.delta()
    if table is None:
        return []
    kept = [version for version in pinned if _is_readable(lake, version)]
    before = set(lake.path.glob("*.parquet"))
    table.vacuum(
        retention_hours=older_than // timedelta(hours=1),
        dry_run=False,
        enforce_retention_duration=False,
        full=True,
        keep_versions=sorted({table.version(), *kept}),
    )
    oldest = lake.delta(min(kept, default=None))
    if oldest is not None:
        oldest.cleanup_metadata()  # keeps what the version that was opened is read from
    # Not what the library returns: it lists files again that an earlier vacuum deleted.
    return sorted(before - set(lake.path.glob("*.parquet")))


def _is_readable(lake: Lake, version: int) -> bool:
    try:
        lake.delta(version)
    except MissingInput as error:
        _LOG.warning("nothing is kept for a snapshot: %s", error)
        return False
    return True


def _wide(files: Sequence[LakeFile], closed_ns: int, _target_rows: int) -> list[list[LakeFile]]:
    """Files of closed days that cross midnight, and files of today that reach far beyond it; each by itself."""
    over = (f for f in files if f.last_unix_ns < closed_ns or f.last_unix_ns >= closed_ns + 2 * _DAY_NS)
    return [[f] for f in over if _day(f.first_unix_ns) != _day(f.last_unix_ns)]


def _small(files: Sequence[LakeFile], closed_ns: int, target_rows: int) -> list[list[LakeFile]]:
    """Two and more small files of the same closed day, together not much above the target."""
    small = [
        f
        for f in files
        if f.last_unix_ns < closed_ns and f.n_rows < target_rows // 2 and _day(f.first_unix_ns) == _day(f.last_unix_ns)
    ]
    groups: list[list[LakeFile]] = []
    for _, of_day in groupby(small, key=lambda f: _day(f.first_unix_ns)):
        groups.append([])
        for file in of_day:
            if sum(f.n_rows for f in groups[-1]) >= target_rows:
                groups.append([])
            groups[-1].append(file)
    return [group for group in groups if len(group) > 1]


def _rewrite(lake: Lake, group: Sequence[LakeFile]) -> int:
    """Put files of one day each in place of a group, in one commit; returns how many, 0 if the group was gone."""
    rows = pl.concat((pl.read_parquet(file.path) for file in group), how="diagonal")
    rows = conform(lake.table, rows).sort(lake.time_column)
    made: list[LakeFile] = []
    days = rows.select(pl.col(lake.time_column).floordiv(_DAY_NS).rle()).unnest(lake.time_column)["len"].to_list()
    start = 0
    for length in days:
        day = rows.slice(start, length)
        path = lake.write(day, f"day-{uuid.uuid4().hex}.parquet")
        first, last = int(day[lake.time_column][0]), int(day[lake.time_column][-1])
        made.append(LakeFile(path, length, first, last, lake.lowest(day)))
        start += length
    if _swapped(lake, group, made):
        lake.joined(group, made)
        return len(made)
    for file in made:
        file.path.unlink()
    return 0


def _swapped(lake: Lake, group: Sequence[LakeFile], made: Sequence[LakeFile]) -> bool:
    # The files' own time: what is deleted later is compared with times of files, not with a simulated clock.
    at_ms = max(file.path.stat().st_mtime_ns for file in made) // 1_000_000
    actions = [lake.added(file, data_change=False) for file in made]
    removed = [
        RemoveAction(f.path.name, data_change=False, deletion_timestamp=at_ms, size=f.path.stat().st_size)
        for f in group
    ]
    for _ in range(_ATTEMPTS):
        table = lake.delta()
        if table is None or not {f.path for f in group} <= set(lake.files(table.version())):
            return False
        if lake.change(table, [*actions, *removed]):
            return True
    return False


def _day(unix_ns: int) -> int:
    return unix_ns // _DAY_NS
