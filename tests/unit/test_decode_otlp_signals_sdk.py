"""Bytes that the OpenTelemetry SDK for Python itself makes of metrics and logs."""

import polars as pl
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages

RESOURCE = Resource({"service.name": "cart", "service.version": "1.2", "deployment.environment": "prod"})


def collected(reader: InMemoryMetricReader) -> pl.DataFrame:
    data = reader.get_metrics_data()
    assert data is not None
    message = Message("byte 0", encode_metrics(data).SerializeToString(), "protobuf")
    batch = decode_metric_messages([message], "sdk")
    assert not batch.rejected
    return batch.tables[RAW_OTLP_METRIC_POINTS.name]


def test_the_sdks_instruments_arrive_as_what_they_measured() -> None:
    """Counter, up-and-down counter, gauge, histogram and exponential histogram of one meter."""
    reader = InMemoryMetricReader(preferred_temporality={Counter: AggregationTemporality.DELTA})
    view = View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=RESOURCE, views=[view])
    meter = provider.get_meter("lib", "0.1")
    meter.create_counter("orders", unit="1").add(3, {"kind": "new"})
    meter.create_up_down_counter("queue").add(-2)
    meter.create_gauge("level").set(0.5)
    for name in ("coarse", "fine"):
        histogram = meter.create_histogram(name, unit="ms")
        for value in (1.0, 2.0, 400.0):
            histogram.record(value)

    frame = collected(reader).sort("metric_name")
    again = collected(reader).sort("metric_name")

    rows = {row["metric_name"]: row for row in frame.iter_rows(named=True)}
    assert (rows["orders"]["value_int"], rows["orders"]["temporality"], rows["orders"]["is_monotonic"]) == (
        3,
        "delta",
        True,
    )
    assert rows["orders"]["attributes"] == [{"key": "kind", "value": "new"}]
    assert (rows["queue"]["value_int"], rows["queue"]["temporality"]) == (-2, "cumulative")
    assert rows["level"]["value_double"] == 0.5  # noqa: RUF069 - stored, not computed
    assert (rows["coarse"]["n_observations"], sum(rows["coarse"]["bucket_counts"])) == (3, 3)
    assert (rows["fine"]["n_observations"], sum(rows["fine"]["positive_counts"])) == (3, 3)
    assert (rows["fine"]["min_value"], rows["fine"]["max_value"], rows["fine"]["sum_value"]) == (1.0, 400.0, 403.0)
    assert {(row["service_name"], row["deployment_environment_name"], row["scope_name"]) for row in rows.values()} == {
        ("cart", "prod", "lib")
    }
    cumulative = again.filter(pl.col("metric_name") == "queue")["series_id"].to_list()
    assert cumulative == [rows["queue"]["series_id"]]
    provider.shutdown()


def test_the_sdks_log_records_arrive_as_they_were_written() -> None:
    """Body, severity, event name and attributes."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("lib")
    logger.emit(timestamp=5, severity_number=SeverityNumber.WARN, severity_text="WARN", body="low on memory")
    logger.emit(timestamp=6, body={"a": [1, 2.0]}, event_name="page.view", attributes={"n": 1})

    data = encode_logs(exporter.get_finished_logs()).SerializeToString()
    batch = decode_log_messages([Message("byte 0", data, "protobuf")], "sdk")

    frame = batch.tables[RAW_OTLP_LOG_RECORDS.name].sort("time_unix_ns")
    assert not batch.rejected
    assert frame["body"].to_list() == ["low on memory", '{"a":[1,2.0]}']
    assert frame["severity_number"].to_list() == [13, 0]
    assert frame["is_structured"].to_list() == [False, True]
    assert frame["event_name"].to_list() == [None, "page.view"]
    assert frame["attributes"].to_list() == [[], [{"key": "n", "value": "1"}]]
    provider.shutdown()
