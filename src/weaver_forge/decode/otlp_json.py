"""OTLP JSON messages -> gathered span fields, through typed structs.

OTLP JSON is not protobuf's JSON: ids are hex, enums integers, 64-bit integers numbers or strings (collectors
write strings, the JavaScript SDK numbers), unknown fields are ignored. ``json_format`` reads hex ids as base64
without an error and costs two hundred times the protobuf parse, so it is never used.

Attributes and resources stay raw at first and each *distinct* one is read once (``otlp_json_values``), as for
protobuf.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_columns import Gathered
from weaver_forge.decode.otlp_framing import shown
from weaver_forge.decode.otlp_ids import from_hex
from weaver_forge.decode.otlp_json_attributes import read_lists
from weaver_forge.decode.otlp_json_values import events_text, links_text, read_resource
from weaver_forge.decode.otlp_maps import Codes
from weaver_forge.decode.otlp_protobuf import PayloadRefused, sparse
from weaver_forge.decode.otlp_values import ValueRefused

_ABSENT = msgspec.Raw()


class StatusJson(msgspec.Struct, gc=False):
    """A span's status."""

    message: str | None = None
    code: int | None = None


class SpanJson(msgspec.Struct, gc=False):
    """A span; attributes are one piece of raw JSON, events and links one each."""

    traceId: str | None = None  # noqa: N815 - OTLP's own field names, here and below
    spanId: str | None = None  # noqa: N815
    parentSpanId: str | None = None  # noqa: N815
    name: str | None = None
    kind: int | None = None
    startTimeUnixNano: int | str | None = None  # noqa: N815
    endTimeUnixNano: int | str | None = None  # noqa: N815
    attributes: msgspec.Raw = _ABSENT
    events: list[msgspec.Raw] | None = None
    links: list[msgspec.Raw] | None = None
    status: StatusJson | None = None


class ScopeSpansJson(msgspec.Struct, gc=False):
    """Spans of one instrumentation scope."""

    spans: list[SpanJson] | None = None


class ResourceSpansJson(msgspec.Struct, gc=False):
    """Spans of one resource."""

    resource: msgspec.Raw = _ABSENT
    scopeSpans: list[ScopeSpansJson] | None = None  # noqa: N815


class RequestJson(msgspec.Struct, gc=False):
    """One message."""

    resourceSpans: list[ResourceSpansJson] | None = None  # noqa: N815


class WholeScopeJson(msgspec.Struct, gc=False):
    """Spans of one scope, each of them raw: how a single one is taken out."""

    scope: msgspec.Raw = _ABSENT
    spans: list[msgspec.Raw] | None = None


class WholeResourceJson(msgspec.Struct, gc=False):
    """The same of one resource."""

    resource: msgspec.Raw = _ABSENT
    scopeSpans: list[WholeScopeJson] | None = None  # noqa: N815


class WholeRequestJson(msgspec.Struct, gc=False):
    """The same of one message."""

    resourceSpans: list[WholeResourceJson] | None = None  # noqa: N815


_REQUEST = msgspec.json.Decoder(RequestJson)
_WHOLE = msgspec.json.Decoder(WholeRequestJson)
_SPAN = msgspec.json.Decoder(SpanJson)


def read_request(data: bytes) -> RequestJson:
    """Parse one message.

    Raises:
        PayloadRefused: If it is no JSON, breaks OTLP's types, or is not about traces.
    """
    try:
        request = _REQUEST.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadRefused(f"not an OTLP JSON message: {in_words(error)}") from error
    if request.resourceSpans is None and data.strip() != b"{}":
        raise PayloadRefused("not an OTLP trace message: it has no resourceSpans")
    return request


def gather(requests: Sequence[RequestJson]) -> Gathered | None:
    """Gather the spans of parsed messages; None if there are none."""
    spans: list[SpanJson] = []
    raw_resources: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    for number, request in enumerate(requests):
        for resource_spans in request.resourceSpans or ():
            before = len(spans)
            for scope in resource_spans.scopeSpans or ():
                spans.extend(scope.spans or ())
            raw_resources.append(bytes(resource_spans.resource))
            sizes.append((len(spans) - before, number))
    if not spans:
        return None
    unreadable: dict[int, str] = {}
    pairs = read_lists([bytes(span.attributes) for span in spans], unreadable)
    resource, resources = _encode(raw_resources)
    per_resource = np.array(sizes, dtype=np.int64)
    times_bad: list[int] = []
    statuses, known = _statuses(spans)
    return Gathered(
        trace_id=from_hex([span.traceId or "" for span in spans], 16),
        span_id=from_hex([span.spanId or "" for span in spans], 8),
        parent_span_id=from_hex([span.parentSpanId or "" for span in spans], 8),
        name=pl.Series([span.name or "" for span in spans], dtype=pl.String),
        kind=_enums([span.kind or 0 for span in spans]),
        start=_times([span.startTimeUnixNano or 0 for span in spans], times_bad),
        end=_times([span.endTimeUnixNano or 0 for span in spans], times_bad),
        times_bad=times_bad,
        status_codes=statuses,
        statuses=known,
        resource=np.repeat(resource, per_resource[:, 0]),
        resources=[read_resource(raw) for raw in resources],
        attribute_counts=pairs.counts,
        attribute_codes=pairs.codes,
        attributes=pairs.attributes,
        events=sparse(
            ((row, _raws(s.events)) for row, s in enumerate(spans) if s.events), events_text, unreadable, ValueRefused
        ),
        links=sparse(
            ((row, _raws(s.links)) for row, s in enumerate(spans) if s.links), links_text, unreadable, ValueRefused
        ),
        message=np.repeat(per_resource[:, 1], per_resource[:, 0]),
        unreadable=unreadable,
    )


def quote(data: bytes, number: int) -> tuple[str, bytes]:
    """One span of a message, in words and as a request that holds it alone."""
    for resource_spans in _WHOLE.decode(data).resourceSpans or ():
        for scope in resource_spans.scopeSpans or ():
            spans = scope.spans or []
            if number < len(spans):
                return _alone(resource_spans.resource, scope.scope, spans[number])
            number -= len(spans)
    raise AssertionError("the span was counted in this very message")


def _alone(resource: msgspec.Raw, scope: msgspec.Raw, raw: msgspec.Raw) -> tuple[str, bytes]:
    scopes = {"scope": scope if bytes(scope) else {}, "spans": [raw]}
    whole = {"resource": resource if bytes(resource) else {}, "scopeSpans": [scopes]}
    span = _SPAN.decode(raw)
    words = f"trace_id={span.traceId} span_id={span.spanId} name={span.name}"
    return shown(words), msgspec.json.encode({"resourceSpans": [whole]})


def _enum(value: int | None) -> int:
    """Bring an enum of any size into range; -1 is as unknown as any other unknown value."""
    return -1 if value is not None and not -1 <= value <= 255 else value or 0


def _enums(values: list[int]) -> Codes:
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array([_enum(value) for value in values], dtype=np.int64)


def _statuses(spans: Sequence[SpanJson]) -> tuple[Codes, list[tuple[int, str] | None]]:
    """Code of each span's status, and the distinct ones; nearly all are the first, unset."""
    known: dict[tuple[int, str] | None, int] = {(0, ""): 0}
    codes = np.zeros(len(spans), dtype=np.int64)
    for row, status in enumerate([span.status for span in spans]):
        if status is not None and (status.code or status.message):
            codes[row] = known.setdefault((_enum(status.code), status.message or ""), len(known))
    return codes, list(known)


def _raws(values: list[msgspec.Raw] | None) -> list[bytes]:
    return [bytes(value) for value in values or ()]


def _encode(values: Iterable[Any]) -> tuple[Codes, list[Any]]:
    """Dictionary-encode: the code of each value, and the distinct values in order of first sight."""
    seen: defaultdict[Any, int] = defaultdict(count().__next__)
    codes = np.array([seen[value] for value in values], dtype=np.int64)
    return codes, list(seen)


def _times(values: list[int | str], bad: list[int]) -> npt.NDArray[np.uint64]:
    """Numbers or decimal text -> 64 bits; ``bad`` gains the rows where it is neither or does not fit."""
    texts = list(map(str, values))
    read = pl.Series(texts, dtype=pl.String).cast(pl.UInt64, strict=False)
    bad.extend(read.is_null().arg_true().to_list())
    return read.fill_null(0).to_numpy()
