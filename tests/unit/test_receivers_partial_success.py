"""What a sender is told of refused points and records is what the decoders do later: as many, in the same words."""

import json
import random
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from weaver_forge.contracts.batch import Batch
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages
from weaver_forge.receivers import outline_json, outline_protobuf
from weaver_forge.receivers.otlp_answers import success
from weaver_forge.receivers.otlp_signals import BadData, Encoding, Outline, Signal

NOW = 10**18
FAR = 2**63
LOOKS = {"protobuf": outline_protobuf.outline, "json": outline_json.outline}


def decoded(signal: Signal, encoding: Encoding, data: bytes) -> Batch:
    message = Message("message 0", data, encoding, 0, signal)
    return (decode_metric_messages if signal == "metrics" else decode_log_messages)([message], "x")


def metric(kind: str = "gauge", name: str = "m", **changes: Any) -> Metric:
    """A metric with one point, good but for the changes; a change to None takes a field away."""
    usual: dict[str, Any] = {"time_unix_nano": NOW}
    if kind in {"gauge", "sum"}:
        usual |= {"as_int": 3}
    elif kind == "histogram":
        usual |= {"count": 6, "bucket_counts": [1, 2, 3], "explicit_bounds": [0.1, 0.5]}
    elif kind == "exponential_histogram":
        usual |= {"count": 6, "positive": {"bucket_counts": [1, 2]}, "negative": {"bucket_counts": [3]}}
    else:
        usual |= {"count": 6}
    made = Metric(name=name)
    fields = {key: value for key, value in (usual | changes).items() if value is not None}
    getattr(made, kind).data_points.add(**fields)
    return made


def of_metrics(*metrics: Metric) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return request


def of_records(*changes: dict[str, Any]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for change in changes:
        scope.log_records.add(**({"time_unix_nano": NOW, "body": {"string_value": "ready"}} | change))
    return request


def both(request: Any) -> dict[Encoding, bytes]:
    return {"protobuf": request.SerializeToString(), "json": json.dumps(MessageToDict(request)).encode()}


BAD_METRICS = {
    "no data": Metric(name="m"),
    "no name": metric(name=""),
    "no time": metric(time_unix_nano=0),
    "far": metric(time_unix_nano=FAR),
    "a far start": metric("summary", start_time_unix_nano=FAR),
    "no value": metric("sum", as_int=None),
    "too few buckets": metric("histogram", bucket_counts=[1, 2]),
    "bounds without buckets": metric("histogram", bucket_counts=[]),
    "bounds that shrink": metric("histogram", explicit_bounds=[0.5, 0.1]),
    "bounds that repeat": metric("histogram", explicit_bounds=[0.5, 0.5]),
    "a bucket of more than 63 bits": metric("histogram", bucket_counts=[1, FAR, 3]),
    "a count of more than 63 bits": metric("histogram", count=FAR),
    "such a count of a summary": metric("summary", count=FAR),
    "such a positive bucket": metric("exponential_histogram", positive={"bucket_counts": [FAR]}),
    "such a negative bucket": metric("exponential_histogram", negative={"bucket_counts": [1, FAR]}),
}
GOOD_METRICS = [
    metric(),
    metric("sum", as_int=None, as_double=float("nan")),
    metric(as_int=0),
    metric(as_int=None, flags=1),
    metric("histogram", bucket_counts=[], explicit_bounds=[]),
    metric("histogram", bucket_counts=[7], explicit_bounds=[]),
    metric("histogram", explicit_bounds=[float("nan"), 1.0]),
    metric("histogram", explicit_bounds=[float("inf"), float("inf")]),
    metric("histogram", bucket_counts=[FAR], flags=1),
    metric("exponential_histogram"),
    metric("exponential_histogram", positive=None, negative=None),
    metric("summary"),
]


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("bad", BAD_METRICS)
def test_a_bad_point_is_told_as_the_decoder_refuses_it(bad: str, encoding: Encoding) -> None:
    data = both(of_metrics(metric(), BAD_METRICS[bad], BAD_METRICS[bad], metric("histogram")))[encoding]

    refused = decoded("metrics", encoding, data).rejected

    assert LOOKS[encoding]("metrics", data) == Outline(4, 2, refused[0].reason)
    assert len(refused) == 2


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_good_points_of_all_kinds_are_accepted_in_full(encoding: Encoding) -> None:
    data = both(of_metrics(*GOOD_METRICS))[encoding]

    assert not decoded("metrics", encoding, data).rejected
    assert LOOKS[encoding]("metrics", data) == Outline(len(GOOD_METRICS))


BAD_RECORDS: dict[str, dict[str, Any]] = {
    "no time": {"time_unix_nano": 0},
    "far": {"time_unix_nano": FAR},
    "observed far": {"observed_time_unix_nano": FAR},
}


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("bad", BAD_RECORDS)
def test_a_bad_record_is_told_as_the_decoder_refuses_it(bad: str, encoding: Encoding) -> None:
    observed = {"time_unix_nano": 0, "observed_time_unix_nano": NOW}
    data = both(of_records({}, BAD_RECORDS[bad], observed, {"trace_id": b"short"}))[encoding]

    refused = decoded("logs", encoding, data).rejected

    assert LOOKS[encoding]("logs", data) == Outline(4, 1, refused[0].reason)
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("signal", "request_"),
    [
        ("metrics", of_metrics(metric(), metric(name="!!!!"))),
        ("metrics", of_metrics(metric(), Metric(name="m", unit="!!!!", gauge=metric().gauge))),
        ("metrics", of_metrics(metric(), Metric(name="m", description="!!!!", gauge=metric().gauge))),
        ("logs", of_records({}, {"severity_text": "!!!!"})),
        ("logs", of_records({}, {"event_name": "!!!!"})),
    ],
)
def test_a_name_that_is_no_text_is_told_too(signal: Signal, request_: Any) -> None:
    data = request_.SerializeToString().replace(b"!!!!", b"\xff\xfe\xff\xfe")

    (refused,) = decoded(signal, "protobuf", data).rejected

    assert outline_protobuf.outline(signal, data) == Outline(2, 1, refused.reason)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gauge", {"timeUnixNano": "soon"}),
        ("gauge", {"timeUnixNano": -5}),
        ("gauge", {"startTimeUnixNano": "18446744073709551616"}),
        ("gauge", {"asInt": "9223372036854775808"}),
        ("gauge", {"asInt": "1.5"}),
        ("gauge", {"asInt": None, "asDouble": "much"}),
        ("histogram", {"count": "-1"}),
        ("histogram", {"sum": "much"}),
        ("histogram", {"bucketCounts": ["1", -1, "3"]}),
        ("histogram", {"explicitBounds": ["low", "high"]}),
        ("exponentialHistogram", {"zeroThreshold": "none"}),
        ("exponentialHistogram", {"positive": {"bucketCounts": ["-1"]}}),
        ("summary", {"count": "many"}),
    ],
)
def test_a_number_in_json_that_is_none_is_told_as_the_decoder_refuses_it(kind: str, change: dict[str, Any]) -> None:
    snake = "exponential_histogram" if kind == "exponentialHistogram" else kind
    document = MessageToDict(of_metrics(metric(snake), metric(snake)))
    document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][1][kind]["dataPoints"][0] |= change
    data = json.dumps(document).encode()

    (refused,) = decoded("metrics", "json", data).rejected

    assert outline_json.outline("metrics", data) == Outline(2, 1, refused.reason)


@pytest.mark.parametrize("value", ["+5", "0005", "-0", " 5", "5 ", "5.0", "1e3", "", "1_0", "٣", "9" * 5000])
def test_integers_in_json_are_what_the_decoder_takes_for_some(value: str) -> None:
    for change in ({"timeUnixNano": value}, {"asInt": value}):
        document = MessageToDict(of_metrics(metric()))
        document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"][0] |= change
        data = json.dumps(document).encode()

        found = outline_json.outline("metrics", data)

        assert [found.reason] * found.rejected == [one.reason for one in decoded("metrics", "json", data).rejected]


def test_a_type_that_the_decoder_would_refuse_the_whole_request_for_is_bad_data() -> None:
    for data in (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"timeUnixNano":true}]}}]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{"attributes":{}}]}}]}]}]}',
    ):
        assert len(decoded("metrics", "json", data).rejected) == 1
        with pytest.raises(BadData):
            outline_json.outline("metrics", data)


@pytest.mark.parametrize("signal", ["metrics", "logs"])
@pytest.mark.parametrize("other", ["traces", "metrics", "logs"])
def test_a_request_of_another_signal_is_bad_data(signal: Signal, other: Signal) -> None:
    span = b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + b"s" * 8 + b"\x2a\x05GET /" + b"\x39" + NOW.to_bytes(8, "little")
    wrap = span
    for tag in (0x12, 0x12, 0x0A):
        wrap = bytes([tag, len(wrap)]) + wrap
    requests = {
        "traces": wrap,
        "metrics": both(of_metrics(metric()))["protobuf"],
        "logs": both(of_records({}))["protobuf"],
    }

    if other == signal:
        assert outline_protobuf.outline(signal, requests[other]) == Outline(1)
    else:
        with pytest.raises(BadData):
            outline_protobuf.outline(signal, requests[other])


@pytest.mark.parametrize(
    ("signal", "made", "field", "in_json"),
    [
        ("metrics", ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
        ("logs", ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    ],
)
def test_the_answer_has_the_signals_own_field(signal: Signal, made: Any, field: str, in_json: str) -> None:
    partial = made.FromString(success(signal, "protobuf", Outline(5, 2, "because"))).partial_success
    document = json.loads(success(signal, "json", Outline(5, 2, "because")))

    assert getattr(partial, field) == 2
    assert partial.error_message.endswith("because")
    assert document == {"partialSuccess": {in_json: "2", "errorMessage": partial.error_message}}


def test_nothing_that_the_decoder_takes_is_told_to_be_refused_whatever_numbers_it_has() -> None:
    """Points with numbers by chance, most of them at an edge."""
    chance = random.Random(7)  # noqa: S311 - chance, repeatable
    edges = [0, 1, NOW, FAR - 1, FAR, 2**64 - 1]
    bounds = [0.0, 1.0, 1.0, -1.0, 5.0, float("inf"), float("-inf"), float("nan")]
    metrics = []
    for _ in range(600):
        kind = chance.choice(["histogram", "exponential_histogram", "summary", "gauge"])
        usual = {
            "time_unix_nano": chance.choice(edges),
            "start_time_unix_nano": chance.choice(edges),
            "flags": chance.choice([0, 1, 2]),
        }
        if kind == "gauge":
            metrics.append(metric(kind, as_int=chance.choice([None, 3]), **usual))
            continue
        if kind == "histogram":
            usual |= {
                "bucket_counts": chance.choices(edges[:4], k=chance.randrange(4)),
                "explicit_bounds": chance.choices(bounds, k=chance.randrange(4)),
            }
        metrics.append(metric(kind, count=chance.choice(edges), **usual))
    for encoding, data in both(of_metrics(*metrics)).items():
        refused = decoded("metrics", encoding, data).rejected

        assert LOOKS[encoding]("metrics", data).rejected == len(refused)
