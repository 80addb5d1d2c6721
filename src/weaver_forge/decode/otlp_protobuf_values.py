"""Attributes, resources, statuses, events and links of OTLP protobuf, each read by the official classes.

Everything here costs microseconds a piece, so it is for *distinct* pieces only; what comes in great numbers is
cut out by array work in ``otlp_attributes``. What a value means is in ``otlp_values``.
"""

import base64
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_values import (
    Resource,
    as_resource,
    as_text,
    event_row,
    json_text,
    link_row,
    non_finite,
    refused_resource,
)

_KEPT_RESOURCES, _KEPT_BYTES = 1024, 4096
"""Resources that are read once, not once a chunk, and how long each may be."""


def attribute(raw: bytes) -> tuple[str, str | None]:
    """Key and text of one attribute.

    Raises:
        DecodeError: If it is none.
    """
    pair = KeyValue.FromString(raw)
    return pair.key, as_text(plain(pair.value))


def plain(value: AnyValue, *, inside: bool = False) -> Any:
    """An AnyValue as str, bool, int, float, list, dict or None; ``inside`` JSON text NaN becomes a string."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [plain(item, inside=True) for item in value.array_value.values]
    if which == "kvlist_value":
        return _plain_pairs(value.kvlist_value.values)
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value":
        number = value.double_value
        return number if math.isfinite(number) or not inside else non_finite(number)
    return getattr(value, which)


def _plain_pairs(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: plain(pair.value, inside=True) for pair in pairs}


def read_resource(raw: bytes) -> Resource:
    """Decode one distinct resource; an ordinary one is kept, for its process sends it as long as it lives."""
    return _kept_resource(raw) if len(raw) <= _KEPT_BYTES else _read_resource(raw)


@lru_cache(maxsize=_KEPT_RESOURCES)
def _kept_resource(raw: bytes) -> Resource:
    return _read_resource(raw)


def _read_resource(raw: bytes) -> Resource:
    try:
        message = ResourceMessage.FromString(raw)
    except DecodeError as error:
        return refused_resource(f"its resource cannot be read: {in_words(error)}")
    return as_resource([(pair.key, plain(pair.value)) for pair in message.attributes])


def read_status(raw: bytes) -> tuple[int, str]:
    """Decode one distinct status into code and message.

    Raises:
        DecodeError: If it is no status.
    """
    status = Status.FromString(raw)
    return status.code, status.message


class EventTexts:
    """Events of spans as JSON text.

    All of an event but its time is nearly always the same as in many others, so that is read once and kept; the
    keeping lasts as long as the object, which is made for one chunk.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, str] = {}

    def __call__(self, raws: Iterable[bytes]) -> str:
        """The events of one span.

        Raises:
            DecodeError: If one cannot be read.
        """
        return "[" + ",".join(map(self._event, raws)) + "]"

    def _event(self, raw: bytes) -> str:
        if raw[:1] == _EVENT_TIME and len(raw) >= 9:
            rest = raw[9:]
            text = self._kept.get(rest)
            if text is None:
                text = self._kept[rest] = _timeless(rest)
            if text:
                return f'{{"time_unix_ns":{int.from_bytes(raw[1:9], "little")},{text}'
        event = Span.Event.FromString(raw)
        return json_text(event_row(event.time_unix_nano, event.name, _plain_pairs(event.attributes)))


class LinkTexts:
    """Links of spans as JSON text; all but the ids is read once and kept, as for events."""

    def __init__(self) -> None:
        self._kept: dict[bytes, str] = {}

    def __call__(self, raws: Iterable[bytes]) -> str:
        """The links of one span.

        Raises:
            DecodeError: If one cannot be read.
        """
        return "[" + ",".join(map(self._link, raws)) + "]"

    def _link(self, raw: bytes) -> str:
        if raw[:2] == _LINK_TRACE and raw[18:20] == _LINK_SPAN and len(raw) >= 28:
            rest = raw[28:]
            text = self._kept.get(rest)
            if text is None:
                text = self._kept[rest] = _idless(rest)
            if text:
                return f'{{"trace_id":"{raw[2:18].hex()}","span_id":"{raw[20:28].hex()}",{text}'
        link = Span.Link.FromString(raw)
        return json_text(link_row(link.trace_id.hex(), link.span_id.hex(), _plain_pairs(link.attributes)))


_EVENT_TIME, _LINK_TRACE, _LINK_SPAN = b"\x09", b"\x0a\x10", b"\x12\x08"


def _timeless(rest: bytes) -> str:
    """An event's text after its time; empty if its bytes are not canonical, for they may set the time again."""
    event = Span.Event.FromString(rest)
    if event.time_unix_nano or event.SerializeToString() != rest:
        return ""
    return json_text({"name": event.name, "attributes": _plain_pairs(event.attributes)})[1:]


def _idless(rest: bytes) -> str:
    """A link's text after its ids; empty if its bytes are not canonical, for they may set the ids again."""
    link = Span.Link.FromString(rest)
    if link.trace_id or link.span_id or link.SerializeToString() != rest:
        return ""
    return json_text({"attributes": _plain_pairs(link.attributes)})[1:]
