"""A pair of ids is one span, whatever its start, wherever in the lake it is, and whatever became of the index."""

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake.transaction import RemoveAction

from weaver_forge.contracts.table import Column, Table
from weaver_forge.warehouse import Lake, lake_index, lake_runs
from weaver_forge.warehouse.lake_files import LakeFile
from weaver_forge.warehouse.lake_index import KeyIndex
from weaver_forge.warehouse.lake_keys import Hashes, row_hashes
from weaver_forge.warehouse.lake_upkeep import compact, vacuum

DAY_NS = 86_400 * 10**9
START = 20_000 * DAY_NS
TOMORROW = datetime(2024, 10, 5)  # START is midnight of 2024-10-04
PAIRS = Table(
    layer="raw",
    source="otlp",
    entity="pairs",
    grain="pair",
    columns=(
        Column("trace_id", "VARCHAR", "A."),
        Column("span_id", "VARCHAR", "B."),
        Column("start_unix_ns", "BIGINT", "C."),
    ),
    key=("trace_id", "span_id"),
)


def pairs(ids: range, *, start: int = START) -> pl.DataFrame:
    return pl.DataFrame({
        "trace_id": [f"{n // 4:032x}" for n in ids],
        "span_id": [f"{n:016x}" for n in ids],
        "start_unix_ns": [start + n * 1000 for n in ids],
    })  # fmt: skip


def pair_lake(path: Path) -> Lake:
    return Lake(path, PAIRS, "start_unix_ns", equal_times=False)


def starts(lake: Lake) -> dict[str, int]:
    """What is stored: starts by the last digits of span ids."""
    rows = pl.concat([pl.read_parquet(path) for path in lake.files()])
    return {span[-2:]: start for _, span, start in rows.sort("span_id").rows()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return pair_lake(tmp_path / "spans")


def folder(lake: Lake) -> Path:
    return lake.path / "_keys"


def state(lake: Lake) -> dict[str, list[str]]:
    said: dict[str, list[str]] = json.loads((folder(lake) / "index.json").read_bytes())
    return said


def test_a_pair_twice_in_one_batch_is_the_first(lake: Lake) -> None:
    added = lake.append(pl.concat([pairs(range(2)), pairs(range(1), start=START + DAY_NS), pairs(range(1, 2))]))

    assert (added, lake.n_differing) == (2, 1)
    assert starts(lake) == {"00": START, "01": START + 1000}


def test_a_pair_in_two_staged_files_is_the_first(lake: Lake) -> None:
    staged = [lake.stage(pairs(range(3))), lake.stage(pairs(range(1, 5), start=START + DAY_NS))]

    added = lake.commit(staged)

    assert (added, lake.n_differing) == (5, 2)
    assert starts(lake)["02"] == START + 2000


@pytest.mark.parametrize("away", [-365 * DAY_NS, -1, 1, 365 * DAY_NS])
def test_a_stored_pair_is_known_at_any_start(lake: Lake, away: int) -> None:
    lake.append(pairs(range(10)))

    added = lake.append(pairs(range(5, 15), start=START + away))

    assert (added, lake.n_differing) == (5, 5)


def test_what_is_sent_again_does_not_differ(lake: Lake) -> None:
    lake.append(pairs(range(10)))

    added = lake.append(pl.concat([pairs(range(5, 15)), pairs(range(3), start=START + 1)]))

    assert (added, lake.n_differing) == (5, 3)


def test_parts_without_a_known_pair_stay_as_they_were_staged(lake: Lake) -> None:
    lake.append(pairs(range(10)))
    staged = [lake.stage(pairs(range(20, 30))), lake.stage(pairs(range(5, 15)))]

    lake.commit(staged)

    assert staged[0].path in lake.files()
    assert staged[1].path not in lake.files()
    assert not staged[1].path.exists()


def test_a_joined_file_is_covered_without_being_read(lake: Lake) -> None:
    for n in range(4):
        lake.append(pairs(range(n * 3, n * 3 + 3)))
    lake.append(pairs(range(100, 101), start=START + 3 * DAY_NS))  # covers the four
    covered = state(lake)

    compact(lake, TOMORROW)

    joined = next(path.name for path in lake.files() if path.name.startswith("day-"))
    assert joined in state(lake)["files"]
    assert state(lake)["runs"] == covered["runs"]


@pytest.mark.parametrize("upkeep", [compact, lambda lake, _: vacuum(lake, older_than=timedelta(0))])
def test_pairs_are_known_after_upkeep(lake: Lake, upkeep: Callable[[Lake, datetime], object]) -> None:
    for n in range(4):
        lake.append(pairs(range(n * 3, n * 3 + 3)))
    compact(lake, TOMORROW)
    upkeep(lake, TOMORROW)

    added = lake.append(pairs(range(13), start=START + 9 * DAY_NS))

    assert (added, lake.n_differing) == (1, 12)
    assert folder(lake).is_dir()


def test_pairs_whose_rows_were_dropped_are_new(lake: Lake) -> None:
    """The index still has their hashes; the files that are there have not their keys."""
    lake.append(pairs(range(5)))
    lake.append(pairs(range(5, 10)))
    lake.append(pairs(range(10, 11)))
    table = lake.delta()
    assert table is not None
    file = lake.ranges()[0]
    lake.change(table, [RemoveAction(file.path.name, data_change=True, deletion_timestamp=0, size=1)])

    added = lake.append(pairs(range(7), start=START + DAY_NS))

    assert (added, lake.n_differing) == (5, 2)


def damaged() -> dict[str, Callable[[Path], object]]:
    def other_release(keys: Path) -> None:
        said = json.loads((keys / "index.json").read_bytes())
        (keys / "index.json").write_text(json.dumps(said | {"made_by": "1 polars 0.1 abc"}))

    def cut(keys: Path) -> None:
        run = next(keys.glob("*.run"))
        run.write_bytes(run.read_bytes()[:-8])

    return {
        "gone": lambda keys: [path.unlink() for path in keys.iterdir()],
        "of another release": other_release,
        "a run cut off": cut,
        "a run gone": lambda keys: next(keys.glob("*.run")).unlink(),
        "torn": lambda keys: (keys / "index.json").write_bytes(b'{"made_by": "1 pol'),
        "empty": lambda keys: (keys / "index.json").write_bytes(b""),
        "not said": lambda keys: (keys / "index.json").write_bytes(b"[]"),
    }


@pytest.mark.parametrize("damage", damaged().values(), ids=damaged().keys())
def test_an_index_that_cannot_be_used_is_made_again(lake: Lake, damage: Callable[[Path], object]) -> None:
    for n in range(3):
        lake.append(pairs(range(n * 3, n * 3 + 3)))
    damage(folder(lake))
    later = pair_lake(lake.path)  # holds no hashes

    added = later.append(pairs(range(12), start=START + DAY_NS))

    assert added == 3
    assert len(state(lake)["files"]) == 3
    assert [path.stat().st_size for path in folder(lake).glob("*.run")] == [9 * 8]


def test_hashes_of_another_function_are_not_used(lake: Lake) -> None:
    def other(frame: pl.DataFrame, key: Sequence[str]) -> Hashes:
        return ~row_hashes(frame, key)

    lake.append(pairs(range(3)))
    lake.append(pairs(range(3, 6)))

    again = Lake(lake.path, PAIRS, "start_unix_ns", equal_times=False, hashing=other)

    assert again.append(pairs(range(7), start=START + 1)) == 1


def test_a_pair_that_an_older_release_stored_twice_is_known_by_either_start(lake: Lake) -> None:
    by_time = Lake(lake.path, PAIRS, "start_unix_ns")
    by_time.append(pairs(range(3)))
    by_time.append(pairs(range(3), start=START + DAY_NS))

    added = lake.append(pairs(range(4))), lake.append(pairs(range(4), start=START + DAY_NS))

    assert added == (1, 0)
    assert lake.n_differing == 1


def test_an_index_mostly_of_files_that_are_gone_is_made_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_index, "SLACK_ROWS", 0)
    for n in range(2):
        lake.append(pairs(range(n * 9, n * 9 + 9)))
    lake.append(pairs(range(20, 21)))
    table = lake.delta()
    assert table is not None
    gone = [RemoveAction(f.path.name, data_change=True, deletion_timestamp=0, size=1) for f in lake.ranges()[:2]]
    lake.change(table, gone)

    lake.append(pairs(range(30, 31)))

    assert sum(path.stat().st_size for path in folder(lake).glob("*.run")) == 8


def test_runs_stay_few_and_what_a_killed_process_left_goes(lake: Lake) -> None:
    for n in range(12):
        lake.append(pairs(range(n, n + 1)))
        folder(lake).mkdir(exist_ok=True)
        (folder(lake) / "left.run").write_bytes(b"12345678")

    lake.append(pairs(range(50, 51)))

    assert len(state(lake)["runs"]) <= 3
    assert len(list(folder(lake).glob("*.run"))) == len(state(lake)["runs"])
    assert lake.append(pairs(range(12), start=START + DAY_NS)) == 0


def _die_covering(path: Path, at: str) -> None:
    """Be killed while the index takes in the last commit."""
    lake = pair_lake(path)

    def die(*_args: object, **_more: object) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    if at == "the run":
        lake_runs.settle = die  # type: ignore[assignment]  # in a process that only dies
    else:
        lake_index.settle = die  # type: ignore[assignment]  # as above
    lake.append(pairs(range(100, 103)))


@pytest.mark.parametrize("at", ["the run", "the list of runs"])
def test_a_process_killed_while_it_writes_the_index_hides_no_pair(lake: Lake, at: str) -> None:
    lake.append(pairs(range(3)))
    lake.append(pairs(range(3, 6)))
    killed = multiprocessing.get_context("spawn").Process(target=_die_covering, args=(lake.path, at))
    killed.start()
    killed.join()

    added = pair_lake(lake.path).append(pairs(range(7), start=START + DAY_NS))

    assert killed.exitcode == -signal.SIGKILL
    assert added == 1


def _append_all(path: Path, away: int) -> None:
    lake = pair_lake(path)
    for n in range(8):
        lake.append(pairs(range(n * 2, n * 2 + 3), start=START + away))


def test_processes_that_send_the_same_pairs_at_other_starts_store_each_once(lake: Lake) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_all, args=(lake.path, n * DAY_NS)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    rows = pl.concat([pl.read_parquet(path) for path in lake.files()])
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert (rows.height, rows.n_unique(["trace_id", "span_id"])) == (17, 17)


def test_a_run_gives_what_it_has_read_whole_or_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_runs, "PIECE", 512)
    monkeypatch.setattr(lake_runs, "_WINDOW", 1024)
    random = np.random.default_rng(7)
    stored = np.unique(random.integers(0, 2**64 - 1, 10_000, dtype=np.uint64))
    lake_runs.write(tmp_path / "a.run", stored)
    few = np.sort(np.concatenate([stored[[0, 511, 512, 5000, -1]], random.integers(0, 2**64 - 1, 9, dtype=np.uint64)]))
    many = np.sort(np.concatenate([stored[::3], random.integers(0, 2**64 - 1, 3000, dtype=np.uint64)]))

    found = [lake_runs.met(tmp_path / "a.run", asked) for asked in (few, many, few[:0])]

    assert [part.tolist() for part in found] == [stored[[0, 511, 512, 5000, -1]].tolist(), stored[::3].tolist(), []]


def test_merged_runs_have_each_hash_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_runs, "PIECE", 64)
    random = np.random.default_rng(7)
    parts = [np.sort(random.integers(0, 900, n, dtype=np.uint64)) for n in (700, 50, 300)]
    for number in (1, 2):
        lake_runs.write(tmp_path / f"{number}.run", parts[number])

    n = lake_runs.write(tmp_path / "all.run", parts[0], [tmp_path / "1.run", tmp_path / "2.run"])

    assert np.fromfile(tmp_path / "all.run", np.uint64).tolist() == np.unique(np.concatenate(parts)).tolist()
    assert n == len(np.unique(np.concatenate(parts)))


STEP = np.uint64(1_000_003)
STORED = LakeFile(Path("part-0.parquet"), 8_000_000, 0, 0)


def _index(path: Path) -> KeyIndex:
    return KeyIndex(path, PAIRS.key, row_hashes, lambda file: np.arange(file.n_rows, dtype=np.uint64) * STEP)


def _look(path: Path, answer: "multiprocessing.Queue[int]") -> None:
    asked = [np.arange(n, dtype=np.uint64) * STEP for n in (8_000, 100_000)]  # the run is read in part, and whole
    _index(path).met(asked[0][:0], [STORED])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert [len(_index(path).met(some, [STORED])) for some in asked] == [8_000, 100_000]
    answer.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def test_looking_into_a_large_index_holds_little_of_it(tmp_path: Path) -> None:
    _index(tmp_path).met(np.arange(1, dtype=np.uint64), [STORED])
    spawn = multiprocessing.get_context("spawn")
    answer: multiprocessing.Queue[int] = spawn.Queue()
    looking = spawn.Process(target=_look, args=(tmp_path, answer))

    looking.start()
    grown_mb = answer.get(timeout=60)
    looking.join()

    assert grown_mb < 40  # of 64 MB
