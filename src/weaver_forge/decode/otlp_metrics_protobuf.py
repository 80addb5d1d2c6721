"""Metrics in protobuf: where points stand in a request, and their fields as columns.

The same four functions for JSON are in ``otlp_metrics_json``; rows are made in ``otlp_metric_points``.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from google.protobuf.message import DecodeError

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_metric_points import FAMILY, Common, Metric
from weaver_forge.decode.otlp_signals import as_lists
from weaver_forge.decode.otlp_signals_protobuf import exemplars_text, metrics_request


def walk(request: Any) -> Iterator[tuple[Metric, Sequence[Any]]]:
    """Every metric of a message with its points; a metric of no known type has type "" and no points."""
    for resource in request.resources:
        for scope in resource.scopes:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or ""
                data: Any = getattr(metric, kind) if kind else None
                yield (
                    Metric(
                        owner=(resource.resource, scope.scope),
                        name=metric.name,
                        unit=metric.unit,
                        description=metric.description,
                        type=kind,
                        temporality=data.temporality if kind in {"sum", "histogram", "exponential_histogram"} else None,
                        is_monotonic=data.is_monotonic if kind == "sum" else None,
                    ),
                    data.points if data is not None else (),
                )


def common(points: Sequence[Any], reasons: dict[int, str]) -> Common:
    """The fields that points of every type have."""
    exemplars: list[str | None] = [None] * len(points)
    may_have_some = "exemplars" in points[0].DESCRIPTOR.fields_by_name if points else False
    for row, point in enumerate(points) if may_have_some else ():
        if point.exemplars:
            try:
                exemplars[row] = exemplars_text(point.exemplars)
            except DecodeError as error:
                reasons[row] = f"its exemplars cannot be read: {in_words(error)}"
    return Common(
        attributes=[tuple(point.attributes) for point in points],
        start=pl.Series([point.start for point in points], dtype=pl.UInt64),
        time=pl.Series([point.time for point in points], dtype=pl.UInt64),
        flags=[point.flags for point in points],
        exemplars=exemplars,
    )


def columns(family: str, points: Sequence[Any], _reasons: dict[int, str]) -> dict[str, pl.Series]:
    """The contract's data columns of points of one family; unsigned integers are not yet cast."""
    return _COLUMNS[family](points)


def piece(metric: Metric, point: Any) -> bytes:
    """A message with this one point, which can be decoded by itself."""
    request = metrics_request()
    resource = request.resources.add(resource=metric.owner[0])
    one = (
        resource.scopes.add(scope=metric.owner[1])
        .metrics.add(name=metric.name, unit=metric.unit, description=metric.description)
    )  # fmt: skip
    if metric.type:
        data = getattr(one, metric.type)
        if metric.temporality is not None:
            data.temporality = metric.temporality
        if metric.is_monotonic is not None:
            data.is_monotonic = metric.is_monotonic
        data.points.add().CopyFrom(point)
    found: bytes = request.SerializeToString()
    return found


def _numbers(points: Sequence[Any]) -> dict[str, pl.Series]:
    which = [point.WhichOneof("data") for point in points]
    both = list(zip(points, which, strict=True))
    return {
        "value_int": pl.Series([p.as_int if kind == "as_int" else None for p, kind in both], dtype=pl.Int64),
        "value_double": pl.Series([p.as_double if kind == "as_double" else None for p, kind in both], dtype=pl.Float64),
    }


def _counted(points: Sequence[Any]) -> dict[str, pl.Series]:
    return {
        "n_observations": pl.Series([point.count for point in points], dtype=pl.UInt64),
        "sum_value": _doubles(points, "sum"),
    }


def _histograms(points: Sequence[Any]) -> dict[str, pl.Series]:
    return {
        **_counted(points),
        "min_value": _doubles(points, "min"),
        "max_value": _doubles(points, "max"),
        "bucket_counts": _lists([point.bucket_counts for point in points], pl.UInt64()),
        "explicit_bounds": _lists([point.explicit_bounds for point in points], pl.Float64()),
    }


def _exponentials(points: Sequence[Any]) -> dict[str, pl.Series]:
    return {
        **_counted(points),
        "min_value": _doubles(points, "min"),
        "max_value": _doubles(points, "max"),
        "exponential_scale": pl.Series([point.scale for point in points], dtype=pl.Int64),
        "zero_count": pl.Series([point.zero_count for point in points], dtype=pl.UInt64),
        "zero_threshold": pl.Series([point.zero_threshold for point in points], dtype=pl.Float64),
        "positive_offset": pl.Series([point.positive.offset for point in points], dtype=pl.Int64),
        "positive_counts": _lists([point.positive.counts for point in points], pl.UInt64()),
        "negative_offset": pl.Series([point.negative.offset for point in points], dtype=pl.Int64),
        "negative_counts": _lists([point.negative.counts for point in points], pl.UInt64()),
    }


def _summaries(points: Sequence[Any]) -> dict[str, pl.Series]:
    """Other than a histogram's, the sum of a summary is always there: one of zero is not written."""
    return {
        "n_observations": pl.Series([point.count for point in points], dtype=pl.UInt64),
        "sum_value": pl.Series([point.sum for point in points], dtype=pl.Float64),
        "quantiles": _lists([[q.quantile for q in point.quantiles] for point in points], pl.Float64()),
        "quantile_values": _lists([[q.value for q in point.quantiles] for point in points], pl.Float64()),
    }


_COLUMNS = dict(zip(dict.fromkeys(FAMILY.values()), (_numbers, _histograms, _exponentials, _summaries), strict=True))


def _doubles(points: Sequence[Any], field: str) -> pl.Series:
    return pl.Series([getattr(p, field) if p.HasField(field) else None for p in points], dtype=pl.Float64)


def _lists(rows: Sequence[Sequence[Any]], item: pl.DataType) -> pl.Series:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return as_lists(pl.Series(list(chain.from_iterable(rows)), dtype=item), lengths, item)
