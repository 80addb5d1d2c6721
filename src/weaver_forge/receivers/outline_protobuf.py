"""The outline of protobuf requests: how many items, and which of them the decoder is known to refuse."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.message import DecodeError

from weaver_forge.decode.otlp_sniff import signal_of
from weaver_forge.receivers import outline_rules as rules
from weaver_forge.receivers.otlp_signals import (
    MAX_TIME,
    NO_SPAN,
    NO_TRACE,
    BadData,
    Outline,
    Signal,
    Tally,
    is_utf8,
    why,
)
from weaver_forge.receivers.outline_classes import REQUESTS

_SPAN_FIELDS = attrgetter("trace_id", "span_id", "parent_span_id", "name", "start", "end")
_POINT_FIELDS = attrgetter("start", "time", "flags")
_RECORD_FIELDS = attrgetter("time", "observed", "severity_text", "event_name")


def outline(signal: Signal, data: bytes) -> Outline:
    """Look at one request.

    Raises:
        BadData: If it cannot be read, or is of another signal.
    """
    try:
        request = REQUESTS[signal].FromString(data)
    except DecodeError as error:
        raise BadData(f"not an OTLP {signal} request in protobuf: {error}") from error
    tally = Tally()
    for one in request.resources:
        for scope in one.scopes:
            _LOOKS[signal](scope.items, tally)
    # All signals have the same outer shape; one reads as another with impossible items.
    if tally.rejected and tally.rejected == tally.items and signal_of(data, "protobuf") != signal:
        raise BadData(f"not a {signal} request: it holds another signal")
    return tally.outline()


def _spans(items: Any, tally: Tally) -> None:
    tally.items += len(items)
    for trace_id, span_id, parent, name, start, end in map(_SPAN_FIELDS, items):
        # The usual case without a call; the reason is looked for only where there is one.
        if (
            len(trace_id) == 16  # noqa: PLR0916 - one rule a line
            and len(span_id) == 8
            and start <= end <= MAX_TIME
            and trace_id != NO_TRACE
            and span_id != NO_SPAN
            and len(parent) in {0, 8}
            and (name.isascii() or is_utf8(name))
        ):
            continue
        tally.refuse(why(trace_id, span_id, parent, name, start, end))


def _metrics(items: Any, tally: Tally) -> None:
    for metric in items:
        kind = metric.WhichOneof("data")
        if kind is None:
            tally.items += 1  # nothing of it can be counted, but it is refused
            tally.refuse(rules.NO_DATA)
            continue
        points = getattr(metric, kind).points
        tally.items += len(points)
        reason = rules.of_metric(metric.name, metric.unit, metric.description)
        if reason:
            tally.refuse(reason, len(points))
            continue
        look = _POINTS[kind]
        for point in points:
            start, time, flags = _POINT_FIELDS(point)
            if not (0 < time <= MAX_TIME and start <= MAX_TIME):
                tally.refuse(rules.of_point_times(start, time))
            elif not flags & rules.NO_RECORDED_VALUE and (reason := look(point)):
                tally.refuse(reason)


def _number(point: Any) -> str:
    return "" if point.WhichOneof("data") else rules.NO_VALUE


def _counted(point: Any) -> str:
    return rules.of_count(point.count)


def _histogram(point: Any) -> str:
    counts = point.bucket_counts
    return (
        rules.of_count(point.count)
        or rules.of_bounds(len(counts), tuple(point.explicit_bounds))
        or ("" if max(counts, default=0) <= MAX_TIME else rules.of_buckets(counts))
    )


def _exponential(point: Any) -> str:
    return (
        rules.of_count(point.count)
        or rules.of_buckets(point.positive.counts)
        or rules.of_buckets(point.negative.counts)
    )


def _logs(items: Any, tally: Tally) -> None:
    tally.items += len(items)
    for time, observed, severity, event in map(_RECORD_FIELDS, items):
        is_text = severity.isascii() and event.isascii()
        if not (is_text and 0 < max(time, observed) <= MAX_TIME):
            reason = rules.of_record(time, observed, severity, event)
            if reason:
                tally.refuse(reason)


_LOOKS: dict[Signal, Callable[[Any, Tally], None]] = {"traces": _spans, "metrics": _metrics, "logs": _logs}
_POINTS: dict[str, Callable[[Any], str]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _counted,
}
