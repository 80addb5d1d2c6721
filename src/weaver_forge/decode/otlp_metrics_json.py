"""Metrics in OTLP JSON: where points stand in a request, and their fields as columns.

The same four functions for protobuf are in ``otlp_metrics_protobuf``; rows are made in ``otlp_metric_points``.
Enums are numbers by the specification; the names of temporalities are read too, because senders write them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import polars as pl

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_json_values import INT64_MAX, INT64_MIN, UINT64_MAX, integer, plain
from weaver_forge.decode.otlp_metric_points import FAMILY, Common, Metric
from weaver_forge.decode.otlp_metrics_shapes import (
    BucketsJson,
    Double,
    ExemplarJson,
    ExponentialPointJson,
    HistogramPointJson,
    MetricJson,
    MetricsJson,
    NumberJson,
    SummaryPointJson,
)
from weaver_forge.decode.otlp_protobuf import PayloadRefused
from weaver_forge.decode.otlp_signals import Codes, as_lists, exemplar_row, integers
from weaver_forge.decode.otlp_signals_json import UNREADABLE, Int, raws, read_message
from weaver_forge.decode.otlp_values import ValueRefused, json_text

_METRICS = msgspec.json.Decoder(MetricsJson)
_EXEMPLAR = msgspec.json.Decoder(ExemplarJson)


def read_metrics(data: bytes) -> MetricsJson:
    """Parse one metrics message.

    Raises:
        PayloadRefused: If it is no JSON, breaks OTLP's types, or is not about metrics.
    """
    request: MetricsJson = read_message(_METRICS, data)
    if request.resourceMetrics is None and data.strip() != b"{}":
        raise PayloadRefused("not an OTLP metrics message: it has no resourceMetrics")
    return request


def walk(request: MetricsJson) -> Iterator[tuple[Metric, Sequence[Any]]]:
    """Every metric of a message with its points; a metric of no known type has type "" and no points."""
    for resource in request.resourceMetrics or ():
        raw = bytes(resource.resource)
        for scope in resource.scopeMetrics or ():
            owner = (raw, bytes(scope.scope))
            for metric in scope.metrics or ():
                kind, data = _data(metric)
                known = data is not None and kind not in {"gauge", "summary"}
                yield (
                    Metric(
                        owner=owner,
                        name=(metric.name or "").encode(),
                        unit=(metric.unit or "").encode(),
                        description=(metric.description or "").encode(),
                        type=kind,
                        temporality=_temporality(data.aggregationTemporality) if known else None,
                        is_monotonic=bool(data.isMonotonic) if kind == "sum" else None,
                    ),
                    (data.dataPoints or ()) if data is not None else (),
                )


def _data(metric: MetricJson) -> tuple[str, Any]:
    for kind, field in _FIELDS.items():
        data = getattr(metric, field)
        if data is not None:
            return kind, data
    return "", None


_FIELDS = {kind: "exponentialHistogram" if kind == "exponential_histogram" else kind for kind in FAMILY}


def common(points: Sequence[Any], reasons: dict[int, str]) -> Common:
    """The fields that points of every type have."""
    exemplars: list[str | None] = [None] * len(points)
    for row, point in enumerate(points):
        found = getattr(point, "exemplars", None)
        if found:
            try:
                exemplars[row] = exemplars_text(raws(found))
            except ValueRefused as error:
                reasons[row] = f"its exemplars cannot be read: {in_words(error)}"
    return Common(
        attributes=[raws(point.attributes) for point in points],
        start=integers([point.startTimeUnixNano for point in points]),
        time=integers([point.timeUnixNano for point in points]),
        flags=[point.flags or 0 for point in points],
        exemplars=exemplars,
    )


def columns(family: str, points: Sequence[Any], reasons: dict[int, str]) -> dict[str, pl.Series]:
    """The contract's data columns of points of one family; unsigned integers are not yet cast."""
    return _COLUMNS[family](points, reasons)


def piece(metric: Metric, point: Any) -> bytes:
    """A message with this one point, which can be decoded by itself."""
    data: dict[str, Any] = {"dataPoints": [point]}
    if metric.temporality is not None:
        data["aggregationTemporality"] = metric.temporality
    if metric.is_monotonic is not None:
        data["isMonotonic"] = metric.is_monotonic
    names = {"name": metric.name, "unit": metric.unit, "description": metric.description}
    one: dict[str, Any] = {key: text.decode() for key, text in names.items()}
    one |= {_FIELDS[metric.type]: data} if metric.type else {}
    resource, scope = (msgspec.Raw(raw or b"{}") for raw in metric.owner)
    scopes = [{"scope": scope, "metrics": [one]}]
    return msgspec.json.encode({"resourceMetrics": [{"resource": resource, "scopeMetrics": scopes}]})


def _numbers(points: Sequence[NumberJson], reasons: dict[int, str]) -> dict[str, pl.Series]:
    integer_given = pl.Series([point.asInt is not None for point in points], dtype=pl.Boolean)
    value_int = integers([point.asInt for point in points], pl.Int64)
    for row in (value_int.is_null() & integer_given).arg_true():
        reasons.setdefault(row, "its value is not an integer of 64 bits")
    value_double = _doubles([point.asDouble for point in points], reasons)
    frame = pl.DataFrame({"given": integer_given, "value_int": value_int, "value_double": value_double})
    one = frame.select(
        pl.when("given").then("value_int").alias("value_int"),
        pl.when(~pl.col("given")).then("value_double").alias("value_double"),
    )
    return one.to_dict(as_series=True)


def _counted(points: Sequence[Any], reasons: dict[int, str]) -> dict[str, pl.Series]:
    return {
        "n_observations": integers([point.count for point in points]),
        "sum_value": _doubles([point.sum for point in points], reasons),
    }


def _extremes(points: Sequence[Any], reasons: dict[int, str]) -> dict[str, pl.Series]:
    return {
        "min_value": _doubles([point.min for point in points], reasons),
        "max_value": _doubles([point.max for point in points], reasons),
    }


def _histograms(points: Sequence[HistogramPointJson], reasons: dict[int, str]) -> dict[str, pl.Series]:
    return {
        **_counted(points, reasons),
        **_extremes(points, reasons),
        "bucket_counts": _integer_lists([point.bucketCounts for point in points]),
        "explicit_bounds": _double_lists([point.explicitBounds for point in points], reasons),
    }


def _exponentials(points: Sequence[ExponentialPointJson], reasons: dict[int, str]) -> dict[str, pl.Series]:
    positive = [point.positive or _NO_BUCKETS for point in points]
    negative = [point.negative or _NO_BUCKETS for point in points]
    return {
        **_counted(points, reasons),
        **_extremes(points, reasons),
        "exponential_scale": _int32([point.scale for point in points], reasons),
        "zero_count": integers([point.zeroCount for point in points]),
        "zero_threshold": _doubles([point.zeroThreshold for point in points], reasons).fill_null(0.0),
        "positive_offset": _int32([side.offset for side in positive], reasons),
        "positive_counts": _integer_lists([side.bucketCounts for side in positive]),
        "negative_offset": _int32([side.offset for side in negative], reasons),
        "negative_counts": _integer_lists([side.bucketCounts for side in negative]),
    }


def _summaries(points: Sequence[SummaryPointJson], reasons: dict[int, str]) -> dict[str, pl.Series]:
    quantiles = [[q.quantile or 0.0 for q in point.quantileValues or ()] for point in points]
    values = [[q.value or 0.0 for q in point.quantileValues or ()] for point in points]
    counted = _counted(points, reasons)
    return {
        **counted,
        "sum_value": counted["sum_value"].fill_null(0.0),  # other than a histogram's always there; zero is not written
        "quantiles": _double_lists(quantiles, reasons),
        "quantile_values": _double_lists(values, reasons),
    }


_NO_BUCKETS = BucketsJson()
_COLUMNS: dict[str, Callable[[Any, dict[int, str]], dict[str, pl.Series]]] = dict(
    zip(dict.fromkeys(FAMILY.values()), (_numbers, _histograms, _exponentials, _summaries), strict=True)
)


def _int32(values: Sequence[int | None], reasons: dict[int, str]) -> pl.Series:
    whole = integers(list(values), pl.Int64)
    narrow = whole.cast(pl.Int32, strict=False)
    for row in narrow.is_null().arg_true():
        reasons.setdefault(row, "its scale or offset is not an integer of 32 bits")
    return narrow


def _integer_lists(rows: Sequence[list[int | str] | None]) -> pl.Series:
    flat = integers(list(chain.from_iterable(row or () for row in rows)))
    return as_lists(flat, _lengths(rows), pl.UInt64())


def _double_lists(rows: Sequence[Sequence[float | str] | None], reasons: dict[int, str]) -> pl.Series:
    broken: dict[int, str] = {}
    flat = pl.Series(_read_doubles(list(chain.from_iterable(row or () for row in rows)), broken), dtype=pl.Float64)
    lengths = _lengths(rows)
    if broken:
        owners = np.repeat(np.arange(len(lengths)), lengths)
        for at, reason in broken.items():
            reasons.setdefault(int(owners[at]), reason)
    return as_lists(flat, lengths, pl.Float64())


def _lengths(rows: Sequence[Sequence[Any] | None]) -> Codes:
    return np.fromiter((len(row or ()) for row in rows), np.int64, len(rows))


def _doubles(values: Sequence[Double], reasons: dict[int, str]) -> pl.Series:
    return pl.Series(_read_doubles(values, reasons), dtype=pl.Float64)


def exemplars_text(exemplars: Iterable[bytes]) -> str:
    """A point's exemplars as JSON text.

    Raises:
        ValueRefused: If one cannot be read.
    """
    try:
        rows = [_exemplar(_EXEMPLAR.decode(raw)) for raw in exemplars]
    except UNREADABLE as error:
        raise ValueRefused(in_words(error)) from error
    return json_text(rows)


def _exemplar(one: ExemplarJson) -> dict[str, Any]:
    value = _double(one.asDouble) if one.asInt is None else integer(one.asInt, INT64_MIN, INT64_MAX)
    return exemplar_row(
        integer(one.timeUnixNano or 0, 0, UINT64_MAX),
        value,
        ((one.traceId or "").lower(), (one.spanId or "").lower()),
        {pair.key or "": plain(pair.value, depth=1) for pair in one.filteredAttributes or ()},
    )


def _double(value: Double) -> float | None:
    """A double written as a number or as text (NaN, Infinity).

    Raises:
        ValueRefused: If the text is no number.
    """
    if value is None:
        return None
    try:
        return float(value)
    except ValueError as error:
        raise ValueRefused(f"{str(value)[:40]!r} is not a double") from error


def _read_doubles(values: Sequence[Double], unreadable: dict[int, str]) -> list[float | None]:
    """Doubles of one column; a row that cannot be read is null and named in ``unreadable``."""
    found: list[float | None] = []
    for row, value in enumerate(values):
        try:
            found.append(_double(value) if isinstance(value, str) else value)
        except ValueRefused as error:
            found.append(None)
            unreadable.setdefault(row, str(error))
    return found


_TEMPORALITY = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
    "AGGREGATION_TEMPORALITY_DELTA": 1,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
    "1": 1,
    "2": 2,
}


def _temporality(value: Int) -> int:
    """The number of a temporality given as number or name; what is not known is unspecified."""
    return _TEMPORALITY.get(value, 0) if isinstance(value, str) else value or 0
