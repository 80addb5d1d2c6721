"""The span lake holds every span once, whoever writes it and however often it is sent."""

from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.errors import ContractError
from weaver_forge.warehouse import SpanLake, polars_schema

DAY_NS = 86_400 * 10**9
START = 20_000 * DAY_NS
DEFAULTS = {
    "VARCHAR": "x",
    "INTEGER": 1,
    "BIGINT": START,
    "MAP(VARCHAR, VARCHAR)": [{"key": "tenant", "value": "a"}],
}


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


def names(lake: SpanLake) -> dict[str, int]:
    return dict(pl.read_parquet(lake.files()).group_by("name").len().sort("name").rows())


@pytest.fixture
def lake(tmp_path: Path) -> SpanLake:
    return SpanLake(tmp_path / "la ké" / "spans")


def test_a_lake_without_spans_has_no_files(lake: SpanLake) -> None:
    assert lake.files() == []
    assert lake.version() is None


def test_spans_sent_again_add_nothing(lake: SpanLake) -> None:
    """Whether the second sending is the same batch, overlaps, or repeats itself; the first one seen is kept."""
    first = lake.append(spans(range(10), name="first"))
    same = lake.append(spans(range(10), name="again"))
    overlap = lake.append(pl.concat([spans(range(5, 15), name="later"), spans(range(12, 15), name="later")]))

    assert (first, same, overlap) == (10, 0, 5)
    assert names(lake) == {"first": 10, "later": 5}
    assert lake.version() == 1


def test_two_starts_in_the_same_microsecond_stay_apart(lake: SpanLake) -> None:
    """Ranges are nanoseconds: a range cut to microseconds once let a duplicate through."""
    lake.append(spans(range(1), start=START + 999))

    again = lake.append(spans(range(1), start=START + 999))

    assert again == 0


def test_a_span_with_a_broken_clock_hides_no_duplicate(lake: SpanLake) -> None:
    broken = pl.concat([spans(range(1), start=0), spans(range(1, 2), start=2**62), spans(range(2, 3))])
    lake.append(broken)

    added = lake.append(pl.concat([spans(range(2, 4)), spans(range(1), start=0)]))

    assert added == 1


def test_an_empty_batch_commits_nothing(lake: SpanLake) -> None:
    assert lake.append(spans(range(0))) == 0
    assert lake.version() is None


def test_an_older_version_lists_its_own_files(lake: SpanLake) -> None:
    lake.append(spans(range(3)))
    lake.append(spans(range(3, 6)))

    assert len(lake.files(0)) == 1
    assert len(lake.files()) == 2
    assert set(lake.files(0)) < set(lake.files())


def test_a_file_says_the_range_of_its_starts(lake: SpanLake) -> None:
    lake.append(spans(range(3), step=7))

    (file,) = lake.ranges()

    assert (file.n_rows, file.first_start_unix_ns, file.last_start_unix_ns) == (3, START, START + 14)
    assert file.path.is_file()


def test_duckdb_reads_attributes_as_a_map(lake: SpanLake) -> None:
    lake.append(spans(range(2)))

    rows = duckdb.sql(
        f"select attributes['tenant'], typeof(attributes) from read_parquet('{lake.files()[0]}')"
    ).fetchall()

    assert rows == [("a", "MAP(VARCHAR, VARCHAR)")] * 2


def test_a_frame_of_something_else_is_refused(lake: SpanLake) -> None:
    with pytest.raises(ContractError, match="raw_otlp__spans"):
        lake.append(pl.DataFrame({"trace_id": ["a"]}))


class OvertakenOnce(SpanLake):
    """Another writer commits between this one's look and its commit, the first time only."""

    rival: pl.DataFrame | None = None

    def _commit(self, table: DeltaTable | None, fresh: pl.DataFrame) -> bool:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            SpanLake(self.path).append(rival)
        return super()._commit(table, fresh)


@pytest.mark.parametrize("already_there", [0, 3])
def test_a_writer_that_was_overtaken_checks_again(tmp_path: Path, already_there: int) -> None:
    """Two writers with the same spans store them once, on a new table and on an old one."""
    lake = OvertakenOnce(tmp_path / "spans")
    lake.append(spans(range(already_there)))
    lake.rival = spans(range(5, 8), name="rival")

    added = lake.append(spans(range(5, 10), name="mine"))

    assert added == 2
    assert names(lake) == {k: v for k, v in {"get": already_there, "mine": 2, "rival": 3}.items() if v}


def test_compacting_keeps_the_spans_and_vacuum_keeps_what_is_pinned(lake: SpanLake) -> None:
    for n in range(4):
        lake.append(spans(range(n * 3, n * 3 + 3)))

    n_files = lake.compact()
    removed = lake.vacuum(keep_version=2, older_than=timedelta(0))

    assert n_files == 1
    assert names(lake) == {"get": 12}
    assert len(removed) == 0  # version 4 is the newest; versions 2 and 3 still need the first files
    assert all(path.is_file() for path in lake.files(2))
    assert len(lake.vacuum(keep_version=4, older_than=timedelta(0))) == 4
    assert lake.append(spans(range(12))) == 0
