"""The outline of protobuf requests, by classes pruned to the fields that are looked at; the parser skips the rest."""

from operator import attrgetter
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from weaver_forge.receivers.otlp_signals import (
    MAX_TIME,
    NO_SPAN,
    NO_TRACE,
    BadData,
    Outline,
    Signal,
    is_utf8,
    why,
)

_TYPES = descriptor_pb2.FieldDescriptorProto
_Field = tuple[str, int, int, bool, str]
_BYTES, _FIXED64, _MESSAGE = _TYPES.TYPE_BYTES, _TYPES.TYPE_FIXED64, _TYPES.TYPE_MESSAGE
_SPAN: tuple[_Field, ...] = (
    ("trace_id", 1, _BYTES, False, ""),
    ("span_id", 2, _BYTES, False, ""),
    ("parent_span_id", 4, _BYTES, False, ""),
    ("name", 5, _BYTES, False, ""),
    ("start", 7, _FIXED64, False, ""),
    ("end", 8, _FIXED64, False, ""),
)
_POINTS = ("gauge", 5), ("sum", 7), ("histogram", 9), ("exponential_histogram", 10), ("summary", 11)
_METRIC: tuple[_Field, ...] = (
    ("name", 1, _BYTES, False, ""),
    *((name, number, _MESSAGE, False, "Points") for name, number in _POINTS),
)


def _request_class(signal: Signal, item: tuple[_Field, ...]) -> Any:
    """The outer shape is the same for all signals; an item without fields of interest is only counted."""
    package = f"weaver_forge.outline_{signal}"
    kind, name = (_MESSAGE, "Item") if item else (_BYTES, "")
    layout: dict[str, tuple[_Field, ...]] = {
        "Request": (("resources", 1, _MESSAGE, True, "Resource"),),
        "Resource": (("scopes", 2, _MESSAGE, True, "Scope"),),
        "Scope": (("items", 2, kind, True, name),),
        "Item": item,
        "Points": (("points", 1, _BYTES, True, ""),),
    }
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message, fields in layout.items():
        entry = file.message_type.add(name=message)
        for field, number, type_, repeated, type_name in fields:
            label = _TYPES.LABEL_REPEATED if repeated else _TYPES.LABEL_OPTIONAL
            added = entry.field.add(name=field, number=number, type=type_, label=label)
            if type_name:
                added.type_name = f".{package}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Request"))


_CLASSES: dict[Signal, Any] = {
    "traces": _request_class("traces", _SPAN),
    "metrics": _request_class("metrics", _METRIC),
    "logs": _request_class("logs", ()),
}
_SPAN_FIELDS = attrgetter("trace_id", "span_id", "parent_span_id", "name", "start", "end")


def outline(signal: Signal, data: bytes) -> Outline:
    """Look at one request.

    Raises:
        BadData: If it cannot be read, or is of another signal.
    """
    try:
        request = _CLASSES[signal].FromString(data)
    except DecodeError as error:
        raise BadData(f"not an OTLP {signal} request in protobuf: {error}") from error
    if signal == "traces":
        return _of_spans(request, data)
    if signal == "metrics":
        return _of_metrics(request, data)
    return Outline(sum(len(scope.items) for one in request.resources for scope in one.scopes))


def _of_spans(request: Any, data: bytes) -> Outline:
    items = rejected = 0
    first = ""
    for one in request.resources:
        for scope in one.scopes:
            items += len(scope.items)
            for trace_id, span_id, parent, name, start, end in map(_SPAN_FIELDS, scope.items):
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
                rejected += 1
                first = first or why(trace_id, span_id, parent, name, start, end)
    if rejected and rejected == items and _is_other_signal(data):
        raise BadData("not a traces request: it holds another signal")
    return Outline(items, rejected, first)


def _is_other_signal(data: bytes) -> bool:
    """All signals have the same outer shape; metrics and logs read as spans with impossible ids."""
    try:
        if _count_points(_CLASSES["metrics"].FromString(data)):
            return True
    except DecodeError:
        pass
    first = next((item for r in _CLASSES["logs"].FromString(data).resources for s in r.scopes for item in s.items), b"")
    return first[:1] in {b"\x09", b"\x59"}  # a time as fixed64 in field 1 or 11, where a span has its trace id


def _of_metrics(request: Any, data: bytes) -> Outline:
    points = _count_points(request)
    if not points and any(scope.items for one in request.resources for scope in one.scopes):
        spans = _CLASSES["traces"].FromString(data)
        if any(len(item.trace_id) == 16 and item.start for r in spans.resources for s in r.scopes for item in s.items):
            raise BadData("not a metrics request: it holds another signal")
    return Outline(points)


def _count_points(request: Any) -> int:
    return sum(
        len(getattr(metric, name).points)
        for one in request.resources
        for scope in one.scopes
        for metric in scope.items
        for name, _ in _POINTS
        if metric.HasField(name)
    )
