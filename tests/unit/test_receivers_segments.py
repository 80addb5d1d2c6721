"""Segments: done means on disk, and nothing torn lies in front of anything good."""

import errno
import fcntl
import itertools
import os
import struct
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weaver_forge.receivers import segment_file
from weaver_forge.receivers.segments import InboxFull, InboxUnwritable, Segments

if TYPE_CHECKING:
    from concurrent.futures import Future

Make = Callable[..., Segments]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Segments in a folder of the test's own, closed after it."""
    made: list[Segments] = []
    ticks = itertools.count()

    def now() -> datetime:
        return datetime(2026, 3, 1) + timedelta(seconds=next(ticks))

    def segments(**changes: Any) -> Segments:
        usual: dict[str, Any] = {"prefix": "traces-", "suffix": ".otlp", "max_bytes": 2**20, "max_age_s": 60.0}
        made.append(Segments(tmp_path / "received", **(usual | changes), now=now))
        return made[-1]

    yield segments
    for one in made:
        one.close()


def records(path: Path) -> list[bytes]:
    """The length-framed records of a file."""
    data, found = path.read_bytes(), []
    while data:
        size = struct.unpack(">I", data[:4])[0]
        found.append(data[4 : 4 + size])
        assert len(found[-1]) == size
        data = data[4 + size :]
    return found


def sealed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def growing(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.open"))


def test_a_done_record_is_in_a_growing_file_that_intake_ignores(make: Make) -> None:
    segments = make()

    segments.put(b"one").result(5)

    (path,) = growing(segments.folder)
    assert path.name.startswith(".traces-")
    assert records(path) == [b"one"]
    assert sealed(segments.folder) == []


def test_closing_stores_what_is_queued_and_seals(make: Make) -> None:
    segments = make()
    futures = [segments.put(b"%d" % n) for n in range(1000)]

    segments.close()

    assert all(future.done() for future in futures)
    (path,) = sealed(segments.folder)
    assert path.name.startswith("traces-")
    assert path.suffix == ".otlp"
    assert records(path) == [b"%d" % n for n in range(1000)]
    assert growing(segments.folder) == []


def test_a_folder_that_is_not_ours_to_write_to_is_said_at_the_start(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaver_forge.receivers.segments.os.access", lambda *_: False)

    with pytest.raises(PermissionError) as said:
        make()

    assert said.value.filename == str(tmp_path / "received")


def test_after_closing_nothing_is_taken(make: Make) -> None:
    segments = make()
    segments.close()

    with pytest.raises(InboxFull, match="stopping"):
        segments.put(b"late")


def test_a_file_is_sealed_by_size(make: Make) -> None:
    segments = make(max_bytes=100)
    for n in range(6):
        segments.put(bytes([65 + n]) * 60).result(5)

    segments.close()

    assert [len(records(path)) for path in sealed(segments.folder)] == [2, 2, 2]


def test_a_file_is_sealed_by_age_though_nothing_more_comes(make: Make) -> None:
    segments = make(max_age_s=0.05)
    segments.put(b"one").result(5)

    deadline = time.monotonic() + 5
    while not sealed(segments.folder) and time.monotonic() < deadline:
        time.sleep(0.01)

    (path,) = sealed(segments.folder)
    assert records(path) == [b"one"]


def test_many_records_share_one_sync(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    real = os.fdatasync
    monkeypatch.setattr(segment_file.os, "fdatasync", lambda file: (syncs.append(file), time.sleep(0.02), real(file)))
    segments = make()

    for future in [segments.put(b"x") for _ in range(500)]:
        future.result(5)

    assert len(syncs) < 50


def test_lines_are_framed_by_newlines(make: Make) -> None:
    segments = make(framing="lines", prefix="", suffix=".jsonl")
    segments.put(b'{"a":1}')
    segments.put(b'{"b":2}')

    segments.close()

    (path,) = sealed(segments.folder)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize(("framing", "record"), [("length", b""), ("lines", b"a\nb")])
def test_a_record_that_could_not_be_told_apart_is_a_mistake(make: Make, framing: str, record: bytes) -> None:
    with pytest.raises(ValueError, match="a record is"):
        make(framing=framing).put(record)


def test_too_much_waiting_is_refused_until_the_disk_caught_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fdatasync
    monkeypatch.setattr(segment_file.os, "fdatasync", lambda file: (time.sleep(0.1), real(file)))
    segments = make(max_queued_bytes=100)
    first = segments.put(b"x" * 500)  # larger than the bound, but nothing else waits
    taken: list[Future[None]] = []

    with pytest.raises(InboxFull, match="too much is waiting"):
        taken.extend(segments.put(b"y" * 60) for _ in range(10))

    for future in [first, *taken]:
        future.result(5)
    segments.put(b"z").result(5)


def test_a_full_disk_fails_the_records_and_later_ones_are_stored_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = make()
    segments.put(b"good").result(5)
    monkeypatch.setattr(segment_file.os, "write", _half_then(errno.ENOSPC))
    refused = segments.put(b"refused")

    with pytest.raises(InboxUnwritable, match="No space left"):
        refused.result(5)
    assert segments.state.problem == "No space left on device"
    monkeypatch.undo()
    segments.put(b"later").result(5)

    segments.close()
    assert [records(path) for path in sealed(segments.folder)] == [[b"good"], [b"later"]]
    assert not segments.state.problem


def test_after_a_failed_sync_nothing_is_added_to_the_same_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = make()
    segments.put(b"good").result(5)

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(segment_file.os, "fdatasync", broken)
    with pytest.raises(InboxUnwritable, match="Input/output error"):
        segments.put(b"lost").result(5)
    monkeypatch.undo()
    segments.put(b"later").result(5)

    segments.close()
    assert [records(path) for path in sealed(segments.folder)] == [[b"good"], [b"later"]]


def test_the_reserve_of_free_space_is_kept_for_whoever_drains_the_inbox(make: Make) -> None:
    segments = make(min_free_bytes=2**60)

    with pytest.raises(InboxUnwritable, match="would be left on the disk"):
        segments.put(b"x").result(5)

    assert list(segments.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("framing", "suffix", "left", "kept"),
    [
        ("length", ".otlp", b"\x00\x00\x00\x02ab\x00\x00\x00\x09cd", b"\x00\x00\x00\x02ab"),
        ("length", ".otlp", b"\x00\x00\x00\x02ab\x00\x00", b"\x00\x00\x00\x02ab"),
        ("length", ".otlp", b"\x00\x00\x00\x02ab" + bytes(4096), b"\x00\x00\x00\x02ab"),
        ("lines", ".jsonl", b'{"a":1}\n{"b":', b'{"a":1}\n'),
    ],
)
def test_what_a_crash_left_is_sealed_without_its_torn_end(
    make: Make, tmp_path: Path, framing: str, suffix: str, left: bytes, kept: bytes
) -> None:
    folder = tmp_path / "received"
    folder.mkdir()
    (folder / f".traces-1{suffix}.open").write_bytes(left)
    (folder / f".traces-2{suffix}.open").write_bytes(left[len(kept) :])
    (folder / f".logs-1{suffix}.open").write_bytes(left)

    segments = make(framing=framing, suffix=suffix)

    assert segments.recovered == [folder / f"traces-1{suffix}"]
    assert (folder / f"traces-1{suffix}").read_bytes() == kept
    assert [path.name for path in growing(folder)] == [f".logs-1{suffix}.open"]


def test_a_file_that_another_receiver_writes_is_left_alone(make: Make) -> None:
    first = make()
    first.put(b"one").result(5)

    second = make()

    assert second.recovered == []
    first.put(b"two").result(5)
    first.close()
    (path,) = sealed(first.folder)
    assert records(path) == [b"one", b"two"]


def test_a_folder_that_is_removed_while_listening_is_made_again(make: Make) -> None:
    segments = make(max_bytes=1)
    segments.put(b"one").result(5)
    deadline = time.monotonic() + 5
    while not sealed(segments.folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    sealed(segments.folder)[0].unlink()
    segments.folder.rmdir()

    segments.put(b"two").result(5)

    segments.close()
    assert [records(path) for path in sealed(segments.folder)] == [[b"two"]]


def _half_then(code: int) -> Callable[[int, memoryview], int]:
    """A write that takes half of what it is given, then fails: a torn record."""
    real = os.write

    def write(file: int, data: memoryview) -> int:
        if len(data) > 4:
            return real(file, data[: len(data) // 2])
        raise OSError(code, os.strerror(code))

    return write


def test_a_file_that_another_receiver_removes_before_it_is_locked_is_made_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = make()
    real, seen = fcntl.flock, []

    def flock(file: int, how: int) -> None:
        if how == fcntl.LOCK_EX and not seen:
            seen.append(file)
            segment_file.recover(segments.folder, prefix="traces-", suffix=".otlp", framing="length")
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)

    segments.put(b"one").result(5)

    assert seen
    (path,) = growing(segments.folder)
    assert records(path) == [b"one"]


def test_recovery_leaves_a_file_alone_that_is_sealed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / ".traces-1.otlp.open", fcntl.flock
    path.write_bytes(b"\0\0\0\1x")

    def flock(file: int, how: int) -> None:
        path.rename(tmp_path / "traces-1.otlp")
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)

    assert segment_file.recover(tmp_path, prefix="traces-", suffix=".otlp", framing="length") == []
    assert records(tmp_path / "traces-1.otlp") == [b"x"]
