"""OTLP protobuf messages -> gathered span fields, read through a pruned descriptor.

The pruned classes have OTLP's own field numbers, but ``resource``, ``attributes``, ``events``, ``links`` and
``status`` are typed ``bytes`` (the wire type is the same). The parser then neither builds nor validates those
sub-messages: less than half the parser's time, and each *distinct* attribute (a few per cent of all) is decoded
once instead of every one (measured: 24 attribute objects a span are nine tenths of a plain loop's cost).
Names are ``bytes`` too, so that one name that is not UTF-8 costs its span, not the whole message.

Two parsers read the same descriptor: protobuf's own (here) and, where it is installed, ptars (``otlp_ptars``).
The meaning of values is in ``otlp_values``, rows are made in ``otlp_columns``.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_attributes import read_attributes
from weaver_forge.decode.otlp_columns import Gathered, Sparse
from weaver_forge.decode.otlp_framing import shown
from weaver_forge.decode.otlp_ids import Ids, from_list
from weaver_forge.decode.otlp_maps import Codes
from weaver_forge.decode.otlp_protobuf_values import EventTexts, LinkTexts, read_resource, read_status

_TYPES = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "weaver_forge.otlp_pruned"
_BYTES, _INT32, _FIXED64, _MESSAGE = (
    _TYPES.TYPE_BYTES,
    _TYPES.TYPE_INT32,
    _TYPES.TYPE_FIXED64,
    _TYPES.TYPE_MESSAGE,
)

_LAYOUT: dict[str, tuple[tuple[str, int, int, bool, str], ...]] = {
    # message -> (field, number, type, repeated, message type)
    "Request": (("resource_spans", 1, _MESSAGE, True, "ResourceSpans"),),
    "ResourceSpans": (("resource", 1, _BYTES, False, ""), ("scope_spans", 2, _MESSAGE, True, "ScopeSpans")),
    "ScopeSpans": (("spans", 2, _MESSAGE, True, "Span"),),
    "Span": (
        ("trace_id", 1, _BYTES, False, ""),
        ("span_id", 2, _BYTES, False, ""),
        ("parent_span_id", 4, _BYTES, False, ""),
        ("name", 5, _BYTES, False, ""),
        ("kind", 6, _INT32, False, ""),
        ("start_time_unix_nano", 7, _FIXED64, False, ""),
        ("end_time_unix_nano", 8, _FIXED64, False, ""),
        ("attributes", 9, _BYTES, True, ""),
        ("events", 11, _BYTES, True, ""),
        ("links", 13, _BYTES, True, ""),
        ("status", 15, _BYTES, False, ""),
    ),
    # the same request with whole spans as bytes: how a single one is taken out, or put in a request of its own
    "Whole": (("resource_spans", 1, _MESSAGE, True, "WholeResource"),),
    "WholeResource": (("resource", 1, _BYTES, False, ""), ("scope_spans", 2, _MESSAGE, True, "WholeScope")),
    "WholeScope": (("scope", 1, _BYTES, False, ""), ("spans", 2, _BYTES, True, "")),
}


def _pruned_classes() -> tuple[Any, Any, Any]:
    """Build the pruned classes in a descriptor pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="weaver_forge/otlp_pruned.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _LAYOUT.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated, type_name in fields:
            label = _TYPES.LABEL_REPEATED if repeated else _TYPES.LABEL_OPTIONAL
            entry = message.field.add(name=field, number=number, type=kind, label=label)
            if type_name:
                entry.type_name = f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, whole, span = (pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in ("Request", "Whole", "Span"))
    return tuple(map(message_factory.GetMessageClass, (request, whole, span)))


PrunedRequest, _WholeRequest, _PrunedSpan = _pruned_classes()


class PayloadRefused(ValueError):  # noqa: N818 - named by what happened to the payload
    """A message that holds no spans of OTLP; the text says what it is."""


def read_request(data: bytes) -> Any:
    """Parse one message into the pruned class.

    Raises:
        PayloadRefused: If it is no protobuf.
    """
    try:
        return PrunedRequest.FromString(data)
    except DecodeError as error:
        raise PayloadRefused(f"not an OTLP protobuf message: {in_words(error)}") from error


def gather(requests: Sequence[Any]) -> Gathered | None:
    """Gather the spans of parsed messages; None if there are none."""
    spans: list[Any] = []
    resources: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    for number, request in enumerate(requests):
        for resource_spans in request.resource_spans:
            before = len(spans)
            for scope in resource_spans.scope_spans:
                spans.extend(scope.spans)
            resources.append(resource_spans.resource)
            sizes.append((len(spans) - before, number))
    if not spans:
        return None
    attributes = [span.attributes for span in spans]
    per_resource = np.array(sizes, dtype=np.int64)
    return put_together(
        ids=[from_list([getattr(s, f) for s in spans], size) for f, size in ID_FIELDS],
        name=text([span.name for span in spans]),
        kind=np.array([span.kind for span in spans], dtype=np.int64),
        times=[np.array([getattr(s, f) for s in spans], dtype=np.uint64) for f in TIME_FIELDS],
        status=pa.array([span.status for span in spans], pa.binary()),
        resource=pa.array(resources, pa.binary()),
        resource_sizes=per_resource[:, 0],
        attribute_counts=np.fromiter(map(len, attributes), np.int64, len(attributes)),
        attributes=pa.array(list(chain.from_iterable(attributes)), pa.binary()),
        events=_groups(map(attrgetter("events"), spans)),
        links=_groups(map(attrgetter("links"), spans)),
        message=np.repeat(per_resource[:, 1], per_resource[:, 0]),
    )


ID_FIELDS = (("trace_id", 16), ("span_id", 8), ("parent_span_id", 8))
TIME_FIELDS = ("start_time_unix_nano", "end_time_unix_nano")


def put_together(
    *,
    ids: Sequence[Ids],
    name: pl.Series,
    kind: npt.NDArray[Any],
    times: Sequence[npt.NDArray[np.uint64]],
    status: pa.Array,
    resource: pa.Array,
    resource_sizes: Codes,
    attribute_counts: Codes,
    attributes: pa.Array,
    events: Iterable[tuple[int, Sequence[bytes]]],
    links: Iterable[tuple[int, Sequence[bytes]]],
    message: Codes,
) -> Gathered:
    """Decode what the parsers left as bytes, each distinct piece once; the rest is passed on.

    Args:
        ids: Trace, span and parent ids.
        name: Names; null where one is not UTF-8.
        kind: Kinds as they stand in the message.
        times: Starts and ends.
        status: Statuses as bytes.
        resource: One a ResourceSpans, as bytes.
        resource_sizes: Spans of each of these.
        attribute_counts: Attributes of each span.
        attributes: All attributes of all spans as bytes.
        events: Span and its raw events, for those that have any.
        links: The same for links.
        message: Number of the message that each span is from.
    """
    unreadable: dict[int, str] = {}
    statuses, resources, pairs = (
        status.dictionary_encode(),
        resource.dictionary_encode(),
        attributes.dictionary_encode(),
    )
    return Gathered(
        trace_id=ids[0],
        span_id=ids[1],
        parent_span_id=ids[2],
        name=name,
        kind=kind,
        start=times[0],
        end=times[1],
        times_bad=(),
        status_codes=statuses.indices.to_numpy(),
        statuses=[_status(raw) for raw in statuses.dictionary.to_pylist()],
        resource=np.repeat(resources.indices.to_numpy(), resource_sizes),
        resources=[read_resource(raw) for raw in resources.dictionary.to_pylist()],
        attribute_counts=attribute_counts,
        attribute_codes=pairs.indices.to_numpy(),
        attributes=read_attributes(pairs.dictionary),
        events=sparse(events, EventTexts(), unreadable, DecodeError),
        links=sparse(links, LinkTexts(), unreadable, DecodeError),
        message=message,
        unreadable=unreadable,
    )


def sparse(
    groups: Iterable[tuple[int, Sequence[bytes]]],
    read: Callable[[Sequence[bytes]], str],
    unreadable: dict[int, str],
    refusal: type[Exception],
) -> Sparse:
    """JSON text of the rows that have events or links; ``unreadable`` gains those that cannot be read."""
    rows: list[int] = []
    texts: list[str] = []
    for row, group in groups:
        try:
            found = read(group)
        except refusal as error:
            unreadable.setdefault(row, f"its events or links cannot be read: {in_words(error)}")
        else:
            rows.append(row)
            texts.append(found)
    return rows, texts


def text(values: Sequence[bytes] | pa.Array) -> pl.Series:
    """Names as text; null where one is not UTF-8. All at once first, because nearly always all are."""
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.binary())
    try:
        found = pl.from_arrow(array.cast(pa.string()))
    except pa.ArrowInvalid:
        return pl.Series([_decoded(value) for value in array.to_pylist()], dtype=pl.String)
    assert isinstance(found, pl.Series)
    return found


def quote(data: bytes, number: int) -> tuple[str, bytes]:
    """One span of a message, in words and as a request that holds it alone.

    ptars accepts a few damaged messages that protobuf itself refuses (one in two thousand); of these the whole.
    """
    try:
        whole = _WholeRequest.FromString(data)
        for resource_spans in whole.resource_spans:
            for scope in resource_spans.scope_spans:
                if number < len(scope.spans):
                    return _alone(resource_spans.resource, scope.scope, scope.spans[number])
                number -= len(scope.spans)
    except DecodeError:
        pass
    return shown(data), data


def _alone(resource: bytes, scope: bytes, raw: bytes) -> tuple[str, bytes]:
    request = _WholeRequest()
    whole = request.resource_spans.add(resource=resource)
    whole.scope_spans.add(scope=scope, spans=[raw])
    span = _PrunedSpan.FromString(raw)
    words = f"trace_id={span.trace_id.hex()} span_id={span.span_id.hex()} name={shown(span.name)}"
    return words, request.SerializeToString()


def _groups(groups: Iterable[Sequence[bytes]]) -> Iterable[tuple[int, Sequence[bytes]]]:
    return ((row, group) for row, group in enumerate(groups) if group)


def _status(raw: bytes) -> tuple[int, str] | None:
    try:
        return read_status(raw)
    except DecodeError:
        return None


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
