"""The signal of a message is told by what only one of them can be, however its texts look."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_sniff import signal_of
from weaver_forge.sources.streams import read_messages

T0 = 1_790_000_000_000_000_000
NAMES = ("system.cpu.usage", "jvm.memory.usage", "cpu.load", "", "requests.served.total")
DESCRIPTIONS = ("", "8 chars.", "how much of it is used")


def gauge(metric: Any) -> None:
    metric.gauge.data_points.add(time_unix_nano=T0, as_double=0.5)


def whole_gauge(metric: Any) -> None:
    point = metric.gauge.data_points.add(start_time_unix_nano=T0, time_unix_nano=T0, as_int=5)
    point.attributes.add(key="k").value.string_value = "v"


def total(metric: Any) -> None:
    metric.sum.data_points.add(time_unix_nano=T0, as_int=1)
    metric.sum.aggregation_temporality = 2


def histogram(metric: Any) -> None:
    metric.histogram.data_points.add(time_unix_nano=T0, count=1, sum=2.0, bucket_counts=[1])
    metric.histogram.aggregation_temporality = 1


def exponential(metric: Any) -> None:
    metric.exponential_histogram.data_points.add(time_unix_nano=T0, count=1, scale=2)


def summary(metric: Any) -> None:
    metric.summary.data_points.add(time_unix_nano=T0, count=1, sum=1.0)


@pytest.mark.parametrize("data", [gauge, whole_gauge, total, histogram, exponential, summary])
def test_a_metric_is_one_whatever_its_name(data: Callable[[Any], None]) -> None:
    for name, description, unit in product(NAMES, DESCRIPTIONS, ("", "1")):
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
        metric.name, metric.description, metric.unit = name, description, unit
        data(metric)

        found = signal_of(request.SerializeToString(), "protobuf")

        assert found == "metrics", (name, description, unit)


def test_a_metric_without_data_does_not_outweigh_the_next() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="system.cpu.usage")
    gauge(metrics.add(name="jvm.memory.usage"))

    assert signal_of(request.SerializeToString(), "protobuf") == "metrics"


SPANS: dict[str, dict[str, Any]] = {
    "whole": {"name": "GET /", "kind": 2, "start_time_unix_nano": T0, "end_time_unix_nano": T0 + 1},
    "without times": {"name": "system.cpu.usage"},
    "with a kind only": {"kind": 3},
    "with ids only": {},
    "with a name that looks like a body": {"name": "\n\tis it one", "start_time_unix_nano": T0},
}


@pytest.mark.parametrize("fields", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("trace_id", [bytes(range(16)), b"system.cpu.usage"])
def test_a_span_is_one_whatever_its_ids(fields: dict[str, Any], trace_id: bytes) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=trace_id, span_id=b"12345678", **fields)
    span.attributes.add(key="1abcdefgh").value.int_value = 1
    span.events.add(name="exception").attributes.add(key="k").value.string_value = "v"

    assert signal_of(request.SerializeToString(), "protobuf") == "traces"


LOGS: dict[str, dict[str, Any]] = {
    "with times": {"time_unix_nano": T0, "observed_time_unix_nano": T0},
    "with ids": {"trace_id": bytes(range(16)), "span_id": bytes(range(8))},
    "with a severity": {"severity_text": "INFO", "severity_number": 9},
    "with nothing else": {},
}


@pytest.mark.parametrize("fields", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("body", ["hello", "1 request", "!12345678", ""])
def test_a_log_record_is_one_whatever_its_body(fields: dict[str, Any], body: str) -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(**fields)
    record.body.string_value = body

    assert signal_of(request.SerializeToString(), "protobuf") == "logs"


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ('{"resourceMetrics":null,"resourceSpans":[{"scopeSpans":[]}]}', "traces"),
        ('{"resourceMetrics":[],"resourceSpans":[{"scopeSpans":[]}]}', "traces"),
        ('{"resourceSpans":null,"resourceLogs":[ {} ],"resourceMetrics":[ ]}', "logs"),
        ('{"resourceSpans":null,"resourceMetrics":[ ]}', "metrics"),
        ('{"resourceLogs":null}', "logs"),
        ('{"resourceLogs":[{"cut', "logs"),
        ('{"resourceMetrics":[],"cut', "metrics"),
        ("{}", "traces"),
        ("[1]", "traces"),
    ],
)
def test_json_is_of_the_signal_whose_list_has_something(text: str, signal: str) -> None:
    assert signal_of(text.encode(), "json") == signal


def signals(path: Path, data: bytes, **how: Any) -> list[str]:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return [piece.signal for piece in read_messages(path, **how) if isinstance(piece, Message)]


@pytest.fixture
def undecidable() -> bytes:
    """A metric without data, whose name is as long as a trace id; with its length before it."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="system.cpu.usage")
    body = request.SerializeToString()
    return len(body).to_bytes(4, "big") + body


def test_a_received_file_says_its_signal_by_its_name(tmp_path: Path, undecidable: bytes) -> None:
    assert signals(tmp_path / "received" / "metrics-0190.otlp", undecidable * 2) == ["metrics", "metrics"]
    assert signals(tmp_path / "received" / "logs-0190.otlp", undecidable) == ["logs"]


@pytest.mark.parametrize("name", ["mine/metrics-0190.otlp", "received/metrics-0190.pb", "received/my-metrics-1.otlp"])
def test_the_name_of_any_other_file_says_nothing(tmp_path: Path, undecidable: bytes, name: str) -> None:
    assert signals(tmp_path / name, undecidable) == ["traces"]


def test_a_signal_that_is_given_is_not_guessed(tmp_path: Path, undecidable: bytes) -> None:
    assert signals(tmp_path / "piece", undecidable, signal="metrics") == ["metrics"]


def test_the_kept_bytes_of_one_message_have_the_signal_that_they_had(tmp_path: Path) -> None:
    """Replayed from a nameless file, without their length."""
    request = ExportMetricsServiceRequest()
    gauge(request.resource_metrics.add().scope_metrics.add().metrics.add(name="system.cpu.usage"))

    assert signals(tmp_path / "piece", request.SerializeToString()) == ["metrics"]
