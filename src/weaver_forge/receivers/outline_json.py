"""The outline of JSON requests. What is looked at is typed, the rest is skipped or kept as raw bytes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from weaver_forge.receivers.otlp_signals import MAX_TIME, NO_SPAN, NO_TRACE, BadData, Outline, Signal, why

_INTEGER_LENGTH = 20
_FIELD: dict[Signal, str] = {"traces": "resourceSpans", "metrics": "resourceMetrics", "logs": "resourceLogs"}
_Number = int | str | None


class _Span(msgspec.Struct, gc=False, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: _Number = None
    end_time_unix_nano: _Number = None
    attributes: list[msgspec.Raw] | None = None
    events: list[msgspec.Raw] | None = None
    links: list[msgspec.Raw] | None = None


class _ScopeSpans(msgspec.Struct, gc=False, rename="camel"):
    spans: list[_Span] | None = None


class _ResourceSpans(msgspec.Struct, gc=False, rename="camel"):
    scope_spans: list[_ScopeSpans] | None = None


class _Points(msgspec.Struct, gc=False, rename="camel"):
    data_points: list[msgspec.Raw] | None = None


class _Metric(msgspec.Struct, gc=False, rename="camel"):
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Points | None = None
    exponential_histogram: _Points | None = None
    summary: _Points | None = None


class _ScopeMetrics(msgspec.Struct, gc=False, rename="camel"):
    metrics: list[_Metric] | None = None


class _ResourceMetrics(msgspec.Struct, gc=False, rename="camel"):
    scope_metrics: list[_ScopeMetrics] | None = None


class _ScopeLogs(msgspec.Struct, gc=False, rename="camel"):
    log_records: list[dict[str, msgspec.Raw]] | None = None


class _ResourceLogs(msgspec.Struct, gc=False, rename="camel"):
    scope_logs: list[_ScopeLogs] | None = None


class _Request(msgspec.Struct, gc=False, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None
    resource_metrics: list[_ResourceMetrics] | None = None
    resource_logs: list[_ResourceLogs] | None = None


_REQUEST = msgspec.json.Decoder(_Request)


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
    if signal == "metrics":
        return Outline(sum(_json_points(found[signal] or ())))
    if signal == "logs":
        return Outline(sum(len(s.log_records or ()) for r in found[signal] or () for s in r.scope_logs or ()))
    reasons = [_json_reason(span) for r in found[signal] or () for s in r.scope_spans or () for span in s.spans or ()]
    bad = [reason for reason in reasons if reason]
    return Outline(len(reasons), len(bad), bad[0] if bad else "")


def _json_points(resources: Iterable[_ResourceMetrics]) -> Iterable[int]:
    for one in resources:
        for scope in one.scope_metrics or ():
            for m in scope.metrics or ():
                for kind in (m.gauge, m.sum, m.histogram, m.exponential_histogram, m.summary):
                    yield len(kind.data_points or ()) if kind else 0


def _json_reason(span: _Span) -> str:
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


def _hex(text: str | None) -> bytes | None:
    try:
        data = bytes.fromhex(text or "")
    except ValueError:
        return None
    return data if 2 * len(data) == len(text or "") else None


def _time(value: _Number) -> int | None:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or len(value) > _INTEGER_LENGTH:
            return None
        return int(value)
    return None if value is not None and value < 0 else value or 0
