"""Bodies are unpacked whatever they are made of, in time and memory that their size allows."""

import gzip
import time
import tracemalloc

import pytest

from weaver_forge.receivers.otlp_bodies import BodyTooLarge, BodyUnreadable, unpacked

LIMIT = 64 * 2**20
MEMBER = gzip.compress(b"x", mtime=0)


def cpu_seconds(body: bytes) -> float:
    """The least of three, for others use the machine too."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        unpacked(body, "gzip", LIMIT)
        taken.append(time.process_time() - begun)
    return min(taken)


def test_a_body_of_many_gzip_members_takes_time_in_proportion() -> None:
    few, many = MEMBER * 2_000, MEMBER * 16_000

    ratio = cpu_seconds(many) / cpu_seconds(few)

    assert ratio < 24  # 8 in proportion, 64 by the square
    assert unpacked(many, "gzip", LIMIT) == b"x" * 16_000


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 3_000_000])
def test_gzip_members_of_any_size_are_unpacked(size: int) -> None:
    text = bytes(index * index % 251 for index in range(min(size, 5000))) * max(1, size // 5000)

    body = gzip.compress(text, mtime=0, compresslevel=1) + MEMBER + gzip.compress(text, mtime=0, compresslevel=0)

    assert unpacked(body, "gzip", LIMIT) == text + b"x" + text


def test_gzip_members_share_the_limit() -> None:
    assert unpacked(MEMBER * 10, "gzip", 10) == b"x" * 10
    with pytest.raises(BodyTooLarge):
        unpacked(MEMBER * 11, "gzip", 10)


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(20_000_000), mtime=0)
    tracemalloc.start()

    with pytest.raises(BodyTooLarge):
        unpacked(bomb, "gzip", 2_000_000)

    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8_000_000


@pytest.mark.parametrize("body", [b"", MEMBER[:-1], MEMBER * 3 + MEMBER[:5], MEMBER + b"more", MEMBER[:3]])
def test_what_is_cut_off_or_followed_by_something_is_unreadable(body: bytes) -> None:
    with pytest.raises(BodyUnreadable, match="the body is not gzip"):
        unpacked(body, "gzip", LIMIT)
