"""The outline of JSON requests: how many items, and which of them the decoder is known to refuse."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from weaver_forge.receivers import outline_rules as rules
from weaver_forge.receivers.otlp_signals import MAX_TIME, NO_SPAN, NO_TRACE, BadData, Outline, Signal, Tally, why
from weaver_forge.receivers.outline_shapes import (
    Double,
    ExponentialPoint,
    HistogramPoint,
    Metric,
    Number,
    NumberPoint,
    Record,
    Request,
    Span,
    SummaryPoint,
)

_INTEGER_LENGTH = 20
_INTEGER = re.compile(r"[+-]?[0-9]+")
_COUNTS = re.compile(r"[0-9]{1,18}(?:,[0-9]{1,18})*")
_FIELD: dict[Signal, str] = {"traces": "resourceSpans", "metrics": "resourceMetrics", "logs": "resourceLogs"}
_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_REQUEST = msgspec.json.Decoder(Request)


def outline(signal: Signal, data: bytes) -> Outline:
    """Look at one request.

    Raises:
        BadData: If it cannot be read, or is of another signal.
    """
    try:
        request = _REQUEST.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"not an OTLP {signal} request in JSON: {error}") from error
    found: dict[Signal, Any] = {
        "traces": request.resource_spans,
        "metrics": request.resource_metrics,
        "logs": request.resource_logs,
    }
    if any(value for name, value in found.items() if name != signal):
        raise BadData(f"not a {signal} request: it holds another signal")
    if found[signal] is None and data.strip() != b"{}":
        raise BadData(f"not an OTLP {signal} request: it has no {_FIELD[signal]}")
    tally = Tally()
    _LOOKS[signal](found[signal] or (), tally)
    return tally.outline()


def _spans(resources: Iterable[Any], tally: Tally) -> None:
    for span in (span for r in resources for s in r.scope_spans or () for span in s.spans or ()):
        tally.look(_span(span))


def _span(span: Span) -> str:
    """Why a span will be refused, or an empty text."""
    ids = _hex(span.trace_id), _hex(span.span_id), _hex(span.parent_span_id)
    start, end = _time(span.start_time_unix_nano), _time(span.end_time_unix_nano)
    if None in ids:
        wrong = ("trace", "span", "parent span")[ids.index(None)]
        return f"the {wrong} id is not hexadecimal"
    trace_id, span_id, parent = (value or b"" for value in ids)
    if start is None or end is None:
        return "a time is not an integer of nanoseconds"
    is_good = (
        len(trace_id) == 16
        and len(span_id) == 8
        and trace_id != NO_TRACE
        and span_id != NO_SPAN
        and len(parent) in {0, 8}
        and start <= end <= MAX_TIME
    )
    return "" if is_good else why(trace_id, span_id, parent, b"", start, end)


def _metrics(resources: Iterable[Any], tally: Tally) -> None:
    for metric in (metric for r in resources for s in r.scope_metrics or () for metric in s.metrics or ()):
        for reason in _metric(metric):
            tally.look(reason)


def _metric(metric: Metric) -> Iterator[str]:
    """Why each point will be refused, or empty texts."""
    kind = next((kind for kind in _KINDS if getattr(metric, kind) is not None), None)
    if kind is None:
        yield rules.NO_DATA
        return
    named = "" if metric.name else "the metric has no name"
    for point in getattr(metric, kind).data_points or ():
        times = _whole(point.start_time_unix_nano), _whole(point.time_unix_nano)
        yield named or rules.of_point_times(*times) or _POINTS[kind](point)


def _number(point: NumberPoint) -> str:
    if point.as_int is not None:
        return "" if _whole(point.as_int, -(2**63), MAX_TIME) is not None else "its value is not an integer of 64 bits"
    if point.as_double is None:
        return "" if _has_ended(point) else rules.NO_VALUE
    return _doubles((point.as_double,))


def _counted(point: SummaryPoint) -> str:
    return _doubles((point.sum,)) or _unless_ended(point, rules.of_count(_whole(point.count)))


def _histogram(point: HistogramPoint) -> str:
    wrong = _doubles((point.sum, point.min, point.max, *(point.explicit_bounds or ())))
    if wrong or _has_ended(point):
        return wrong
    counts = point.bucket_counts or ()
    bounds = tuple(map(float, point.explicit_bounds or ()))
    return rules.of_count(_whole(point.count)) or rules.of_bounds(len(counts), bounds) or _buckets(counts)


def _exponential(point: ExponentialPoint) -> str:
    wrong = _doubles((point.sum, point.min, point.max, point.zero_threshold))
    if wrong or _has_ended(point):
        return wrong
    sides = [side.bucket_counts or () for side in (point.positive, point.negative) if side]
    return rules.of_count(_whole(point.count)) or next(filter(None, map(_buckets, sides)), "")


def _buckets(counts: Sequence[int | str]) -> str:
    # Nearly always they are texts as OTLP has them, and few digits.
    try:
        is_usual = _COUNTS.fullmatch(",".join(counts))  # type: ignore[arg-type] # where some are numbers, it raises
    except TypeError:
        is_usual = None
    return "" if is_usual or not counts else rules.of_buckets([_whole(count) for count in counts])


def _has_ended(point: Any) -> bool:
    return bool((point.flags or 0) & rules.NO_RECORDED_VALUE)


def _unless_ended(point: Any, reason: str) -> str:
    return "" if _has_ended(point) else reason


def _logs(resources: Iterable[Any], tally: Tally) -> None:
    for record in (record for r in resources for s in r.scope_logs or () for record in s.log_records or ()):
        tally.look(_record(record))


def _record(record: Record) -> str:
    return rules.of_record(_whole(record.time_unix_nano), _whole(record.observed_time_unix_nano), b"", b"")


_LOOKS: dict[Signal, Callable[[Iterable[Any], Tally], None]] = {"traces": _spans, "metrics": _metrics, "logs": _logs}
_POINTS: dict[str, Callable[[Any], str]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _counted,
}


def _hex(text: str | None) -> bytes | None:
    try:
        data = bytes.fromhex(text or "")
    except ValueError:
        return None
    return data if 2 * len(data) == len(text or "") else None


def _time(value: Number) -> int | None:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or len(value) > _INTEGER_LENGTH:
            return None
        return int(value)
    return None if value is not None and value < 0 else value or 0


def _whole(value: Number, low: int = 0, high: int = 2**64 - 1) -> int | None:
    """An integer given as number or text; None where it is neither, or too small or large."""
    if isinstance(value, str):
        # Checked first: more digits than any such integer has take long to read.
        if not _INTEGER.fullmatch(value) or len(value.lstrip("+-0")) > _INTEGER_LENGTH:
            return None
        value = int(value.lstrip("+")) if value[0] != "-" or low < 0 else None
        return value if value is not None and low <= value <= high else None
    return None if value is not None and not low <= value <= high else value or 0


def _doubles(values: Sequence[Double]) -> str:
    """Why the first of some doubles that is no number is refused."""
    for value in values:
        if isinstance(value, str):  # NaN, Infinity and -Infinity are, and whatever else somebody writes
            try:
                float(value)
            except ValueError:
                return f"{value[:40]!r} is not a double"
    return ""
