"""OTLP metrics and logs: protobuf and JSON give equal tables, and bad input costs itself alone."""

import base64
import gzip
import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as Proto
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
from polars.testing import assert_frame_equal

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.decode.otlp_framing import Encoding, Message, split
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages
from weaver_forge.settings import test_data as outside_data

AT = 1_700_000_000_000_000_000
VALUES = (
    AnyValue(string_value="GET"),
    AnyValue(string_value="naïve — 値"),
    AnyValue(string_value="x" * 300),
    AnyValue(bool_value=True),
    AnyValue(int_value=-(2**63)),
    AnyValue(double_value=math.inf),
    AnyValue(bytes_value=b"\x00\xff\xfe"),
    AnyValue(),
    AnyValue(array_value=ArrayValue(values=[AnyValue(double_value=math.nan), AnyValue(int_value=1), AnyValue()])),
    AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a", value=AnyValue(array_value=ArrayValue(values=[])))])),
)
KEYS = ("service.name", "service.namespace", "deployment.environment", "cpu.mode", "host.name", "")
DOUBLES = (0.0, 1.5, -3.25, math.nan, math.inf, -math.inf, 1e-300)
POINTS, RECORDS = RAW_OTLP_METRIC_POINTS.name, RAW_OTLP_LOG_RECORDS.name


def attributes(rng: np.random.Generator) -> list[KeyValue]:
    keys = rng.choice(KEYS, size=int(rng.integers(0, 4)), replace=False)
    return [KeyValue(key=str(key), value=VALUES[int(rng.integers(len(VALUES)))]) for key in keys]


def a_double(rng: np.random.Generator) -> float:
    return DOUBLES[int(rng.integers(len(DOUBLES)))]


def times(rng: np.random.Generator) -> dict[str, Any]:
    start = AT if rng.random() < 0.8 else 0
    time = AT + int(rng.integers(1, 2**40))
    return {"start_time_unix_nano": start, "time_unix_nano": time, "flags": int(rng.random() < 0.1)}


def exemplars(rng: np.random.Generator) -> list[m.Exemplar]:
    if rng.random() < 0.7:
        return []
    one = m.Exemplar(time_unix_nano=AT, filtered_attributes=attributes(rng), trace_id=rng.bytes(16))
    if rng.random() < 0.5:
        one.as_int = 2**62
    else:
        one.as_double = a_double(rng)
    return [one]


def optional(rng: np.random.Generator, *names: str) -> dict[str, float]:
    return {name: a_double(rng) for name in names if rng.random() < 0.6}


def numbers(rng: np.random.Generator) -> list[m.NumberDataPoint]:
    points = [m.NumberDataPoint(attributes=attributes(rng), exemplars=exemplars(rng), **times(rng)) for _ in range(4)]
    for point in points[:2]:
        point.as_int = int(rng.integers(-(2**63), 2**63 - 1))
    for point in points[2:]:
        point.as_double = a_double(rng)
    return points


def buckets(rng: np.random.Generator) -> m.ExponentialHistogramDataPoint.Buckets:
    counts = [int(n) for n in rng.integers(0, 9, 5)]
    return m.ExponentialHistogramDataPoint.Buckets(offset=int(rng.integers(-9, 9)), bucket_counts=counts)


def metrics_request(rng: np.random.Generator) -> ExportMetricsServiceRequest:
    """A request with every type, temporality and form of a value."""
    message = ExportMetricsServiceRequest()
    for _ in range(2):
        resource = message.resource_metrics.add()
        resource.resource.attributes.extend(attributes(rng))
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = "library", "1"
        scope.scope.attributes.extend(attributes(rng))
        about = {"unit": "By", "description": "größer"}
        scope.metrics.add(name="g", **about).gauge.data_points.extend(numbers(rng))
        for temporality in range(3):
            total = scope.metrics.add(name="s", **about).sum
            total.aggregation_temporality, total.is_monotonic = temporality, bool(rng.random() < 0.5)
            total.data_points.extend(numbers(rng))
        histogram = scope.metrics.add(name="h").histogram
        histogram.aggregation_temporality = m.AGGREGATION_TEMPORALITY_CUMULATIVE
        for bounds in ([], [0.0, 5.0, math.inf]):
            counts = [int(n) for n in rng.integers(0, 9, len(bounds) + 1)] if bounds else []
            histogram.data_points.add(
                attributes=attributes(rng),
                count=sum(counts),
                bucket_counts=counts,
                explicit_bounds=bounds,
                exemplars=exemplars(rng),
                **times(rng),
                **optional(rng, "sum", "min", "max"),
            )
        exponential = scope.metrics.add(name="e").exponential_histogram
        exponential.aggregation_temporality = m.AGGREGATION_TEMPORALITY_DELTA
        for _ in range(3):
            exponential.data_points.add(
                attributes=attributes(rng),
                count=7,
                scale=int(rng.integers(-3, 20)),
                zero_count=2,
                zero_threshold=0.5,
                positive=buckets(rng),
                negative=buckets(rng),
                **times(rng),
                **optional(rng, "sum", "min", "max"),
            )
        quantiles = [m.SummaryDataPoint.ValueAtQuantile(quantile=q, value=a_double(rng)) for q in (0.0, 0.5, 1.0)]
        scope.metrics.add(name="q").summary.data_points.add(
            attributes=attributes(rng), count=9, sum=1.0, quantile_values=quantiles, **times(rng)
        )
    return message


def logs_request(rng: np.random.Generator) -> ExportLogsServiceRequest:
    """A request with every form of a body, with and without times and ids."""
    message = ExportLogsServiceRequest()
    for _ in range(2):
        resource = message.resource_logs.add()
        resource.resource.attributes.extend(attributes(rng))
        scope = resource.scope_logs.add()
        scope.scope.name = "logger"
        for _ in range(12):
            record = scope.log_records.add(
                time_unix_nano=AT + int(rng.integers(2**40)) if rng.random() < 0.8 else 0,
                observed_time_unix_nano=AT + int(rng.integers(2**40)),
                severity_number=int(rng.integers(25)),
                severity_text="INFO" if rng.random() < 0.5 else "",
                attributes=attributes(rng),
                trace_id=rng.bytes(16) if rng.random() < 0.5 else b"",
                span_id=rng.bytes(8) if rng.random() < 0.5 else bytes(8),
                event_name="page.view" if rng.random() < 0.3 else "",
            )
            if rng.random() < 0.9:
                record.body.CopyFrom(VALUES[int(rng.integers(len(VALUES)))])
    return message


def as_json(message: Proto) -> bytes:
    """OTLP JSON of a request: protobuf's JSON with integer enums and hex ids."""

    def mended(value: Any) -> Any:
        if isinstance(value, list):
            return [mended(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex() if key in {"traceId", "spanId"} else mended(item)
            for key, item in value.items()
        }

    return json.dumps(mended(MessageToDict(message, use_integers_for_enums=True))).encode()


def protobuf(*messages: Proto) -> list[Message]:
    return [Message(f"byte {n}", message.SerializeToString(), "protobuf") for n, message in enumerate(messages)]


def in_json(*messages: Proto) -> list[Message]:
    return [Message(f"byte {n}", as_json(message), "json") for n, message in enumerate(messages)]


def assert_contract(table: Table, frame: pl.DataFrame) -> None:
    assert dict(frame.schema) == schema(table)
    assert not [c.name for c in table.columns if not c.nullable and frame[c.name].null_count()]


@pytest.mark.parametrize("seed", range(8))
def test_metrics_in_protobuf_and_json_give_equal_tables(seed: int) -> None:
    """Every type, temporality and value form, exemplars, flags and maps: equal to the bit."""
    rng = np.random.default_rng(seed)
    requests = [metrics_request(rng), metrics_request(rng)]

    one = decode_metric_messages(protobuf(*requests), "a")
    other = decode_metric_messages(in_json(*requests), "a")

    assert one.tables[POINTS].height == 2 * 2 * (16 + 2 + 3 + 1)
    assert not one.rejected
    assert not other.rejected
    assert_frame_equal(one.tables[POINTS], other.tables[POINTS])
    assert_contract(RAW_OTLP_METRIC_POINTS, one.tables[POINTS])


@pytest.mark.parametrize("seed", range(8))
def test_logs_in_protobuf_and_json_give_equal_tables(seed: int) -> None:
    """Every form of a body, times said and unsaid, ids valid and not: equal, ids included."""
    rng = np.random.default_rng(seed)
    requests = [logs_request(rng), logs_request(rng)]

    one = decode_log_messages(protobuf(*requests), "a")
    other = decode_log_messages(in_json(*requests), "a")

    assert one.tables[RECORDS].height == 48
    assert not one.rejected
    assert not other.rejected
    assert_frame_equal(one.tables[RECORDS], other.tables[RECORDS])
    assert_contract(RAW_OTLP_LOG_RECORDS, one.tables[RECORDS])


def metric(**data: Any) -> dict[str, Any]:
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "a", "unit": "s", **data}]}]}]}


def decoded_metrics(document: dict[str, Any]) -> Batch:
    return decode_metric_messages([Message("line 1", json.dumps(document).encode(), "json")], "a")


def logs(*records: dict[str, Any]) -> list[Message]:
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}
    return [Message("line 1", json.dumps(document).encode(), "json")]


def test_an_integer_value_keeps_all_64_bits() -> None:
    """A double would lose the last digit."""
    point = {"timeUnixNano": str(AT), "asInt": "9223372036854775807"}

    found = decoded_metrics(metric(gauge={"dataPoints": [point]})).tables[POINTS]

    assert found["value_int"].to_list() == [2**63 - 1]
    assert found["value_double"].to_list() == [None]


def test_a_point_without_a_recorded_value_is_not_a_zero() -> None:
    """The flag says that the series ended; protobuf's default of 0 beside it is nobody's observation."""
    data = {"dataPoints": [{"timeUnixNano": str(AT), "flags": 1, "asDouble": 0}], "aggregationTemporality": 2}

    found = decoded_metrics(metric(sum=data)).tables[POINTS]

    assert found["has_value"].to_list() == [False]
    assert found["value_double"].to_list() == [None]


def test_what_a_histogram_does_not_say_is_null() -> None:
    """An absent sum, minimum or maximum is unknown; a sum of zero is a sum."""
    base = {"timeUnixNano": str(AT), "count": "3", "bucketCounts": ["1", "2"], "explicitBounds": [1.5]}
    points = [base, {**base, "timeUnixNano": str(AT + 1), "sum": 0}]

    found = decoded_metrics(metric(histogram={"dataPoints": points, "aggregationTemporality": 1})).tables[POINTS]

    assert found["sum_value"].to_list() == [None, 0.0]
    assert found["min_value"].to_list() == [None, None]
    assert found["bucket_counts"].to_list() == [[1, 2], [1, 2]]
    assert found["temporality"].to_list() == ["delta", "delta"]


@pytest.mark.parametrize("said", [1, "1", "AGGREGATION_TEMPORALITY_DELTA"])
def test_a_temporality_is_read_in_every_way_that_senders_write_it(said: int | str) -> None:
    document = metric(sum={"dataPoints": [{"timeUnixNano": 1, "asInt": 1}], "aggregationTemporality": said})

    found = decoded_metrics(document).tables[POINTS]

    assert found["temporality"].to_list() == ["delta"]


def test_a_summary_without_a_sum_has_a_sum_of_zero() -> None:
    """Its field has no presence: who writes protobuf leaves a zero out. A histogram's has, and is unknown."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="q").summary.data_points.add(time_unix_nano=1, count=2, sum=0.0)
    metrics.add(name="h").histogram.data_points.add(time_unix_nano=1, count=2)

    found = [decode_metric_messages(form(request), "a").tables[POINTS] for form in (protobuf, in_json)]

    assert [dict(table.select("metric_name", "sum_value").iter_rows()) for table in found] == [
        {"q": 0.0, "h": None}
    ] * 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"gauge": {"dataPoints": [{"asInt": 1}]}}, "the point has no time"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": 1}]}}, "has no value"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": "x", "asInt": 1}]}}, "not an integer of nanoseconds"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": str(2**63), "asInt": 1}]}}, "beyond the year 2262"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": 1, "asInt": str(2**63)}]}}, "not an integer of 64 bits"),
        ({"gauge": {"dataPoints": [{"timeUnixNano": 1, "asDouble": "one"}]}}, "is not a double"),
        ({"histogram": {"dataPoints": [{"timeUnixNano": 1, "count": "-1"}]}}, "count is not an integer"),
        ({"exponentialHistogram": {"dataPoints": [{"timeUnixNano": 1, "zeroCount": "1.0"}]}}, "count of zeros is not"),
        (
            {"histogram": {"dataPoints": [{"timeUnixNano": 1, "bucketCounts": [1], "explicitBounds": [1]}]}},
            "not one bucket more",
        ),
        (
            {"histogram": {"dataPoints": [{"timeUnixNano": 1, "bucketCounts": [1, 1, 1], "explicitBounds": [2, 1]}]}},
            "bounds do not grow",
        ),
        (
            {"histogram": {"dataPoints": [{"timeUnixNano": 1, "bucketCounts": [1, "x"], "explicitBounds": [2]}]}},
            "bucket's count is not an integer",
        ),
        ({}, "no data of a known type"),
    ],
)
def test_a_bad_point_is_refused_alone_and_can_be_decoded_again(data: dict[str, Any], reason: str) -> None:
    """The good metric beside it is kept; the refused bytes are a message that is refused for the same reason."""
    document = metric(**data)
    good = {"name": "b", "gauge": {"dataPoints": [{"timeUnixNano": 1, "asInt": 1}]}}
    document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].append(good)

    batch = decoded_metrics(document)

    (refused,) = batch.rejected
    assert reason in refused.reason
    assert refused.position.startswith("line 1, metric a")
    assert batch.tables[POINTS]["metric_name"].to_list() == ["b"]
    assert refused.data is not None
    again = decode_metric_messages([Message("line 1", refused.data, "json")], "a")
    assert [one.reason for one in again.rejected] == [refused.reason]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"body": {"stringValue": "x"}}, "neither when it happened nor when"),
        ({"timeUnixNano": str(2**64 - 1)}, "beyond the year 2262"),
        ({"timeUnixNano": 1, "body": {"intValue": "x"}}, "body cannot be read"),
        ({"timeUnixNano": 1, "attributes": [{"key": "a", "value": {"intValue": "x"}}]}, "attribute cannot be read"),
    ],
)
def test_a_bad_record_is_refused_alone_and_can_be_decoded_again(record: dict[str, Any], reason: str) -> None:
    """The good record beside it is kept; the refused bytes are a message that is refused for the same reason."""
    batch = decode_log_messages(logs(record, {"timeUnixNano": 5}), "a")

    (refused,) = batch.rejected
    assert reason in refused.reason
    assert refused.position == "line 1, record 0"
    assert batch.tables[RECORDS]["time_unix_ns"].to_list() == [5]
    assert refused.data is not None
    again = decode_log_messages([Message("line 1", refused.data, "json")], "a")
    assert [one.reason for one in again.rejected] == [refused.reason]


def test_a_refused_piece_of_protobuf_can_be_decoded_again() -> None:
    """A name that is not UTF-8 costs its metric, not the message, and the bytes stay as they were."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name in ("aaaa", "good"):
        scope.metrics.add(name=name).gauge.data_points.add(time_unix_nano=AT, as_int=1)
    data = request.SerializeToString().replace(b"aaaa", b"\xff\xff\xff\xff")

    batch = decode_metric_messages([Message("byte 0", data, "protobuf", 7)], "a")

    (refused,) = batch.rejected
    assert "not UTF-8" in refused.reason
    assert refused.offset == 7
    assert batch.tables[POINTS]["metric_name"].to_list() == ["good"]
    assert refused.data is not None
    again = decode_metric_messages([Message("byte 0", refused.data, "protobuf")], "a")
    assert [one.reason for one in again.rejected] == [refused.reason]


def test_a_message_that_is_none_costs_itself_only() -> None:
    """Its whole bytes come back."""
    rng = np.random.default_rng(1)
    bad = [Message("byte 9", b"\xff\xff", "protobuf", 9), Message("line 2", b'{"resourceLogs": 3}', "json")]

    metrics = decode_metric_messages([*bad, *protobuf(metrics_request(rng))], "a")
    records = decode_log_messages([*bad, *protobuf(logs_request(rng))], "a")

    assert [one.data for one in metrics.rejected] == [b"\xff\xff", b'{"resourceLogs": 3}']
    assert len(records.rejected) == 2
    assert metrics.tables[POINTS].height
    assert records.tables[RECORDS].height


def test_what_is_sent_again_has_the_same_keys() -> None:
    """In another encoding, in another order of attributes, beside other messages: still the same."""
    rng = np.random.default_rng(2)
    metrics, records = metrics_request(rng), logs_request(rng)
    keys = {table.name: list(table.key) for table in (RAW_OTLP_METRIC_POINTS, RAW_OTLP_LOG_RECORDS)}
    first = (
        decode_metric_messages(protobuf(metrics), "a").tables[POINTS],
        decode_log_messages(protobuf(records), "a").tables[RECORDS],
    )
    for resource in (*metrics.resource_metrics, *records.resource_logs):
        resource.resource.attributes.sort(key=lambda pair: pair.key, reverse=True)

    again = decode_metric_messages(in_json(metrics_request(rng), metrics), "b").tables[POINTS]
    logged = decode_log_messages(in_json(logs_request(rng), records), "b").tables[RECORDS]

    assert first[0].join(again, on=keys[POINTS], how="anti").is_empty()
    assert first[1].join(logged, on=keys[RECORDS], how="anti").is_empty()


def test_equal_records_of_a_message_are_as_many_as_were_sent() -> None:
    """Two lines that say the same in the same nanosecond are two; the same request again is the same two."""
    record = {"timeUnixNano": 5, "body": {"stringValue": "again"}}
    other = {"timeUnixNano": 6, "body": {"stringValue": "again"}}

    found = decode_log_messages(logs(record, other, record) + logs(record, other, record), "a").tables[RECORDS]

    assert found["record_id"].n_unique() == 3
    assert found["record_id"].to_list()[:3] == found["record_id"].to_list()[3:]


def test_records_that_are_sent_again_in_other_batches_are_not_doubled() -> None:
    """A collector gathers anew what it was sent twice: no message is like another, and no record is new."""
    rows = [{"timeUnixNano": n, "body": {"stringValue": "same" if n < 3 else str(n)}} for n in (1, 1, 1, 2, 3, 4)]

    first = decode_log_messages(logs(*rows), "a").tables[RECORDS]
    again = decode_log_messages(logs(*rows[:2]) + logs(*rows[2:5]) + logs(rows[5]) + logs(*rows[1:4]), "b")

    assert first["record_id"].n_unique() == 6
    assert set(again.tables[RECORDS]["record_id"]) <= set(first["record_id"])


def test_equal_records_of_two_messages_are_one_that_was_sent_again() -> None:
    """The price of it: nothing tells two lines that were meant from one that was sent twice."""
    record = {"timeUnixNano": 5, "body": {"stringValue": "again"}}

    found = decode_log_messages(logs(record, record) + logs(record), "a").tables[RECORDS]

    assert found["record_id"].n_unique() == 2


def test_points_of_other_attributes_resources_or_temporality_are_other_series() -> None:
    """And the description is no part of it."""

    def one(resource: str, attribute: str, temporality: int, about: str) -> dict[str, Any]:
        pair = {"key": "k", "value": {"stringValue": attribute}}
        points = [{"timeUnixNano": 1, "asInt": 1, "attributes": [pair]}]
        document = metric(sum={"dataPoints": points, "aggregationTemporality": temporality}, description=about)
        name = {"key": "service.name", "value": {"stringValue": resource}}
        document["resourceMetrics"][0]["resource"] = {"attributes": [name]}
        return document

    said = [("a", "x", 1, "d"), ("b", "x", 1, "d"), ("a", "y", 1, "d"), ("a", "x", 2, "d"), ("a", "x", 1, "other")]
    ids = [decoded_metrics(one(*parts)).tables[POINTS]["series_id"][0] for parts in said]

    assert len(set(ids)) == 4
    assert ids[0] == ids[4]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one of: a cut, flipped bits, zeros, an insertion, a deletion."""
    at = int(rng.integers(len(data)))
    size = int(rng.integers(1, 9))
    match int(rng.integers(5)):
        case 0:
            return data[:at]
        case 1:
            return (
                data[:at] + bytes(byte ^ int(rng.integers(1, 256)) for byte in data[at : at + size]) + data[at + size :]
            )
        case 2:
            return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
        case 3:
            return data[:at] + rng.bytes(size) + data[at:]
        case _:
            return data[:at] + data[at + size :]


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_no_mutation_of_a_message_crashes_or_touches_its_neighbour(encoding: Encoding) -> None:
    """A few hundred broken messages, each beside a good one whose rows stay as they are."""
    rng = np.random.default_rng(3)
    make = protobuf if encoding == "protobuf" else in_json
    (metrics,), (records,) = make(metrics_request(rng)), make(logs_request(rng))
    whole = decode_metric_messages([metrics], "a").tables[POINTS], decode_log_messages([records], "a").tables[RECORDS]
    broken = [[Message("bad", mutated(one.data, rng), encoding) for _ in range(300)] for one in (metrics, records)]

    points = decode_metric_messages([metrics, *broken[0]], "a")
    lines = decode_log_messages([records, *broken[1]], "a")

    assert_frame_equal(points.tables[POINTS].head(whole[0].height), whole[0])
    assert_frame_equal(lines.tables[RECORDS].head(whole[1].height), whole[1])
    assert_contract(RAW_OTLP_METRIC_POINTS, points.tables[POINTS])
    assert_contract(RAW_OTLP_LOG_RECORDS, lines.tables[RECORDS])
    assert points.rejected
    assert lines.rejected


def messages_of(path: str) -> list[Message]:
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA does not say where outside data is")
    data = (folder / path).read_bytes()
    frame = Frame(path, gzip.decompress(data) if path.endswith(".gz") else data)
    return [piece for piece in split(frame) if isinstance(piece, Message)]


@pytest.mark.outside
@pytest.mark.parametrize(
    ("path", "rows", "refused"),
    [
        ("fixtures/otlp/metrics.json", 4, 0),
        ("fixtures/otlp-captured/python-sdk-http-gzip-metrics.bin.gz", 3, 0),
        ("otlp/duckdb_otlp/test/data/metrics_all_types.jsonl", 5, 0),
        ("otlp/duckdb_otlp/test/data/otlp_metrics.pb", 1, 0),
        ("otlp/duckdb_otlp/test/data/metrics_nulls.jsonl", 3, 0),
        ("otlp/duckdb_otlp/test/data/metrics_optional_fields.jsonl", 2, 1),
        ("otlp/duckdb_otlp/test/data/metrics_temporality_strings.jsonl", 1, 0),
    ],
)
def test_metrics_of_real_senders_are_read(path: str, rows: int, refused: int) -> None:
    """One of them has as many bounds as buckets, which says nothing about where the observations are."""
    batch = decode_metric_messages(messages_of(path), path)

    assert (batch.tables[POINTS].height, len(batch.rejected)) == (rows, refused)
    assert_contract(RAW_OTLP_METRIC_POINTS, batch.tables[POINTS])


@pytest.mark.outside
@pytest.mark.parametrize(
    ("path", "rows", "refused"),
    [
        ("fixtures/otlp/logs.json", 1, 0),
        ("fixtures/otlp/events.json", 1, 0),
        ("otlp/duckdb_otlp/test/data/logs_simple.jsonl", 3, 0),
        ("otlp/duckdb_otlp/test/data/otlp_logs.pb", 1, 0),
        ("otlp/duckdb_otlp/test/data/logs_nulls.jsonl", 3, 0),
        ("otlp/duckdb_otlp/test/data/ts_boundary_logs.jsonl", 1, 0),
        ("otlp/duckdb_otlp/test/data/ts_overflow_logs.jsonl", 0, 1),
    ],
)
def test_logs_of_real_senders_are_read(path: str, rows: int, refused: int) -> None:
    """A time past what 63 bits hold is refused, not wrapped round."""
    batch = decode_log_messages(messages_of(path), path)

    assert (batch.tables[RECORDS].height, len(batch.rejected)) == (rows, refused)
    assert_contract(RAW_OTLP_LOG_RECORDS, batch.tables[RECORDS])
