"""Mutated frames: no crash, the same rows on every path, and never a different row of a neighbour.

Two fuzzers. ``fuzz_frames`` holds ptars against upb on mutated protobuf traces. ``fuzz_signal`` mutates frames of any
signal in either encoding: what comes of a frame does not depend on what stands beside it, and whatever both encodings
take whole gives equal rows in both (a mutated frame is carried over to the other by the official classes).

A small share runs with the tests. ``python tests/unit/test_decode_otlp_fuzz.py 50000`` runs as many mutations of each
kind as asked for and says what came of them, and how much memory it took.
"""

import base64
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp, otlp_ptars
from weaver_forge.decode.otlp_framing import Encoding, Message, messages
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages

TOGETHER = 50
"""Mutated frames decoded in one batch, each between two whole ones."""
Mutation = Callable[[np.random.Generator, bytearray], None]


def truncate(rng: np.random.Generator, data: bytearray) -> None:
    del data[int(rng.integers(len(data))) :]


def flip(rng: np.random.Generator, data: bytearray) -> None:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def replace(rng: np.random.Generator, data: bytearray) -> None:
    data[int(rng.integers(len(data)))] = int(rng.integers(256))


def zero(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    size = min(int(rng.integers(1, 24)), len(data) - at)
    data[at : at + size] = bytes(size)


def insert(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = rng.bytes(int(rng.integers(1, 8)))


def delete(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 8))]


def swap(rng: np.random.Generator, data: bytearray) -> None:
    size = min(int(rng.integers(1, 12)), len(data) // 2)
    a = int(rng.integers(0, len(data) - 2 * size + 1))
    b = int(rng.integers(a + size, len(data) - size + 1))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


MUTATIONS: tuple[Mutation, ...] = (truncate, flip, replace, zero, insert, delete, swap)


def odd_values() -> bytes:
    """A request of every kind of value, which the corpus has few of."""
    values = [
        AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="x")])),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(double_value=0.5))])),
        AnyValue(bytes_value=b"\x00\xff"), AnyValue(int_value=-1), AnyValue(), AnyValue(string_value="ü" * 90),
    ]  # fmt: skip
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for n, value in enumerate(values):
        span = spans.add(trace_id=b"t" * 16, span_id=bytes([n + 1]) * 8, name="odd", start_time_unix_nano=n + 1)
        span.end_time_unix_nano = 50
        span.attributes.add(key="odd", value=value)
        span.events.add(time_unix_nano=n, name="e").attributes.add(key="odd", value=value)
        span.links.add(trace_id=b"u" * 16, span_id=b"v" * 8, trace_state="s")
        span.status.code = n % 3
    return request.SerializeToString()


BODIES = [*requests(200, seed=5, spans_per_request=3, n_repeats=0), odd_values()]


def mutated(rng: np.random.Generator, corpus: Sequence[bytes] = BODIES) -> bytes:
    data = bytearray(corpus[int(rng.integers(len(corpus)))])
    for _ in range(int(rng.integers(1, 4))):
        if data:
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](rng, data)
    return bytes(data)


def rows(bodies: Sequence[bytes], *, ptars: bool) -> tuple[pl.DataFrame, tuple[Rejected, ...]]:
    found = [Message(f"byte {n}", body, "protobuf", n) for n, body in enumerate(bodies)]
    batch = otlp.decode_messages(found, "f", ptars=ptars)
    return batch.tables[RAW_OTLP_SPANS.name], batch.rejected


def alone(body: bytes, *, ptars: bool) -> pl.DataFrame | None:
    """The rows of one frame; None if the message is refused as a whole."""
    table, rejected = rows([body], ptars=ptars)
    return None if rejected and rejected[0].data == body and "span" not in rejected[0].position else table


def fuzz_frames(n: int, seed: int = 0) -> Counter[str]:
    """Decode mutated frames among whole ones on both paths; counts what came of them.

    Raises:
        AssertionError: If a row differs that must not.
    """
    rng = np.random.default_rng(seed)
    good = BODIES[0]
    plain = rows([good], ptars=False)[0]
    seen: Counter[str] = Counter()
    for _ in range(0, n, TOGETHER):
        bad = [mutated(rng) for _ in range(TOGETHER)]
        bodies = [good, *[body for pair in zip(bad, [good] * TOGETHER, strict=True) for body in pair]]
        tables = {ptars: rows(bodies, ptars=ptars) for ptars in (True, False)}
        seen["frames"] += len(bad)
        seen["refused pieces"] += len(tables[False][1])
        if not tables[True][0].equals(tables[False][0]):
            for body in bad:
                fast, slow = alone(body, ptars=True), alone(body, ptars=False)
                if (fast is None) != (slow is None):
                    seen[f"accepted by {'upb' if fast is None else 'ptars'} only"] += 1
                else:
                    assert fast is None or slow is None or fast.equals(slow), body
        for table, _ in tables.values():
            neighbours = table.filter(pl.col("trace_id").is_in(plain["trace_id"].implode()))
            assert neighbours.height >= plain.height * (TOGETHER + 1)
            assert table.head(plain.height).equals(plain)
            assert table.tail(plain.height).equals(plain)
    return seen


def fuzz_files(n: int, seed: int = 0) -> Counter[str]:
    """Mutate files of length-prefixed messages; counts whole messages that were not read again."""
    rng = np.random.default_rng(seed)
    frames = [len(body).to_bytes(4, "big") + body for body in BODIES[:8]]
    seen: Counter[str] = Counter()
    for _ in range(n):
        data = bytearray(b"".join(frames))
        MUTATIONS[int(rng.integers(1, len(MUTATIONS) - 1))](rng, data)  # those that touch one place
        pieces = list(messages([bytes(data)], "f"))
        whole = sum(isinstance(piece, Message) and piece.data in BODIES for piece in pieces)
        seen["files"] += 1
        seen[f"messages lost: {len(frames) - whole}"] += 1
    return seen


def some_metrics(n: int) -> bytes:
    """A request with a metric of every type."""
    request = ExportMetricsServiceRequest()
    found = request.resource_metrics.add()
    found.resource.attributes.add(key="service.name").value.string_value = f"s{n}"
    metrics = found.scope_metrics.add().metrics
    at = {"start_time_unix_nano": 5, "time_unix_nano": 1_772_366_400_000_000_000 + n}
    metrics.add(name="g", unit="By").gauge.data_points.add(as_double=1.5, **at).attributes.add(key="k")
    total = metrics.add(name="s", description="ü").sum
    total.aggregation_temporality, total.is_monotonic = 2, True
    point = total.data_points.add(as_int=-(2**60) - n, **at)
    point.attributes.add(key="cpu.mode").value.string_value = "user"
    point.exemplars.add(time_unix_nano=7, as_double=float("inf"), trace_id=b"t" * 16)
    histogram = metrics.add(name="h").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[0.5], max=4.0, **at)
    exponential = metrics.add(name="e").exponential_histogram.data_points.add(count=4, scale=3, zero_count=1, **at)
    exponential.positive.offset, exponential.positive.bucket_counts[:] = -2, [1, 2]
    summary = metrics.add(name="q").summary.data_points.add(count=9, sum=float("nan"), **at)
    summary.quantile_values.add(quantile=0.5, value=2.0)
    return request.SerializeToString()


def some_logs(n: int) -> bytes:
    """A request with records of every kind of body."""
    request = ExportLogsServiceRequest()
    found = request.resource_logs.add()
    found.resource.attributes.add(key="service.name").value.string_value = f"s{n}"
    records = found.scope_logs.add().log_records
    bodies = [
        AnyValue(string_value=f"größer {n}"),
        AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(double_value=float("nan"))])),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(bool_value=True))])),
        AnyValue(bytes_value=b"\x00\xff"),
        AnyValue(),
    ]
    for number, body in enumerate(bodies):
        record = records.add(time_unix_nano=number, observed_time_unix_nano=1_772_366_400_000_000_000, body=body)
        record.severity_number, record.severity_text, record.event_name = 9, "INFO", "e"[: number % 2]
        record.trace_id, record.span_id = b"t" * 16, b"s" * 8
        record.attributes.add(key="k", value=body)
    return request.SerializeToString()


def as_json(message: Proto) -> bytes:
    """OTLP JSON of a request: protobuf's JSON with integer enums and hex ids."""

    def mended(value: Any) -> Any:
        if isinstance(value, list):
            return [mended(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex() if key in HEX and isinstance(item, str) else mended(item)
            for key, item in value.items()
        }

    return json.dumps(mended(MessageToDict(message, use_integers_for_enums=True)), separators=(",", ":")).encode()


HEX = {"traceId", "spanId", "parentSpanId"}
NUMBERS = {"bucketCounts", "explicitBounds"}
ODD = (
    *(None, True, 0, -1, 7, 1.5, -0.0, 1e300, 2**31, 2**63, 2**64, -(2**63) - 1, [], {}, [{}], [None], {"k": 1}),
    *("", "0", "-1", "+5", " 7", "1.0", "1e3", "9" * 20, "NaN", "-Infinity", "inf", "ü\u0000", "ab" * 16, "zz" * 8),
)
"""Values that a field may be given instead of its own."""


def other_value(rng: np.random.Generator, data: bytes) -> bytes:
    """The JSON document with one value replaced by an odd one, left out, said twice, or moved to another field."""
    document = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(document)
    node, key = places[int(rng.integers(len(places)))]
    match int(rng.integers(4)):
        case 0:
            del node[key]
        case 1:
            there, other = places[int(rng.integers(len(places)))]
            node[key] = json.loads(json.dumps(there[other]))
        case _:
            node[key] = ODD[int(rng.integers(len(ODD)))]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=bool(rng.integers(2))).encode()


@dataclass(frozen=True)
class Signal:
    """One signal: its official class, our decoder's table, and whole requests."""

    request: type[Proto]
    decode: Callable[[list[Message], str], Batch]
    table: str
    bodies: Sequence[bytes]

    def rows(self, bodies: Sequence[bytes], encoding: Encoding) -> tuple[pl.DataFrame, tuple[Rejected, ...]]:
        """Decode frames together."""
        found = [Message(f"byte {n}", body, encoding, n) for n, body in enumerate(bodies)]
        batch = self.decode(found, "f")
        return batch.tables[self.table], batch.rejected

    def whole(self, encoding: Encoding) -> list[bytes]:
        """The requests as they were before any mutation."""
        if encoding == "protobuf":
            return list(self.bodies)
        return [as_json(self.request.FromString(body)) for body in self.bodies]

    def in_the_other(self, body: bytes, encoding: Encoding) -> bytes | None:
        """The frame in the other encoding, by the official classes; None where they do not read it."""
        if encoding == "protobuf":
            try:
                return as_json(self.request.FromString(body))
            except (DecodeError, UnicodeDecodeError, ValueError):
                return None
        return self._from_json(body)

    def _from_json(self, body: bytes) -> bytes | None:
        """Through ``json_format``, which takes base64 for hex, and a text where a list of objects has an object."""

        def mended(value: Any, key: str = "") -> Any:
            if isinstance(value, list):
                if key not in NUMBERS and not all(isinstance(item, dict) for item in value):
                    raise ValueError(key)
                return [mended(item) for item in value]
            if not isinstance(value, dict):
                return base64.b64encode(bytes.fromhex(value)).decode() if key in HEX and value else value
            return {key: mended(item, key) for key, item in value.items()}

        try:
            return ParseDict(mended(json.loads(body)), self.request(), ignore_unknown_fields=True).SerializeToString()
        except (ParseError, ValueError, TypeError, AttributeError, RecursionError):
            return None


SIGNALS = {
    "traces": Signal(
        ExportTraceServiceRequest, otlp.decode_messages, RAW_OTLP_SPANS.name, sorted(BODIES, key=len)[:40]
    ),
    "metrics": Signal(
        ExportMetricsServiceRequest, decode_metric_messages, RAW_OTLP_METRIC_POINTS.name, [*map(some_metrics, range(9))]
    ),
    "logs": Signal(
        ExportLogsServiceRequest, decode_log_messages, RAW_OTLP_LOG_RECORDS.name, [*map(some_logs, range(9))]
    ),
}


def damaged(rng: np.random.Generator, corpus: Sequence[bytes], encoding: Encoding) -> bytes:
    """A mutated frame; of JSON half stay JSON, for most damage to its bytes only ends it early."""
    if encoding == "json" and rng.random() < 0.5:
        return other_value(rng, corpus[int(rng.integers(len(corpus)))])
    return mutated(rng, corpus)


def differing(one: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    """The columns that differ."""
    return [name for name in one.columns if not one[name].equals(other[name], null_equal=True)]


def carried_over(signal: Signal, body: bytes, rows: pl.DataFrame, encoding: Encoding, other: Encoding) -> str:
    """What came of a frame that is read whole, in the other encoding."""
    carried = signal.in_the_other(body, encoding)
    if carried is None:
        return "not carried over"
    again, refused = signal.rows([carried], other)
    if refused:
        return f"refused in {other} alone: {refused[0].reason}"[:90]
    assert again.equals(rows), (differing(rows, again), body)
    return "the same in both encodings"


def fuzz_signal(name: str, encoding: Encoding, n: int, seed: int = 0) -> Counter[str]:
    """Decode mutated frames of a signal alone, among whole ones, and in the other encoding; counts what came of them.

    Raises:
        AssertionError: If a row differs that must not.
    """
    signal, rng = SIGNALS[name], np.random.default_rng(seed)
    corpus = signal.whole(encoding)
    other: Encoding = "json" if encoding == "protobuf" else "protobuf"
    good = corpus[0]
    plain = signal.rows([good], encoding)[0]
    seen: Counter[str] = Counter()
    for _ in range(0, n, TOGETHER):
        bad = [damaged(rng, corpus, encoding) for _ in range(TOGETHER)]
        among = [body for pair in zip(bad, [good] * TOGETHER, strict=True) for body in pair]
        table, rejected = signal.rows([good, *among], encoding)
        refused = Counter(each.offset for each in rejected)
        whole = {each.offset for each in rejected if each.position == f"byte {each.offset}"}
        expected = [plain]
        for number, body in enumerate(bad):
            at = 2 * number + 1
            if at not in whole:
                rows, parts = signal.rows([body], encoding)
                assert len(parts) == refused[at], body
                expected.append(rows)
                seen[carried_over(signal, body, rows, encoding, other) if not parts else "refused in part"] += 1
            expected.append(plain)
        assert table.equals(pl.concat(expected)), bad
        assert all(at % 2 for at in refused)
        seen["frames"] += len(bad)
        seen["refused"] += len(whole)
    return seen


@pytest.mark.skipif(not otlp_ptars.AVAILABLE, reason="ptars is not installed: there is only one path")
def test_mutated_frames_give_the_same_rows_on_both_paths() -> None:
    seen = fuzz_frames(2000)

    assert seen["frames"] == 2000
    assert seen["refused pieces"] > 500


def test_a_mutated_file_costs_the_messages_that_were_mutated() -> None:
    """One place touches one message, or two where they meet."""
    seen = fuzz_files(400)

    assert seen["messages lost: 1"] > 300
    assert set(seen) <= {"files", "messages lost: 0", "messages lost: 1", "messages lost: 2"}


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("name", SIGNALS)
def test_a_mutated_frame_gives_what_it_gives_alone_and_in_the_other_encoding(name: str, encoding: Encoding) -> None:
    seen = fuzz_signal(name, encoding, 100)

    assert seen["frames"] == 100
    assert seen["the same in both encodings"] > 2
    assert seen["refused"] > 10


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for signal_name in SIGNALS:
        for one in ("json", "protobuf"):
            found = fuzz_signal(signal_name, one, asked, begin)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            sys.stdout.write(f"{signal_name} {one} {peak} MB {dict(found.most_common())}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{dict(fuzz_frames(asked, begin))}\n{dict(fuzz_files(asked // 10, begin))}\n")
