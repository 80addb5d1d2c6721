"""What a worker is told of messages, and what it reads of them."""

from pathlib import Path

import pytest
import zstandard

from assets.handover import Moved, fetch, locate
from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.sources.streams import read_messages


def messages_of(path: Path) -> list[Message]:
    return [piece for piece in read_messages(path) if isinstance(piece, Message)]


@pytest.fixture
def bodies() -> list[bytes]:
    return list(requests(400, spans_per_request=100, n_repeats=0))


@pytest.fixture
def framed(bodies: list[bytes], tmp_path: Path) -> Path:
    path = tmp_path / "spans.otlp"
    path.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in bodies))
    return path


def test_a_worker_reads_the_very_messages(framed: Path) -> None:
    messages = messages_of(framed)

    located = locate(str(framed), messages)

    assert located is not None
    assert fetch(located) == messages


def test_lines_of_json_are_read_without_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"\r\n".join(requests(300, encoding="json", spans_per_request=100, n_repeats=0)) + b"\r\n")
    messages = messages_of(path)

    located = locate(str(path), messages)

    assert located is not None
    assert fetch(located) == messages


def test_a_part_of_a_file_is_read_where_it_lies(framed: Path) -> None:
    messages = messages_of(framed)[2:]

    located = locate(str(framed), messages)

    assert located is not None
    assert located.start == messages[0].start
    assert fetch(located) == messages


def test_what_is_compressed_is_sent_itself(bodies: list[bytes], tmp_path: Path) -> None:
    whole, each = tmp_path / "whole.otlp.zst", tmp_path / "each.otlp"
    whole.write_bytes(zstandard.compress(b"".join(len(body).to_bytes(4, "big") + body for body in bodies)))
    packed = [zstandard.compress(body) for body in bodies]
    each.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in packed))

    assert locate(str(whole), messages_of(whole)) is None
    assert locate(str(each), messages_of(each)) is None


@pytest.mark.parametrize("change", ["replaced", "cut", "gone"])
def test_a_file_that_is_another_now_is_noticed(framed: Path, change: str) -> None:
    located = locate(str(framed), messages_of(framed))
    data = framed.read_bytes()
    framed.unlink()
    if change != "gone":
        framed.write_bytes(data[::-1] if change == "replaced" else data[:-1])

    assert located is not None
    with pytest.raises(Moved):
        fetch(located)
