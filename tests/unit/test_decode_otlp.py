"""OTLP decoding against a plain reference made with the official classes, and what it refuses."""

import base64
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.dtypes import schema as contract_schema
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp, otlp_ptars
from weaver_forge.settings import test_data as outside_data

PATHS = (False, True) if otlp_ptars.AVAILABLE else (False,)
START = 1_700_000_000_000_000_000
VALUES = (
    AnyValue(string_value="GET"),
    AnyValue(string_value="naïve — 値"),
    AnyValue(string_value=""),
    AnyValue(string_value="x" * 300),
    AnyValue(bool_value=True),
    AnyValue(bool_value=False),
    AnyValue(int_value=503),
    AnyValue(int_value=-(2**63)),
    AnyValue(double_value=266.0),
    AnyValue(double_value=math.inf),
    AnyValue(bytes_value=b"\x00\xff\xfe"),
    AnyValue(),
    AnyValue(array_value=ArrayValue(values=[AnyValue(double_value=math.nan), AnyValue(int_value=1), AnyValue()])),
    AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a", value=AnyValue(array_value=ArrayValue(values=[])))])),
)
KEYS = (
    *("http.request.method", "http.method", "http.response.status_code", "http.status_code", "http.route"),
    *("rpc.method", "db.system.name", "db.system", "server.address", "net.peer.name", "error.type"),
    *("thread.id", "", "k" * 200),
)
RESOURCE_KEYS = (
    *("service.name", "service.namespace", "service.version", "deployment.environment"),
    *("deployment.environment.name", "host.name"),
)


def attributes(rng: np.random.Generator, keys: tuple[str, ...], most: int) -> list[KeyValue]:
    chosen = rng.choice(len(keys), size=int(rng.integers(0, most)), replace=False)
    return [KeyValue(key=keys[k], value=VALUES[int(rng.integers(len(VALUES)))]) for k in chosen]


def request(rng: np.random.Generator, n_spans: int = 40) -> ExportTraceServiceRequest:
    """A request with every kind of value, old and new names, events, links and several resources."""
    message = ExportTraceServiceRequest()
    for _ in range(3):
        resource_spans = message.resource_spans.add()
        resource_spans.resource.attributes.extend(attributes(rng, RESOURCE_KEYS, 6))
        scope = resource_spans.scope_spans.add()
        for _ in range(n_spans):
            start = START + int(rng.integers(10**12))
            span = scope.spans.add(
                trace_id=rng.bytes(16),
                span_id=rng.bytes(8),
                parent_span_id=rng.bytes(8) if rng.random() < 0.7 else b"",
                name=f"GET /{rng.integers(9)}",
                kind=int(rng.integers(6)),
                start_time_unix_nano=start,
                end_time_unix_nano=start + int(rng.integers(10**9)),
                attributes=attributes(rng, KEYS, 10),
                trace_state="a=b",
            )
            if rng.random() < 0.3:
                span.status.code = int(rng.integers(3))
                span.status.message = "no ☕"
            if rng.random() < 0.2:
                span.events.add(name="e", time_unix_nano=start, attributes=attributes(rng, KEYS, 3))
                span.links.add(trace_id=rng.bytes(16), span_id=rng.bytes(8), attributes=attributes(rng, KEYS, 3))
    return message


def plain(value: AnyValue, *, inside: bool = False) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [plain(v, inside=True) for v in value.array_value.values]
    if which == "kvlist_value":
        return {p.key: plain(p.value, inside=True) for p in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value" and not math.isfinite(value.double_value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value.double_value)]
    return getattr(value, which)


def text(value: AnyValue) -> str | None:
    found = plain(value)
    return found if found is None or isinstance(found, str) else compact(found)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def take(found: dict[str, str | None], current: str, *old: str, integer: bool = False) -> Any:
    """The value of the current name, which leaves the map, else of an old one, which stays in it."""
    for name in (current, *old):
        value = found.get(name)
        if value is not None and (not integer or value.isdigit()):
            if name == current:
                del found[name]
            return int(value) if integer else value
    return None


def reference(message: ExportTraceServiceRequest) -> pl.DataFrame:
    """The plain way: official classes, a loop, no caching."""
    rows = []
    for resource_spans in message.resource_spans:
        for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
            mine = {p.key: text(p.value) for p in resource_spans.resource.attributes}
            named = {name: mine.pop(name) if mine.get(name) else None for name in RESOURCE_KEYS[:3]}
            environment = mine.pop(RESOURCE_KEYS[4]) if mine.get(RESOURCE_KEYS[4]) else None
            if environment is None and mine.get(RESOURCE_KEYS[3]):
                environment = mine[RESOURCE_KEYS[3]]
            found = {p.key: text(p.value) for p in span.attributes}
            rows.append(reference_row(span, named, environment, mine, found))
    return pl.DataFrame(rows, schema=contract_schema(RAW_OTLP_SPANS), orient="row")


def reference_row(span: Span, named: dict, environment: str | None, mine: dict, found: dict) -> dict[str, Any]:
    events = [
        {"time_unix_ns": e.time_unix_nano, "name": e.name, "attributes": pairs(e.attributes)} for e in span.events
    ]
    links = [
        {"trace_id": x.trace_id.hex(), "span_id": x.span_id.hex(), "attributes": pairs(x.attributes)}
        for x in span.links
    ]
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": span.kind,
        "start_unix_ns": span.start_time_unix_nano,
        "end_unix_ns": span.end_time_unix_nano,
        "status_code": span.status.code,
        "status_message": span.status.message,
        "service_namespace": named["service.namespace"] or "",
        "service_name": named["service.name"] or "unknown_service",
        "service_version": named["service.version"],
        "deployment_environment_name": environment or "",
        "http_request_method": take(found, "http.request.method", "http.method"),
        "http_response_status_code": take(found, "http.response.status_code", "http.status_code", integer=True),
        "http_route": take(found, "http.route"),
        "rpc_method": take(found, "rpc.method"),
        "db_system_name": take(found, "db.system.name", "db.system"),
        "server_address": take(found, "server.address", "net.peer.name"),
        "error_type": take(found, "error.type"),
        "attributes": [{"key": k, "value": v} for k, v in found.items()],
        "resource_attributes": [{"key": k, "value": v} for k, v in mine.items()],
        "events": compact(events) if events else None,
        "links": compact(links) if links else None,
    }


def pairs(found: Any) -> dict[str, Any]:
    return {p.key: plain(p.value, inside=True) for p in found}


def json_value(value: AnyValue) -> dict[str, Any]:
    which = value.WhichOneof("value")
    if which is None:
        return {}
    if which == "array_value":
        return {"arrayValue": {"values": [json_value(v) for v in value.array_value.values]}}
    if which == "kvlist_value":
        return {"kvlistValue": {"values": json_pairs(value.kvlist_value.values)}}
    if which == "int_value":
        return {"intValue": str(value.int_value) if value.int_value < 0 else value.int_value}
    return {f"{which.split('_', maxsplit=1)[0]}Value": plain(value)}


def json_pairs(found: Any) -> list[dict[str, Any]]:
    return [{"key": p.key, "value": json_value(p.value)} for p in found]


def json_span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex().upper(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": json_pairs(span.attributes),
        "events": [
            {"name": e.name, "timeUnixNano": str(e.time_unix_nano), "attributes": json_pairs(e.attributes)}
            for e in span.events
        ],
        "links": [
            {"traceId": x.trace_id.hex(), "spanId": x.span_id.hex(), "attributes": json_pairs(x.attributes)}
            for x in span.links
        ],
        "status": {"code": span.status.code, "message": span.status.message},
        "somethingNew": [{"a": 1}],
    }


def json_request(message: ExportTraceServiceRequest, **layout: Any) -> bytes:
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": json_pairs(r.resource.attributes)},
                "scopeSpans": [{"spans": [json_span(s) for s in scope.spans]} for scope in r.scope_spans],
            }
            for r in message.resource_spans
        ]
    }
    return json.dumps(document, **layout).encode()


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def spans_of(data: bytes) -> pl.DataFrame:
    """The rows; every call also holds the protobuf paths against each other."""
    tables = []
    for ptars in PATHS:
        batch = otlp.decode([Frame("t", data)], ptars=ptars)
        assert batch.rejected == ()
        tables.append(batch.tables[RAW_OTLP_SPANS.name])
    assert tables[0].equals(tables[-1])
    return tables[0]


def one_span(**changes: Any) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    fields = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "n", "start_time_unix_nano": START}
    fields |= {"end_time_unix_nano": START + 1, **changes}
    message.resource_spans.add().scope_spans.add().spans.add(**fields)
    return message


@pytest.mark.parametrize("seed", range(4))
def test_protobuf_gives_the_rows_of_the_plain_reference(seed: int) -> None:
    """The pruned, dictionary-encoded path says exactly what the official classes say, value for value."""
    message = request(np.random.default_rng(seed))

    rows = spans_of(message.SerializeToString())

    assert rows.equals(reference(message))
    assert rows.columns == list(RAW_OTLP_SPANS.column_names)


@pytest.mark.parametrize("seed", range(4))
def test_json_gives_the_same_rows_as_protobuf(seed: int) -> None:
    """Numbers or strings, upper-case ids, unknown fields: the encoding never shows in a row."""
    message = request(np.random.default_rng(seed))

    rows = spans_of(json_request(message))

    assert rows.equals(spans_of(message.SerializeToString()))


@pytest.mark.parametrize("framing", ["fixed", "varint", "bare", "lines", "document"])
def test_every_framing_is_recognised_and_gives_the_same_rows(framing: str) -> None:
    messages = [request(np.random.default_rng(seed), 5) for seed in range(3)]
    bodies = [m.SerializeToString() for m in messages]
    whole = ExportTraceServiceRequest(resource_spans=[r for m in messages for r in m.resource_spans])
    data = {
        "fixed": b"".join(len(b).to_bytes(4, "big") + b for b in bodies),
        "varint": b"".join(varint(len(b)) + b for b in bodies),
        "bare": b"".join(bodies),
        "lines": b"\n\n".join(json_request(m) for m in messages) + b"\n",
        "document": json_request(whole, indent=2),
    }[framing]

    rows = spans_of(data)

    assert rows.equals(reference(whole))


@pytest.mark.parametrize("size", [97, 123, 10])
def test_a_message_that_begins_like_json_is_still_protobuf(size: int) -> None:
    """A varint length of 123 is ``{`` and a bare message begins with a newline: bytes decide, not a first look."""
    message = one_span(name="n")
    short = len(message.SerializeToString())
    message = one_span(name="n" * max(1, size - short + 1))
    body = message.SerializeToString()

    delimited, bare = spans_of(varint(len(body)) + body), spans_of(body)

    assert delimited.equals(bare)
    assert delimited.height == 1


@pytest.mark.parametrize("framing", ["fixed", "varint", "bare", "lines"])
def test_a_truncated_tail_is_refused_and_complete_messages_are_kept(framing: str) -> None:
    bodies = [request(np.random.default_rng(seed), 5).SerializeToString() for seed in range(3)]
    heads = {"fixed": lambda b: len(b).to_bytes(4, "big"), "varint": lambda b: varint(len(b))}
    parts = [heads.get(framing, lambda _: b"")(b) + b for b in bodies]
    if framing == "lines":
        parts = [json_request(ExportTraceServiceRequest.FromString(b)) + b"\n" for b in bodies]

    batch = otlp.decode([Frame("t", b"".join(parts)[:-9])])

    kept = batch.tables[RAW_OTLP_SPANS.name].height
    assert kept == (8 * 5 if framing == "bare" else 6 * 5)  # a bare message keeps its complete resources
    assert len(batch.rejected) == 1
    assert "the file ends inside a message" in batch.rejected[0].reason
    where = "line 3" if framing == "lines" else "byte "
    assert batch.rejected[0].position.startswith(where)


def test_a_bad_message_costs_itself_only() -> None:
    bodies = [one_span(span_id=bytes([n]) * 8).SerializeToString() for n in (1, 2, 3)]
    bodies[1] = bodies[1][:9] + b"\xff" * (len(bodies[1]) - 9)
    data = b"".join(len(b).to_bytes(4, "big") + b for b in bodies)

    batch = otlp.decode([Frame("f", data)])

    assert batch.tables[RAW_OTLP_SPANS.name]["span_id"].to_list() == ["01" * 8, "03" * 8]
    assert [(r.name, r.position) for r in batch.rejected] == [("f", f"byte {len(bodies[0]) + 4}")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace_id": b"t" * 15}, "trace id"),
        ({"trace_id": bytes(16)}, "trace id"),
        ({"span_id": b""}, "span id"),
        ({"span_id": bytes(8)}, "span id"),
        ({"parent_span_id": b"p"}, "parent span id"),
        ({"end_time_unix_nano": 2**63}, "2262"),
        ({"end_time_unix_nano": START - 1}, "ends before it starts"),
    ],
)
def test_a_span_that_cannot_be_stored_is_refused_with_its_place(changes: dict, reason: str) -> None:
    """In both encodings, and the good span beside it is kept."""
    good, bad = one_span(), one_span(**changes)
    good.resource_spans[0].scope_spans[0].spans.append(bad.resource_spans[0].scope_spans[0].spans[0])

    for data, place in ((good.SerializeToString(), "byte 0, span 1"), (json_request(good), "line 1, span 1")):
        batch = otlp.decode([Frame("f", data)])

        assert batch.tables[RAW_OTLP_SPANS.name].height == 1
        assert [(r.position, reason in r.reason) for r in batch.rejected] == [(place, True)]


def test_text_that_is_not_utf8_costs_its_span_only() -> None:
    """The parser does not check pruned fields, so the check is ours."""
    bodies = [one_span(name="NAME", attributes=[KeyValue(key="k", value=AnyValue(string_value="VALUE"))])]
    data = bodies[0].SerializeToString()

    named = otlp.decode([Frame("f", data + data.replace(b"NAME", b"NA\xffE"))])
    valued = otlp.decode([Frame("f", data + data.replace(b"VALUE", b"\xffALUE"))])

    assert [b.tables[RAW_OTLP_SPANS.name].height for b in (named, valued)] == [1, 1]
    assert "not UTF-8" in named.rejected[0].reason
    assert "attribute cannot be read" in valued.rejected[0].reason


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_another_signal_is_named_not_stored(signal: str, encoding: str) -> None:
    metrics, logs = ExportMetricsServiceRequest(), ExportLogsServiceRequest()
    points = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points
    points.add(as_int=1, time_unix_nano=START)
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
    binary = {"metrics": metrics, "logs": logs}[signal].SerializeToString()
    lines = {"metrics": b'{"resourceMetrics":[]}', "logs": b'{"resourceLogs":[]}'}[signal]

    batch = otlp.decode([Frame("f", binary if encoding == "protobuf" else lines)])

    assert batch.tables[RAW_OTLP_SPANS.name].is_empty()
    assert [r.reason for r in batch.rejected] == [f"this is a {signal} payload"]


def test_a_repeated_key_is_kept_once() -> None:
    """A map column refuses repeated keys; OTLP forbids them, senders do not."""
    twice = [KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in (("a", "1"), ("a", "2"), ("http.route", "x"))]

    row = spans_of(one_span(attributes=twice).SerializeToString()).row(0, named=True)

    assert row["attributes"] == [{"key": "a", "value": "1"}]
    assert row["http_route"] == "x"


def test_chunks_are_bounded_and_add_up_to_the_whole() -> None:
    bodies = [request(np.random.default_rng(seed), 5).SerializeToString() for seed in range(6)]
    frame = Frame("t", b"".join(len(b).to_bytes(4, "big") + b for b in bodies))

    chunks = list(otlp.decode_chunks(frame, target_bytes=len(bodies[0])))

    tables = [chunk.tables[RAW_OTLP_SPANS.name] for chunk in chunks]
    assert len(tables) > 1
    assert pl.concat(tables).equals(spans_of(frame.data))


@pytest.mark.parametrize("data", [b"", b"  \n\t \n", b"\xef\xbb\xbf", b"{}", b"\x00\x00\x00\x00"])
def test_nothing_in_gives_nothing_out(data: bytes) -> None:
    batch = otlp.decode([Frame("f", data)])

    assert batch.tables[RAW_OTLP_SPANS.name].is_empty()


@pytest.mark.parametrize(
    "data", [b"hello there", b"[1, 2]", b'{"a": 1}', b"\x00\x01\x02\x03" * 9, b'{"resourceSpans": 3}']
)
def test_what_is_not_otlp_is_refused_never_dropped(data: bytes) -> None:
    batch = otlp.decode([Frame("f", data)])

    assert len(batch.rejected) == 1
    assert batch.rejected[0].raw


def test_mutated_files_never_crash() -> None:
    """Flips, cuts and insertions give rows and refusals, never an exception."""
    rng = np.random.default_rng(7)
    body = request(rng, 2).SerializeToString()
    framed = len(body).to_bytes(4, "big") + body

    for _ in range(50):
        data = bytearray(framed)
        for _ in range(int(rng.integers(1, 6))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        cut = bytes(data[: int(rng.integers(1, len(data)))]) if rng.random() < 0.3 else bytes(data)
        batch = otlp.decode([Frame("f", cut)])
        assert batch.tables[RAW_OTLP_SPANS.name].height or batch.rejected


def outside(pattern: str) -> list[Path]:
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    folders = (folder / "otlp", folder / "fixtures/otlp", folder / "fixtures/otlp-captured")
    return sorted(path for at in folders for path in at.glob(pattern) if path.is_file())


def frame_of(path: Path) -> Frame:
    data = path.read_bytes()
    return Frame(path.name, gzip.decompress(data) if path.suffix == ".gz" else data)


def test_the_corpus_says_the_same_in_both_encodings() -> None:
    """And holds exactly the distinct spans that were asked for, though some requests come twice."""
    bodies = list(requests(3000, n_repeats=2))
    lines = list(requests(3000, n_repeats=2, encoding="json"))

    rows = spans_of(b"".join(len(b).to_bytes(4, "big") + b for b in bodies))

    assert rows.equals(spans_of(b"\n".join(lines)))
    assert rows.equals(reference(ExportTraceServiceRequest.FromString(b"".join(bodies))))
    assert rows.select("trace_id", "span_id").n_unique() == 3000 < rows.height


def test_a_refused_span_can_be_decoded_again_by_itself() -> None:
    """What is refused comes with its bytes: a request that holds it alone, with its resource."""
    message = request(np.random.default_rng(1), 3)
    message.resource_spans[1].scope_spans[0].spans[2].trace_id = b"short"

    for data in (message.SerializeToString(), json_request(message)):
        for ptars in PATHS:
            (refused,) = otlp.decode([Frame("f", data)], ptars=ptars).rejected
            again = otlp.decode([Frame("f", refused.data or b"")], ptars=ptars)

            assert [r.reason for r in again.rejected] == [refused.reason]
            assert "trace_id=73686f7274" in refused.raw.lower()
            assert again.rejected[0].raw == refused.raw


@pytest.mark.outside
def test_no_outside_file_crashes_the_decoder() -> None:
    for path in outside("**/*"):
        frame = frame_of(path)

        batch = otlp.decode([frame], ptars=False)
        fast = otlp.decode([frame], ptars=PATHS[-1])

        assert fast.tables[RAW_OTLP_SPANS.name].equals(batch.tables[RAW_OTLP_SPANS.name]), path
        assert [(r.position, r.data) for r in fast.rejected] == [(r.position, r.data) for r in batch.rejected], path
        n_rows = batch.tables[RAW_OTLP_SPANS.name].height
        assert n_rows or batch.rejected or not frame.data.strip(), path
        if "_metrics.pb" in path.name or "_logs.pb" in path.name:
            assert {r.reason.split()[-2] for r in batch.rejected} <= {"metrics", "logs"}, path


@pytest.mark.outside
def test_outside_traces_give_the_rows_of_the_plain_reference() -> None:
    """Real traces of two systems: every span is there and says what the official classes say."""
    for path in outside("nezha/normal_*traces.pb.gz"):
        frame = frame_of(path)
        whole = ExportTraceServiceRequest()
        for message in otlp.split(frame):
            whole.MergeFromString(message.data)  # type: ignore[union-attr]  # a Rejected would fail here, rightly

        assert spans_of(frame.data).equals(reference(whole))
        del whole.resource_spans[20:]  # enough of it for the slow way to JSON
        assert spans_of(json_request(whole)).equals(reference(whole))


@pytest.mark.outside
@pytest.mark.parametrize(
    ("name", "n_spans", "n_rejected"),
    [
        ("malformed.jsonl", 0, 4),
        ("whitespace.jsonl", 0, 0),
        ("empty.jsonl", 0, 0),
        ("traces_simple.jsonl", 3, 0),
        ("traces_nulls.jsonl", 3, 0),
        ("traces_deep_nesting.jsonl", 1, 0),
        ("traces_large_attrs.jsonl", 1, 0),
        ("multifile_malformed_traces.jsonl", 0, 1),
        ("otlp_traces.pb", 1, 0),
    ],
)
def test_outside_samples_give_known_counts(name: str, n_spans: int, n_rejected: int) -> None:
    for path in outside(f"duckdb_otlp/test/data/{name}"):
        batch = otlp.decode([frame_of(path)])

        assert (batch.tables[RAW_OTLP_SPANS.name].height, len(batch.rejected)) == (n_spans, n_rejected)
