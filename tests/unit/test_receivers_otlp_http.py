"""OTLP/HTTP: what is answered to what, and that nothing is acknowledged that is not on disk."""

import asyncio
import gzip
import itertools
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode import otlp
from weaver_forge.receivers import health, segment_file
from weaver_forge.receivers.app import BodyTooSlow, Request, application
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.otlp_http import routes
from weaver_forge.receivers.otlp_intake import Limits, OtlpIntake

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
MIB = 2**20


class Receiver:
    """The application of a folder, called without a socket."""

    def __init__(self, folder: Path, *, tokens: tuple[str, ...] = (), **limits: Any) -> None:
        ticks = itertools.count()
        self.folder = folder
        self.intake = OtlpIntake(
            folder, Limits(**({"free": 0} | limits)), lambda: datetime(2026, 3, 1) + timedelta(seconds=next(ticks))
        )
        self.tokens = Tokens(tokens)

    def post(
        self, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, method: str = "POST"
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request in two pieces."""
        said: list[Any] = []
        pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
        messages = [{"type": "http.request", "body": p, "more_body": n == 0} for n, p in enumerate(pieces)]

        async def receive() -> Any:  # noqa: RUF029 - ASGI's interface
            return messages.pop(0)

        async def send(message: Any) -> None:  # noqa: RUF029 - ASGI's interface
            said.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        budget = Budget(4 * self.intake.limits.message)
        app = application([*routes(self.intake), *health.routes((self.intake,))], tokens=self.tokens, budget=budget)
        asyncio.run(app(scope, receive, send))
        return said[0]["status"], {k.decode(): v.decode() for k, v in said[0]["headers"]}, said[1]["body"]

    def stored(self, signal: str = "traces") -> list[bytes]:
        """Every message on disk, without closing anything."""
        found = []
        for path in sorted(self.folder.glob(f"*{signal}-*")):
            data = path.read_bytes()
            while data:
                size = struct.unpack(">I", data[:4])[0]
                found.append(data[4 : 4 + size])
                data = data[4 + size :]
        return found


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver that takes everybody's data, at most a MiB a request."""
    one = Receiver(tmp_path / "received", message=MIB)
    yield one
    one.intake.close()


def spans(*changes: dict[str, Any]) -> ExportTraceServiceRequest:
    """A request with one span for each, good but for the changes."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for n, change in enumerate(changes, 1):
        usual = {
            "trace_id": bytes([n]) * 16,
            "span_id": bytes([n]) * 8,
            "name": "GET /",
            "start_time_unix_nano": 10**18,
            "end_time_unix_nano": 10**18 + 5,
        }
        scope.spans.add(**(usual | change))
    return request


GOOD = spans({}).SerializeToString()
JSON_SPAN = {
    "traceId": "0a" * 16,
    "spanId": "0B" * 8,
    "name": "GET /",
    "startTimeUnixNano": "1000000000000000000",
    "endTimeUnixNano": 1000000000000000005,
}


def json_body(*spans_: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans_)}]}]}).encode()


def points() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.gauge.data_points.add(as_int=3, time_unix_nano=10**18)
    return request.SerializeToString()


def records() -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=10**18)
    record.body.string_value = "ready"
    return request.SerializeToString()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "identity": bytes,
    "gzip": partial(gzip.compress, compresslevel=1),
    "deflate": partial(zlib.compress, level=1),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("packing", PACKERS)
def test_an_accepted_message_is_on_disk_as_it_was_before_packing(receiver: Receiver, packing: str) -> None:
    status, headers, body = receiver.post(
        "/v1/traces", PACKERS[packing](GOOD), PROTOBUF | {"content-encoding": packing}
    )

    assert (status, headers["content-type"], body) == (200, "application/x-protobuf", b"")
    assert receiver.stored() == [GOOD]


@pytest.mark.parametrize(
    ("signal", "data"),
    [("traces", GOOD), ("metrics", points()), ("logs", records())],
    ids=["traces", "metrics", "logs"],
)
def test_each_signal_has_files_of_its_own(receiver: Receiver, signal: str, data: bytes) -> None:
    assert receiver.post(f"/v1/{signal}", data, PROTOBUF)[0] == 200

    assert receiver.stored(signal) == [data]
    assert all(not receiver.stored(other) for other in {"traces", "metrics", "logs"} - {signal})


def test_json_is_answered_in_json_and_stored_as_sent(receiver: Receiver) -> None:
    data = json_body(JSON_SPAN)

    status, headers, body = receiver.post(
        "/v1/traces", b"\n " + data, {"content-type": "application/json; charset=utf-8"}
    )

    assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
    assert receiver.stored() == [data]


@pytest.mark.parametrize(("headers", "body"), [(PROTOBUF, b""), (JSON, b"{}"), (JSON, b'{"resourceSpans":[]}')])
def test_an_empty_request_succeeds_and_stores_nothing(receiver: Receiver, headers: dict[str, str], body: bytes) -> None:
    assert receiver.post("/v1/traces", body, headers)[0] == 200

    assert receiver.stored() == []


@pytest.mark.parametrize(
    ("signal", "headers", "body"),
    [
        ("traces", PROTOBUF, b"\x0a\xff\xff"),
        ("traces", PROTOBUF, b"hello"),
        ("traces", PROTOBUF, points()),
        ("traces", PROTOBUF, records()),
        ("metrics", PROTOBUF, GOOD),
        ("traces", JSON, b"{"),
        ("traces", JSON, b"[]"),
        ("traces", JSON, b"\xff\xfe"),
        ("traces", JSON, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}'),
        ("traces", JSON, b'{"resourceMetrics":[{}]}'),
        ("traces", JSON, b'{"other":1}'),
        ("logs", JSON, json_body(JSON_SPAN)),
        ("traces", JSON, b'{"resourceSpans":' + b"[" * 100_000),
        ("traces", PROTOBUF | {"content-encoding": "gzip"}, b"no gzip"),
        ("traces", PROTOBUF | {"content-encoding": "gzip"}, gzip.compress(GOOD, mtime=0)[:-5]),
        ("traces", PROTOBUF | {"content-encoding": "gzip"}, b""),
        ("traces", PROTOBUF | {"content-encoding": "zstd"}, zstandard.compress(GOOD)[:-5]),
        ("traces", PROTOBUF | {"content-encoding": "deflate"}, b"\x78\x9c\xff"),
    ],
)
def test_bad_data_is_a_400_with_a_status_in_the_requests_encoding(
    receiver: Receiver, signal: str, headers: dict[str, str], body: bytes
) -> None:
    status, answered, said = receiver.post(f"/v1/{signal}", body, headers)

    assert status == 400
    assert answered["content-type"] == headers["content-type"]
    if headers["content-type"] == "application/json":
        assert json.loads(said)["code"] == 3
        assert json.loads(said)["message"]
    else:
        assert said[:2] == b"\x08\x03"
    assert receiver.stored() == []


BOMBS = {"identity": bytes(MIB + 1)} | {
    name: pack(bytes(8 * MIB)) for name, pack in PACKERS.items() if name != "identity"
}


@pytest.mark.parametrize("packing", PACKERS)
def test_what_unpacks_to_more_than_allowed_is_a_413(receiver: Receiver, packing: str) -> None:
    status, _, body = receiver.post("/v1/traces", BOMBS[packing], PROTOBUF | {"content-encoding": packing})

    assert (status, body[:2]) == (413, b"\x08\x08")


def test_what_announces_too_much_is_refused_before_it_is_read(receiver: Receiver) -> None:
    assert receiver.post("/v1/traces", b"", PROTOBUF | {"content-length": str(MIB + 1)})[0] == 413


def test_several_gzip_members_and_zstd_frames_are_one_body(receiver: Receiver) -> None:
    first, second = GOOD[:20], GOOD[20:]

    for packing in ("gzip", "zstd"):
        body = PACKERS[packing](first) + PACKERS[packing](second)
        assert receiver.post("/v1/traces", body, PROTOBUF | {"content-encoding": packing})[0] == 200

    assert receiver.stored() == [GOOD, GOOD]


def test_deflate_without_its_header_is_read_too(receiver: Receiver) -> None:
    status, _, _ = receiver.post("/v1/traces", raw_deflate(GOOD), PROTOBUF | {"content-encoding": "deflate"})

    assert status == 200
    assert receiver.stored() == [GOOD]


@pytest.mark.parametrize(
    ("path", "method", "headers", "expected"),
    [
        ("/v1/nothing", "POST", PROTOBUF, 404),
        ("/v1/traces", "GET", PROTOBUF, 405),
        ("/v1/traces", "POST", {"content-type": "text/plain"}, 415),
        ("/v1/traces", "POST", {}, 415),
        ("/v1/traces", "POST", PROTOBUF | {"content-encoding": "br"}, 415),
    ],
)
def test_what_the_protocol_does_not_have_is_said_so(
    receiver: Receiver, path: str, method: str, headers: dict[str, str], expected: int
) -> None:
    status, answered, _ = receiver.post(path, GOOD, headers, method=method)

    assert status == expected
    assert answered.get("allow") == ("POST" if expected == 405 else None)
    assert receiver.stored() == []


BAD = [
    {"trace_id": bytes(16)},
    {"trace_id": b"short"},
    {"span_id": bytes(8)},
    {"span_id": b""},
    {"parent_span_id": b"123"},
    {"end_time_unix_nano": 5},
    {"start_time_unix_nano": 2**63 + 1, "end_time_unix_nano": 2**63 + 2},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_span_is_a_partial_success_and_is_stored_for_quarantine(receiver: Receiver, bad: dict[str, Any]) -> None:
    """What the sender is told is what the decoder does later: the same number, the same words."""
    data = spans({}, bad, {}).SerializeToString()
    refused = otlp.decode([Frame("x", data)]).rejected

    status, _, body = receiver.post("/v1/traces", data, PROTOBUF)

    said = ExportTraceServiceResponse.FromString(body).partial_success
    assert (status, said.rejected_spans) == (200, len(refused))
    assert said.error_message.endswith(refused[0].reason)
    assert receiver.stored() == [data]


def test_a_name_that_is_no_text_is_a_partial_success(receiver: Receiver) -> None:
    data = spans({}, {"name": "!!!!"}).SerializeToString().replace(b"!!!!", b"\xff\xfe\xff\xfe")

    body = receiver.post("/v1/traces", data, PROTOBUF)[2]

    assert ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans == 1
    assert [one.reason for one in otlp.decode([Frame("x", data)]).rejected] == ["the span's name is not UTF-8"]


@pytest.mark.parametrize(
    "bad",
    [
        {"traceId": "0" * 32},
        {"traceId": "zz" * 16},
        {"traceId": None},
        {"spanId": "0b"},
        {"parentSpanId": "0c0"},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": "-5"},
        {"endTimeUnixNano": None},
        {"endTimeUnixNano": "99999999999999999999"},
    ],
)
def test_a_bad_span_in_json_is_a_partial_success(receiver: Receiver, bad: dict[str, Any]) -> None:
    data = json_body(JSON_SPAN, JSON_SPAN | bad)

    status, _, body = receiver.post("/v1/traces", data, JSON)

    assert (status, json.loads(body)["partialSuccess"]["rejectedSpans"]) == (200, "1")
    assert len(otlp.decode([Frame("x", data)]).rejected) == 1


def test_with_tokens_only_their_holders_are_heard(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, tokens=("one", "two"))
    answers = {
        said: receiver.post("/v1/traces", GOOD, PROTOBUF | ({"authorization": said} if said else {}))
        for said in ("", "Bearer three", "Basic one", "Bearer one", "bearer two", "Bearer onetwo", "Bearer ")
    }
    receiver.intake.close()

    assert {said: status for said, (status, _, _) in answers.items() if status == 200} == {
        "Bearer one": 200,
        "bearer two": 200,
    }
    assert {a[1].get("www-authenticate") for a in answers.values() if a[0] == 401} == {"Bearer"}
    assert receiver.post("/healthz", method="GET")[0] == 200
    assert receiver.post("/metrics", method="GET")[0] == 401


def test_a_full_disk_is_a_503_to_try_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(segment_file.os, "write", full)
    status, headers, body = receiver.post("/v1/traces", GOOD, PROTOBUF)
    ready, _, why = receiver.post("/readyz", method="GET")
    monkeypatch.undo()

    assert (status, headers["retry-after"], body[:2]) == (503, "5", b"\x08\x0e")
    assert (ready, why) == (503, b"the inbox: No space left on device\n")
    assert receiver.post("/v1/traces", GOOD, PROTOBUF)[0] == 200
    assert receiver.post("/readyz", method="GET")[0] == 200


def test_readiness_comes_back_by_itself(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks before sending must learn that the disk has mended though nobody sends."""

    def full(_: int, __: bytes) -> int:
        raise OSError(28, os.strerror(28))

    real = os.write
    monkeypatch.setattr("weaver_forge.receivers.segments._RETRY_S", 0.02)
    monkeypatch.setattr(segment_file.os, "write", full)
    receiver.post("/v1/traces", GOOD, PROTOBUF)
    monkeypatch.setattr(segment_file.os, "write", real)

    deadline = time.monotonic() + 5
    while receiver.intake.problem and time.monotonic() < deadline:
        time.sleep(0.01)

    assert receiver.post("/readyz", method="GET")[0] == 200


def test_the_counts_say_what_happened(receiver: Receiver) -> None:
    receiver.post("/v1/traces", spans({}, {"span_id": b""}).SerializeToString(), PROTOBUF)
    receiver.post("/v1/traces", b"bad", PROTOBUF)

    text = receiver.post("/metrics", method="GET")[2].decode()

    assert 'weaver_forge_receiver_requests_total{protocol="http",signal="traces",outcome="partial"} 1' in text
    assert 'weaver_forge_receiver_requests_total{protocol="http",signal="traces",outcome="bad_data"} 1' in text
    assert 'weaver_forge_receiver_items_total{signal="traces",outcome="accepted"} 1' in text
    assert 'weaver_forge_receiver_items_total{signal="traces",outcome="rejected"} 1' in text
    assert 'weaver_forge_receiver_inbox_writable{signal="traces"} 1' in text


def test_a_disk_that_takes_too_long_is_to_try_again_and_what_is_unwritten_is_dropped(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: Future[None] = Future()
    monkeypatch.setattr(receiver.intake._segments["traces"], "put", lambda _: waiting)
    monkeypatch.setattr("weaver_forge.receivers.otlp_http.DISK_S", 0.05)

    status, headers, body = receiver.post("/v1/traces", GOOD, PROTOBUF)

    assert (status, headers["retry-after"], body[:2]) == (503, "5", b"\x08\x0e")
    assert waiting.cancelled()


def test_a_body_that_stalls_is_a_408_with_a_status(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalled(*_: Any) -> bytes:  # noqa: RUF029 - in the place of one that waits
        raise BodyTooSlow

    monkeypatch.setattr(Request, "body", stalled)

    status, headers, body = receiver.post("/v1/traces", GOOD, PROTOBUF)

    assert (status, headers["connection"], body[:2]) == (408, "close", b"\x08\x04")
