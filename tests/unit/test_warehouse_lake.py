"""A lake holds every row once, whoever writes it and however often it is sent."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.errors import ContractError, MissingInput, StoreFull
from weaver_forge.warehouse import Lake, lake_keys, lake_table, polars_schema, room
from weaver_forge.warehouse.lake import Staged
from weaver_forge.warehouse.lake_upkeep import compact, vacuum

DAY_NS = 86_400 * 10**9
START = 20_000 * DAY_NS
DEFAULTS = {
    "VARCHAR": "x",
    "INTEGER": 1,
    "BIGINT": START,
    "MAP(VARCHAR, VARCHAR)": [{"key": "tenant", "value": "a"}],
}
WITHOUT_LINKS = tuple(c for c in RAW_OTLP_SPANS.columns if c.name != "links")


def spans(ids: range, *, start: int = START, step: int = 1000, name: str = "get") -> pl.DataFrame:
    """Spans with ids and starts that count up."""
    columns = {c.name: [None if c.nullable else DEFAULTS[c.type]] * len(ids) for c in RAW_OTLP_SPANS.columns}
    columns |= {
        "trace_id": [f"{n // 4:032x}" for n in ids],
        "span_id": [f"{n:016x}" for n in ids],
        "name": [name] * len(ids),
        "start_unix_ns": [start + n * step for n in ids],
    }
    return pl.DataFrame(columns, schema=polars_schema(RAW_OTLP_SPANS))


def span_lake(path: Path) -> Lake:
    return Lake(path, RAW_OTLP_SPANS, "start_unix_ns", equal_times=False)


def names(lake: Lake) -> dict[str, int]:
    return dict(pl.read_parquet(lake.files()).group_by("name").len().sort("name").rows())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return span_lake(tmp_path / "la ké" / "spans")


@pytest.fixture(params=[True, False])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    """A lake that tells files apart by times, and one with an index."""
    return Lake(tmp_path / "la ké" / "spans", RAW_OTLP_SPANS, "start_unix_ns", equal_times=request.param)


def test_a_lake_without_spans_has_no_files(lake: Lake) -> None:
    assert lake.files() == []
    assert lake.version() is None


def test_spans_sent_again_add_nothing(either: Lake) -> None:
    """Whether the second sending is the same batch, overlaps, or repeats itself; the first one seen is kept."""
    first = either.append(spans(range(10), name="first"))
    same = either.append(spans(range(10), name="again"))
    overlap = either.append(pl.concat([spans(range(5, 15), name="later"), spans(range(12, 15), name="later")]))

    assert (first, same, overlap) == (10, 0, 5)
    assert names(either) == {"first": 10, "later": 5}
    assert either.version() == 1


def test_two_starts_in_the_same_microsecond_stay_apart(either: Lake) -> None:
    """Ranges are nanoseconds: a range cut to microseconds once let a duplicate through."""
    either.append(spans(range(1), start=START + 999))

    again = either.append(spans(range(1), start=START + 999))

    assert again == 0


def test_a_span_with_a_broken_clock_hides_no_duplicate(either: Lake) -> None:
    broken = pl.concat([spans(range(1), start=0), spans(range(1, 2), start=2**62), spans(range(2, 3))])
    either.append(broken)

    added = either.append(pl.concat([spans(range(2, 4)), spans(range(1), start=0)]))

    assert added == 1


def test_an_empty_batch_commits_nothing(lake: Lake) -> None:
    assert lake.append(spans(range(0))) == 0
    assert lake.version() is None


def test_an_older_version_lists_its_own_files(lake: Lake) -> None:
    lake.append(spans(range(3)))
    lake.append(spans(range(3, 6)))

    assert len(lake.files(0)) == 1
    assert len(lake.files()) == 2
    assert set(lake.files(0)) < set(lake.files())


def test_a_file_says_the_range_of_its_starts(lake: Lake) -> None:
    lake.append(spans(range(3), step=7))

    (file,) = lake.ranges()

    assert (file.n_rows, file.first_unix_ns, file.last_unix_ns) == (3, START, START + 14)
    assert file.path.is_file()


def test_duckdb_reads_attributes_as_a_map(lake: Lake) -> None:
    lake.append(spans(range(2)))

    rows = duckdb.sql(
        f"select attributes['tenant'], typeof(attributes) from read_parquet('{lake.files()[0]}')"
    ).fetchall()

    assert rows == [("a", "MAP(VARCHAR, VARCHAR)")] * 2


def test_a_frame_of_something_else_is_refused(lake: Lake) -> None:
    with pytest.raises(ContractError, match="raw_otlp__spans"):
        lake.append(pl.DataFrame({"trace_id": ["a"]}))


class OvertakenOnce(Lake):
    """Another writer commits between this one's look and its commit, the first time only."""

    rival: pl.DataFrame | None = None

    def _commit(self, table: DeltaTable | None, parts: Sequence[Staged]) -> bool:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            span_lake(self.path).append(rival)
        return super()._commit(table, parts)


@pytest.mark.parametrize("already_there", [0, 3])
def test_a_writer_that_was_overtaken_checks_again(tmp_path: Path, already_there: int) -> None:
    """Two writers with the same spans store them once, on a new table and on an old one."""
    lake = OvertakenOnce(tmp_path / "spans", RAW_OTLP_SPANS, "start_unix_ns", equal_times=False)
    lake.append(spans(range(already_there)))
    lake.rival = spans(range(5, 8), name="rival")

    added = lake.append(spans(range(5, 10), name="mine"))

    assert added == 2
    assert names(lake) == {k: v for k, v in {"get": already_there, "mine": 2, "rival": 3}.items() if v}


TOMORROW = datetime(2024, 10, 5)  # START is midnight of 2024-10-04


def test_compacting_keeps_the_spans_and_vacuum_keeps_what_is_pinned(lake: Lake) -> None:
    for n in range(4):
        lake.append(spans(range(n * 3, n * 3 + 3)))

    joined = compact(lake, TOMORROW)
    removed = vacuum(lake, pinned=[2], older_than=timedelta(0))

    assert joined == (4, 1)
    assert names(lake) == {"get": 12}
    assert len(removed) == 1  # the file of version 3 alone: version 2 is pinned
    assert all(path.is_file() for path in lake.files(2))
    assert len(vacuum(lake, older_than=timedelta(0))) == 3
    assert lake.append(spans(range(12))) == 0


def test_a_day_that_is_not_over_is_not_compacted(lake: Lake) -> None:
    for n in range(2):
        lake.append(spans(range(n * 3, n * 3 + 3)))

    assert compact(lake, datetime(2024, 10, 4)) == (0, 0)
    assert len(lake.files()) == 2


def test_compacting_again_changes_nothing(lake: Lake) -> None:
    for n in range(3):
        lake.append(spans(range(n * 3, n * 3 + 3), start=START + n * DAY_NS // 2))

    first = compact(lake, datetime(2024, 10, 6))
    again = compact(lake, datetime(2024, 10, 6))

    assert (first, again) == ((2, 1), (0, 0))
    assert len(lake.files()) == 2


def test_compacting_puts_broken_clocks_apart(either: Lake) -> None:
    """A file as wide as the error of one clock would be opened for every later batch."""
    either.append(pl.concat([spans(range(1), start=0), spans(range(1, 2), start=2**62), spans(range(2, 9))]))

    compact(either, TOMORROW)

    assert [(f.first_unix_ns, f.n_rows) for f in either.ranges()] == [(0, 1), (START + 2000, 7), (2**62 + 1000, 1)]
    assert either.append(spans(range(1), start=0)) == 0


def test_a_join_that_another_writer_overtook_is_made_on_his_version(lake: Lake) -> None:
    rival = OvertakenOnChange(lake.path, RAW_OTLP_SPANS, "start_unix_ns", equal_times=False)
    for n in range(2):
        lake.append(spans(range(n * 3, n * 3 + 3)))

    joined = compact(rival, TOMORROW)

    assert joined == (2, 1)
    assert names(lake) == {"get": 6, "rival": 1}


class OvertakenOnChange(Lake):
    """Another writer commits before this one's first change."""

    overtaken = False

    def change(self, table: DeltaTable, actions: Sequence[AddAction | RemoveAction]) -> bool:
        """Be overtaken once."""
        if not self.overtaken:
            self.overtaken = True
            span_lake(self.path).append(spans(range(90, 91), name="rival"))
        return super().change(table, actions)


def test_staged_rows_are_seen_by_nobody_until_they_are_committed(either: Lake) -> None:
    staged = [either.stage(spans(range(5))), either.stage(spans(range(3, 8)))]

    before = either.files()
    added = either.commit(staged)

    assert before == []
    assert added == 8
    assert names(either) == {"get": 8}


def test_committing_the_same_staged_files_twice_adds_nothing(either: Lake) -> None:
    """A worker's result that is handed over again after a crash of the committer."""
    rows = spans(range(5))
    either.commit([either.stage(rows)])

    assert either.commit([either.stage(rows), either.stage(rows)]) == 0


@pytest.mark.parametrize("equal_times", [True, False])
def test_rows_that_share_a_hash_and_no_key_are_all_kept(tmp_path: Path, *, equal_times: bool) -> None:
    def same(frame: pl.DataFrame, _key: Sequence[str]) -> lake_keys.Hashes:
        return np.ones(frame.height, dtype=np.uint64)

    lake = Lake(tmp_path, RAW_OTLP_SPANS, "start_unix_ns", equal_times=equal_times, hashing=same)
    lake.append(spans(range(5)))

    assert lake.append(spans(range(3, 8))) == 3


def test_a_lake_of_an_older_release_takes_the_new_column(tmp_path: Path) -> None:
    older = replace(RAW_OTLP_SPANS, columns=WITHOUT_LINKS)
    Lake(tmp_path / "spans", older, "start_unix_ns").append(spans(range(3)).drop("links"))
    lake = span_lake(tmp_path / "spans")

    added = lake.append(spans(range(2, 5)))
    joined = compact(lake, TOMORROW)

    table = lake.delta()
    assert (added, joined) == (2, (2, 1))
    assert table is not None
    assert "links" in {field.name for field in table.schema().fields}


def test_a_writer_of_a_newer_release_that_was_overtaken_checks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declaring the new column is a commit that slips in behind the rival's, whose rows nobody checked."""
    older = Lake(tmp_path / "spans", replace(RAW_OTLP_SPANS, columns=WITHOUT_LINKS), "start_unix_ns")
    older.append(spans(range(3)).drop("links"))
    lake, rival = span_lake(tmp_path / "spans"), [spans(range(5, 8), name="rival").drop("links")]
    look = lake_table._missing_columns

    def overtaken(table: DeltaTable, schema: Schema) -> list[Field]:
        missing = look(table, schema)
        if rival:
            older.append(rival.pop())
        return missing

    monkeypatch.setattr(lake_table, "_missing_columns", overtaken)

    added = lake.append(spans(range(5, 10), name="mine"))

    assert added == 2
    assert dict(
        pl.concat([pl.read_parquet(p, columns=["name"]) for p in lake.files()])["name"].value_counts().rows()
    ) == {
        "get": 3,
        "rival": 3,
        "mine": 2,
    }


def test_old_logs_stay_and_a_version_that_is_gone_is_not_an_empty_lake(lake: Lake) -> None:
    for n in range(3):
        lake.append(spans(range(n, n + 1)))
    table = lake.delta()
    assert table is not None
    table.create_checkpoint()
    (lake.path / "_delta_log" / f"{0:020d}.json").unlink()

    deleted = vacuum(lake, pinned=[0, 2])

    assert table.metadata().configuration == {"delta.enableExpiredLogCleanup": "false"}
    assert deleted == []
    with pytest.raises(MissingInput, match="version 0 of the lake is not there"):
        lake.files(0)


def test_old_logs_go_that_no_version_kept_is_read_from(lake: Lake) -> None:
    for n in range(8):
        lake.append(spans(range(n, n + 1)))
        if n in {2, 5}:
            DeltaTable(str(lake.path)).create_checkpoint()
    log = lake.path / "_delta_log"
    for path in log.iterdir():
        os.utime(path, (0, 0))

    vacuum(lake, pinned=[4])
    pinned = sorted(path.name[18:] for path in log.glob("0*"))
    readable = len(lake.files(4))
    vacuum(lake)

    assert pinned[:3] == ["02.checkpoint.parquet", "02.json", "03.json"]
    assert readable == 5
    assert sorted(path.name[18:] for path in log.glob("0*"))[:2] == ["05.checkpoint.parquet", "05.json"]
    assert len(lake.files()) == 8


def test_a_lake_of_an_older_release_keeps_its_logs_from_now_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(lake_table, "PROPERTIES", {})
        lake.append(spans(range(3)))

    added = lake.append(spans(range(2, 5)))

    table = lake.delta()
    assert added == 2
    assert table is not None
    assert table.metadata().configuration == {"delta.enableExpiredLogCleanup": "false"}


def test_the_folders_of_a_new_lake_outlive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Path] = []
    monkeypatch.setattr(room, "settle", settled.append)

    span_lake(tmp_path / "lake" / "spans").append(spans(range(1)))

    assert {tmp_path, tmp_path / "lake"} <= set(settled)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "x"), OSError("File too large (os error 27)"), DeltaError("no space left on device")],
)
def test_a_full_disk_is_said_as_such(lake: Lake, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr(pq, "write_table", full)

    with pytest.raises(StoreFull, match="Free space and run the same command again"):
        lake.append(spans(range(3)))
    assert list(lake.path.glob("*.parquet")) == []
