"""The shapes of JSON requests, typed as the decoder types them: what breaks a type there would be refused whole.

What is not looked at before storing is left out where the decoder does not type it either, or is raw.
"""

import msgspec

Number = int | str | None
Double = float | str | None
Raws = list[msgspec.Raw] | None


class Span(msgspec.Struct, gc=False, rename="camel"):
    """A span."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Number = None
    end_time_unix_nano: Number = None
    attributes: Raws = None
    events: Raws = None
    links: Raws = None


class _Point(msgspec.Struct, gc=False, rename="camel", kw_only=True):
    attributes: Raws = None
    start_time_unix_nano: Number = None
    time_unix_nano: Number = None
    flags: int | None = None


class NumberPoint(_Point, gc=False, rename="camel", kw_only=True):
    """A point of a gauge or sum."""

    as_double: Double = None
    as_int: Number = None
    exemplars: Raws = None


class HistogramPoint(_Point, gc=False, rename="camel", kw_only=True):
    """A point of a histogram with explicit bounds."""

    count: Number = None
    sum: Double = None
    min: Double = None
    max: Double = None
    bucket_counts: list[int | str] | None = None
    explicit_bounds: list[float | str] | None = None
    exemplars: Raws = None


class Buckets(msgspec.Struct, gc=False, rename="camel"):
    """Buckets of one sign."""

    offset: int | None = None
    bucket_counts: list[int | str] | None = None


class ExponentialPoint(_Point, gc=False, rename="camel", kw_only=True):
    """A point of an exponential histogram."""

    count: Number = None
    sum: Double = None
    min: Double = None
    max: Double = None
    scale: int | None = None
    zero_count: Number = None
    zero_threshold: Double = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    exemplars: Raws = None


class _Quantile(msgspec.Struct, gc=False):
    quantile: Double = None
    value: Double = None


class SummaryPoint(_Point, gc=False, rename="camel", kw_only=True):
    """A point of a summary."""

    count: Number = None
    sum: Double = None
    quantile_values: list[_Quantile] | None = None


class _Numbers(msgspec.Struct, gc=False, rename="camel"):
    data_points: list[NumberPoint] | None = None
    aggregation_temporality: Number = None
    is_monotonic: bool | None = None


class _Histograms(msgspec.Struct, gc=False, rename="camel"):
    data_points: list[HistogramPoint] | None = None
    aggregation_temporality: Number = None


class _Exponentials(msgspec.Struct, gc=False, rename="camel"):
    data_points: list[ExponentialPoint] | None = None
    aggregation_temporality: Number = None


class _Summaries(msgspec.Struct, gc=False, rename="camel"):
    data_points: list[SummaryPoint] | None = None


class Metric(msgspec.Struct, gc=False, rename="camel"):
    """A metric: one of five kinds of data."""

    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: _Numbers | None = None
    sum: _Numbers | None = None
    histogram: _Histograms | None = None
    exponential_histogram: _Exponentials | None = None
    summary: _Summaries | None = None


class Record(msgspec.Struct, gc=False, rename="camel"):
    """A log record."""

    time_unix_nano: Number = None
    observed_time_unix_nano: Number = None
    severity_number: int | None = None
    severity_text: str | None = None
    attributes: Raws = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class _ScopeSpans(msgspec.Struct, gc=False, rename="camel"):
    spans: list[Span] | None = None


class _ResourceSpans(msgspec.Struct, gc=False, rename="camel"):
    scope_spans: list[_ScopeSpans] | None = None


class _ScopeMetrics(msgspec.Struct, gc=False, rename="camel"):
    metrics: list[Metric] | None = None


class _ResourceMetrics(msgspec.Struct, gc=False, rename="camel"):
    scope_metrics: list[_ScopeMetrics] | None = None


class _ScopeLogs(msgspec.Struct, gc=False, rename="camel"):
    log_records: list[Record] | None = None


class _ResourceLogs(msgspec.Struct, gc=False, rename="camel"):
    scope_logs: list[_ScopeLogs] | None = None


class Request(msgspec.Struct, gc=False, rename="camel"):
    """A request of any signal."""

    resource_spans: list[_ResourceSpans] | None = None
    resource_metrics: list[_ResourceMetrics] | None = None
    resource_logs: list[_ResourceLogs] | None = None
