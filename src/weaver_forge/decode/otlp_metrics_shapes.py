"""The shapes of OTLP metrics in JSON, as typed structs; reading them is in ``otlp_metrics_json``."""

import msgspec

from weaver_forge.decode.otlp_json_values import KeyValueJson
from weaver_forge.decode.otlp_signals_json import Int

_ABSENT = msgspec.Raw()
Double = float | str | None


class NumberJson(msgspec.Struct, gc=False):
    """A point of a gauge or sum."""

    attributes: list[msgspec.Raw] | None = None
    startTimeUnixNano: Int = None  # noqa: N815 - OTLP's own field names, here and below
    timeUnixNano: Int = None  # noqa: N815
    asDouble: Double = None  # noqa: N815
    asInt: Int = None  # noqa: N815
    exemplars: list[msgspec.Raw] | None = None
    flags: int | None = None


class HistogramPointJson(msgspec.Struct, gc=False):
    """A point of a histogram with explicit bounds."""

    attributes: list[msgspec.Raw] | None = None
    startTimeUnixNano: Int = None  # noqa: N815
    timeUnixNano: Int = None  # noqa: N815
    count: Int = None
    sum: Double = None
    bucketCounts: list[int | str] | None = None  # noqa: N815
    explicitBounds: list[float | str] | None = None  # noqa: N815
    exemplars: list[msgspec.Raw] | None = None
    flags: int | None = None
    min: Double = None
    max: Double = None


class BucketsJson(msgspec.Struct, gc=False):
    """Buckets of one sign of an exponential histogram."""

    offset: int | None = None
    bucketCounts: list[int | str] | None = None  # noqa: N815


class ExponentialPointJson(msgspec.Struct, gc=False):
    """A point of an exponential histogram."""

    attributes: list[msgspec.Raw] | None = None
    startTimeUnixNano: Int = None  # noqa: N815
    timeUnixNano: Int = None  # noqa: N815
    count: Int = None
    sum: Double = None
    scale: int | None = None
    zeroCount: Int = None  # noqa: N815
    positive: BucketsJson | None = None
    negative: BucketsJson | None = None
    exemplars: list[msgspec.Raw] | None = None
    flags: int | None = None
    min: Double = None
    max: Double = None
    zeroThreshold: Double = None  # noqa: N815


class QuantileJson(msgspec.Struct, gc=False):
    """A quantile of a summary."""

    quantile: Double = None
    value: Double = None


class SummaryPointJson(msgspec.Struct, gc=False):
    """A point of a summary."""

    attributes: list[msgspec.Raw] | None = None
    startTimeUnixNano: Int = None  # noqa: N815
    timeUnixNano: Int = None  # noqa: N815
    count: Int = None
    sum: Double = None
    quantileValues: list[QuantileJson] | None = None  # noqa: N815
    flags: int | None = None


class NumbersJson(msgspec.Struct, gc=False):
    """The data of a gauge or sum."""

    dataPoints: list[NumberJson] | None = None  # noqa: N815
    aggregationTemporality: Int = None  # noqa: N815
    isMonotonic: bool | None = None  # noqa: N815


class HistogramJson(msgspec.Struct, gc=False):
    """The data of a histogram."""

    dataPoints: list[HistogramPointJson] | None = None  # noqa: N815
    aggregationTemporality: Int = None  # noqa: N815


class ExponentialJson(msgspec.Struct, gc=False):
    """The data of an exponential histogram."""

    dataPoints: list[ExponentialPointJson] | None = None  # noqa: N815
    aggregationTemporality: Int = None  # noqa: N815


class SummaryJson(msgspec.Struct, gc=False):
    """The data of a summary."""

    dataPoints: list[SummaryPointJson] | None = None  # noqa: N815


class MetricJson(msgspec.Struct, gc=False):
    """A metric: one of the five kinds of data."""

    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: NumbersJson | None = None
    sum: NumbersJson | None = None
    histogram: HistogramJson | None = None
    exponentialHistogram: ExponentialJson | None = None  # noqa: N815
    summary: SummaryJson | None = None


class ScopeMetricsJson(msgspec.Struct, gc=False):
    """Metrics of one scope."""

    scope: msgspec.Raw = _ABSENT
    metrics: list[MetricJson] | None = None


class ResourceMetricsJson(msgspec.Struct, gc=False):
    """Metrics of one resource."""

    resource: msgspec.Raw = _ABSENT
    scopeMetrics: list[ScopeMetricsJson] | None = None  # noqa: N815


class MetricsJson(msgspec.Struct, gc=False):
    """One metrics message."""

    resourceMetrics: list[ResourceMetricsJson] | None = None  # noqa: N815


class ExemplarJson(msgspec.Struct, gc=False):
    """An exemplar of a point."""

    filteredAttributes: list[KeyValueJson] | None = None  # noqa: N815
    timeUnixNano: Int = None  # noqa: N815
    asDouble: Double = None  # noqa: N815
    asInt: Int = None  # noqa: N815
    spanId: str | None = None  # noqa: N815
    traceId: str | None = None  # noqa: N815
