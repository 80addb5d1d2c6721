"""Trace files of every framing and compression are read as a stream; tails wait, damage costs only itself."""

import gzip
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import MAX_MESSAGE_BYTES, Message, Tail, messages
from weaver_forge.errors import MissingInput
from weaver_forge.sources.streams import read_messages

BODIES = list(requests(300, spans_per_request=15, n_repeats=0))[:6]
LINES = list(requests(300, spans_per_request=15, n_repeats=0, encoding="json"))[:6]


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def fixed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def delimited(body: bytes) -> bytes:
    return varint(len(body)) + body


FRAMINGS: dict[str, list[bytes]] = {
    "a json lines": [line + b"\n" for line in LINES],
    "b length, protobuf": [fixed(body) for body in BODIES],
    "c length, a zstd frame a message": [fixed(zstandard.compress(body)) for body in BODIES],
    "c the same with json": [fixed(zstandard.compress(line)) for line in LINES],
    "varint": [delimited(body) for body in BODIES],
    "length, json bodies": [fixed(line) for line in LINES],
}
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "d one zstd stream": zstandard.compress,
    "gzip of zstd": lambda data: gzip.compress(zstandard.compress(data)),
}


def write(folder: Path, data: bytes) -> Path:
    path = folder / "traces"
    path.write_bytes(data)
    return path


def read(folder: Path, data: bytes, **how: int) -> list[Message | Rejected | Tail]:
    return list(read_messages(write(folder, data), **how))


def bodies(pieces: list[Message | Rejected | Tail]) -> list[bytes]:
    return [piece.data for piece in pieces if isinstance(piece, Message)]


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_framing_in_every_compression_gives_the_same_messages(tmp_path: Path, framing: str, whole: str) -> None:
    """The block size never shows, and every message says where its frame begins."""
    frames = FRAMINGS[framing]
    data = WHOLE[whole](b"".join(frames))

    pieces = read(tmp_path, data, block_bytes=777)

    assert bodies(pieces) == (LINES if "json" in framing else BODIES)
    assert [p.offset for p in pieces] == [sum(map(len, frames[:n])) for n in range(len(frames))]
    assert {p.signal for p in pieces if isinstance(p, Message)} == {"traces"}


@pytest.mark.parametrize("body", [BODIES[0], LINES[0], json.dumps(json.loads(LINES[0]), indent=1).encode() + b"\n"])
def test_one_bare_body_is_read_as_it_was_sent(tmp_path: Path, body: bytes) -> None:
    """Protobuf, JSON in one line, JSON over several lines; protobuf comes as its entries, which are messages too."""
    pieces = read(tmp_path, body)

    assert b"".join(bodies(pieces)).strip() == body.strip()


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("cut", [1, 3, 200])
def test_a_half_written_tail_waits_and_is_read_when_it_is_whole(tmp_path: Path, framing: str, cut: int) -> None:
    frames = FRAMINGS[framing]
    data = b"".join(frames).rstrip(b"\n")

    before = read(tmp_path, data[:-cut])
    tail = before[-1]
    assert isinstance(tail, Tail)
    after = read(tmp_path, data, offset=tail.offset)

    whole = LINES if "json" in framing else BODIES
    assert not [piece for piece in before if isinstance(piece, Rejected)]
    assert tail.offset == sum(map(len, frames[:-1]))
    assert tail.n_bytes == len(data) - cut - tail.offset
    assert bodies(before) + bodies(after) == whole


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_stream_that_is_still_open_gives_its_messages_and_a_tail(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    data = b"".join(FRAMINGS["b length, protobuf"])
    open_stream = compress(data)[:-30]

    pieces = read(tmp_path, open_stream)

    assert isinstance(pieces[-1], Tail) or bodies(pieces) == BODIES
    assert bodies(pieces) == BODIES[: len(pieces) - 1]


def test_damaged_compression_keeps_the_messages_before_it(tmp_path: Path) -> None:
    stored = bytearray(gzip.compress(b"".join(FRAMINGS["b length, protobuf"] * 20), compresslevel=0))
    stored[-2000:] = os.urandom(2000)

    pieces = read(tmp_path, bytes(stored))

    assert "damaged gzip" in [piece.reason for piece in pieces if isinstance(piece, Rejected)][-1]
    assert bodies(pieces)[:60] == BODIES * 10


@pytest.mark.parametrize("framing", ["b length, protobuf", "c length, a zstd frame a message", "varint"])
@pytest.mark.parametrize("length", [b"\x00\x00\x00\x05", b"\x00\x01\x00\x00", b"\xff\xff\xff\xff", b""])
def test_a_damaged_length_costs_its_message_only(tmp_path: Path, framing: str, length: bytes) -> None:
    """Too short, too long (but in the file), impossible, and four bytes gone: the frames around are kept."""
    frames = list(FRAMINGS[framing])
    frames[2] = length + frames[2][4:]

    pieces = read(tmp_path, b"".join(frames))

    refused = [piece for piece in pieces if isinstance(piece, Rejected)]
    good = [body for body in bodies(pieces) if body in BODIES]
    assert good[:2] == BODIES[:2]
    assert good[-3:] == BODIES[3:]
    assert 0 <= (refused[0].offset or 0) - sum(map(len, frames[:2])) < 5  # zeros at its begin are empty messages
    assert all((piece.data or b"?") in b"".join(frames) for piece in refused)


def test_a_damaged_payload_leaves_the_framing_alone(tmp_path: Path) -> None:
    frames = list(FRAMINGS["b length, protobuf"])
    frames[2] = frames[2][:4] + b"\xff" * (len(frames[2]) - 4)

    pieces = read(tmp_path, b"".join(frames))

    assert [type(piece) for piece in pieces] == [Message] * 6
    assert bodies(pieces)[3:] == BODIES[3:]


def test_zeros_after_a_crash_are_empty_messages(tmp_path: Path) -> None:
    pieces = read(tmp_path, FRAMINGS["b length, protobuf"][0] + bytes(100_000))

    assert bodies(pieces) == BODIES[:1]


def test_a_json_line_that_is_too_long_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    """A bomb: read past, never held."""
    packer = zlib.compressobj(level=9, wbits=31)
    bomb = packer.compress(b"{") + b"".join(packer.compress(b" " * 2**20) for _ in range(80))
    bomb += packer.compress(b"}\n" + LINES[0] + b"\n") + packer.flush()

    pieces = read(tmp_path, LINES[1] + b"\n") + read(tmp_path, bomb)

    assert bodies(pieces) == [LINES[1], LINES[0]]
    assert [p.reason.split(":")[0] for p in pieces if isinstance(p, Rejected)] == ["a line of more than 64 MiB"]


def test_a_message_that_unfolds_to_too_much_is_refused(tmp_path: Path) -> None:
    """With and without the decompressed size in its header, which is not to be trusted."""
    zeros = bytes(MAX_MESSAGE_BYTES + 1)
    packed = [zstandard.ZstdCompressor(write_content_size=size).compress(zeros) for size in (True, False)]

    pieces = read(tmp_path, b"".join(map(fixed, [zstandard.compress(BODIES[0]), *packed])))

    assert bodies(pieces) == BODIES[:1]
    assert [p.reason for p in pieces if isinstance(p, Rejected)] == [
        "a message of more than 64 MiB: send smaller batches"
    ] * 2


@pytest.mark.parametrize("content", [b"", b"\n \n", b"hello", b"\x00" * 9, b"PK\x03\x04 and so on" * 99])
def test_what_has_no_messages_gives_none(tmp_path: Path, content: bytes) -> None:
    pieces = read(tmp_path, content)

    assert bodies(pieces) == []
    assert len(pieces) == (1 if content.strip() else 0)


def test_a_file_of_many_small_gzip_members_is_read(tmp_path: Path) -> None:
    whole = LINES[0] + b"\n"

    pieces = read(tmp_path, b"".join(gzip.compress(whole[at : at + 8], mtime=0) for at in range(0, len(whole), 8)) * 5)

    assert bodies(pieces) == [LINES[0]] * 5


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such file"):
        list(read_messages(tmp_path / "gone"))


@pytest.mark.parametrize("framing", [fixed, delimited, bytes])
def test_the_signal_is_found_by_structure(framing: Callable[[bytes], bytes]) -> None:
    """Metrics without points and log records without times too."""
    metrics, logs = ExportMetricsServiceRequest(), ExportLogsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="cpu", description="used").gauge.SetInParent()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="sixteen letters!", unit="1").sum.SetInParent()
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO").body.string_value = "hello"
    logs.resource_logs.add().scope_logs.add().log_records.add(observed_time_unix_nano=1)

    for request, signal in ((metrics, "metrics"), (logs, "logs")):
        found = list(messages([framing(request.SerializeToString())], "f"))

        assert {piece.signal for piece in found if isinstance(piece, Message)} == {signal}


def test_the_signal_of_json_is_its_key() -> None:
    lines = b'{"resourceLogs":[]}\n{ "x": 1, "resourceMetrics" : []}\n{"resourceSpans":[{"a":"resourceLogs"}]}\n'

    found = list(messages([lines], "f"))

    assert [piece.signal for piece in found if isinstance(piece, Message)] == ["logs", "metrics", "traces"]
