"""Load on an OTLP/HTTP receiver: requests as SDKs send them, from a process of their own, with what came of it.

The requests are made by the classes of ``opentelemetry-proto``, shaped like those of a batch span processor: one
resource, one scope, a batch of spans with the attributes of an HTTP server. Ids are new in every request, so that
every one can be found again. Put here the sending and the measuring; what the figures must be is for benchmarks.
"""

import asyncio
import gzip
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_BEGIN_NS = 1_767_225_600_000_000_000
_ATTRIBUTES: dict[str, str | int] = {
    "http.request.method": "GET",
    "http.route": "/items/{id}",
    "http.response.status_code": 200,
    "url.scheme": "https",
    "url.path": "/items/4711",
    "server.address": "shop.internal",
    "server.port": 8443,
    "client.address": "10.0.12.7",
    "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
    "network.protocol.version": "1.1",
}
_RESOURCE: dict[str, str | int] = {
    "service.namespace": "shop",
    "service.name": "catalogue",
    "service.version": "2.14.0",
    "service.instance.id": "catalogue-7d9f8b6c5-x2x4z",
    "deployment.environment.name": "production",
    "host.name": "node-3",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
}
_TRACE_AT = bytes(range(240, 256))
"""Stands for a trace id in the template; no other bytes of a request look like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of a load.

    Args:
        spans: Sent and acknowledged.
        requests: The same in requests.
        seconds: From the first request's begin to the last answer.
        refused: Requests that were answered with anything but 200.
        p50_ms: From a request's begin to its answer; where a rate is asked for, from when it was due.
        p99_ms: The same.
        sender_cpu_s: Processor time of the sending process.
    """

    spans: int
    requests: int
    seconds: float
    refused: int
    p50_ms: float
    p99_ms: float
    sender_cpu_s: float

    @property
    def spans_per_second(self) -> float:
        """The rate that was sustained."""
        return self.spans / self.seconds


def run(
    url: str,
    *,
    seconds: float,
    spans_per_second: int | None = None,
    batch: int = 512,
    is_gzip: bool = True,
    connections: int = 8,
    token: str = "",
) -> Figures:
    """Send from a second process.

    Args:
        url: Of the receiver, as http://127.0.0.1:4318.
        seconds: How long.
        spans_per_second: Sent at this rate, late answers or not; None for as many as are answered.
        batch: Spans a request.
        is_gzip: Whether requests are packed, as most exporters are told to.
        connections: Open at a time, with one request under way each.
        token: Sent as a bearer token.

    Raises:
        RuntimeError: If the sending process failed.
    """
    spawn = multiprocessing.get_context("spawn")
    receive, send = spawn.Pipe(duplex=False)
    arguments = (send, url, seconds, spans_per_second, batch, is_gzip, connections, token)
    process = spawn.Process(target=_in_process, args=arguments, daemon=True)
    process.start()
    send.close()
    try:
        found = receive.recv()
    except EOFError as error:
        raise RuntimeError("the sending process failed") from error
    finally:
        process.join()
    return Figures(**found)


def requests(count: int, *, batch: int = 512, seed: int = 0) -> list[bytes]:
    """Make messages of ``batch`` spans each, with ids that no other seed has."""
    template, ids_at = _template(batch)
    made = []
    for n in range(count):
        data = template.copy()
        ids = np.random.default_rng((seed, n)).integers(0, 256, (batch, 24), dtype=np.uint8)
        for at, part in ids_at:
            data[at] = ids[:, part]
        made.append(data.tobytes())
    return made


def one_request(batch: int) -> ExportTraceServiceRequest:
    """One message as an object."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(_pairs(_RESOURCE))
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "shop.http", "2.1.0"
    attributes = _pairs(_ATTRIBUTES)
    for n in range(batch):
        span = scope.spans.add(
            trace_id=_TRACE_AT,
            span_id=_TRACE_AT[:8],
            parent_span_id=bytes([1]) * 8 if n % 4 else b"",
            name="GET /items/{id}",
            kind=2,
            start_time_unix_nano=_BEGIN_NS + n * 1_000_000,
            end_time_unix_nano=_BEGIN_NS + n * 1_000_000 + 7_654_321,
            flags=256,
        )
        span.attributes.extend(attributes)
        if n % 10 == 0:
            span.events.add(time_unix_nano=_BEGIN_NS, name="cache.miss").attributes.extend(attributes[:2])
    return request


def _template(batch: int) -> tuple[np.ndarray, list[tuple[np.ndarray, slice]]]:
    """A message's bytes, and where its trace and span ids are (rows of positions)."""
    data = one_request(batch).SerializeToString()
    trace = np.array([at for at in range(len(data)) if data.startswith(_TRACE_AT, at)])
    assert len(trace) == batch
    span = trace + 16 + 2  # the span id follows with its tag and length
    return np.frombuffer(data, np.uint8).copy(), [
        (trace[:, None] + np.arange(16), slice(0, 16)),
        (span[:, None] + np.arange(8), slice(16, 24)),
    ]


def _pairs(values: dict[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(string_value=v) if isinstance(v, str) else AnyValue(int_value=v))
        for key, v in values.items()
    ]


# --- in the sending process -----------------------------------------------------------------------------------


def _in_process(
    answer: "multiprocessing.connection.Connection[dict[str, float], None]",
    url: str,
    seconds: float,
    spans_per_second: int | None,
    batch: int,
    is_gzip: bool,
    connections: int,
    token: str,
) -> None:
    made = requests(64, batch=batch)
    bodies = [gzip.compress(one, 1) for one in made] if is_gzip else made
    heads = [_head(url, len(body), is_gzip=is_gzip, token=token) for body in bodies]
    whole = [head + body for head, body in zip(heads, bodies, strict=True)]
    rate = spans_per_second / batch if spans_per_second else None
    found = asyncio.run(_send(url, whole, seconds, rate, connections))
    answer.send(asdict(_figures(found, batch)))


def _head(url: str, size: int, *, is_gzip: bool, token: str) -> bytes:
    lines = [
        "POST /v1/traces HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/x-protobuf",
        f"Content-Length: {size}",
        *(["Content-Encoding: gzip"] if is_gzip else []),
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(slots=True)
class _Sent:
    took_s: list[float]
    refused: int
    seconds: float
    cpu_s: float


async def _send(url: str, whole: Sequence[bytes], seconds: float, rate: float | None, connections: int) -> _Sent:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    sent = _Sent([], 0, 0.0, 0.0)
    numbers = iter(range(10**12))
    began, cpu = time.perf_counter(), time.process_time()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while True:
            n = next(numbers)
            due = began + n / rate if rate else time.perf_counter()
            if due - began >= seconds:
                break
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            writer.write(whole[n % len(whole)])
            is_taken = await _is_taken(reader)
            sent.refused += not is_taken
            if is_taken:
                sent.took_s.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    sent.seconds, sent.cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return sent


async def _is_taken(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(size)
    return head.startswith(b"HTTP/1.1 200")


def _figures(sent: _Sent, batch: int) -> Figures:
    took = np.array(sent.took_s or [0.0]) * 1000
    return Figures(
        spans=len(sent.took_s) * batch,
        requests=len(sent.took_s),
        seconds=sent.seconds,
        refused=sent.refused,
        p50_ms=float(np.percentile(took, 50)),
        p99_ms=float(np.percentile(took, 99)),
        sender_cpu_s=sent.cpu_s,
    )
