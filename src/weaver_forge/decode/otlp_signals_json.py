"""OTLP logs in JSON -> typed structs, and what metrics share with them; what spans have too is in ``otlp_json``.

Integers may be numbers or text, doubles may be the texts NaN, Infinity and -Infinity, ids are hex. Enums are
numbers.
"""

from typing import Any

import msgspec

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_json_values import (
    AnyValueJson,
    KeyValueJson,
    plain,
    read_attributes,
    read_resource,
)
from weaver_forge.decode.otlp_protobuf import PayloadRefused
from weaver_forge.decode.otlp_signals import Reader, Scope
from weaver_forge.decode.otlp_values import ValueRefused, as_text

_ABSENT = msgspec.Raw()
Int = int | str | None
Double = float | str | None


class ScopeJson(msgspec.Struct, gc=False):
    """An instrumentation scope."""

    name: str | None = None
    version: str | None = None
    attributes: list[KeyValueJson] | None = None


class RecordJson(msgspec.Struct, gc=False):
    """A log record; body and attributes are raw JSON."""

    timeUnixNano: Int = None  # noqa: N815
    observedTimeUnixNano: Int = None  # noqa: N815
    severityNumber: int | None = None  # noqa: N815
    severityText: str | None = None  # noqa: N815
    body: msgspec.Raw = _ABSENT
    attributes: list[msgspec.Raw] | None = None
    traceId: str | None = None  # noqa: N815
    spanId: str | None = None  # noqa: N815
    eventName: str | None = None  # noqa: N815


class ScopeLogsJson(msgspec.Struct, gc=False):
    """Records of one scope."""

    scope: msgspec.Raw = _ABSENT
    logRecords: list[RecordJson] | None = None  # noqa: N815


class ResourceLogsJson(msgspec.Struct, gc=False):
    """Records of one resource."""

    resource: msgspec.Raw = _ABSENT
    scopeLogs: list[ScopeLogsJson] | None = None  # noqa: N815


class LogsJson(msgspec.Struct, gc=False):
    """One logs message."""

    resourceLogs: list[ResourceLogsJson] | None = None  # noqa: N815


_LOGS = msgspec.json.Decoder(LogsJson)
_SCOPE = msgspec.json.Decoder(ScopeJson)
_VALUE = msgspec.json.Decoder(AnyValueJson | None)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueRefused)
_NOTHING = (b"", b"null")


def read_logs(data: bytes) -> LogsJson:
    """Parse one logs message.

    Raises:
        PayloadRefused: If it is no JSON, breaks OTLP's types, or is not about logs.
    """
    request: LogsJson = read_message(_LOGS, data)
    if request.resourceLogs is None and data.strip() != b"{}":
        raise PayloadRefused("not an OTLP logs message: it has no resourceLogs")
    return request


def read_message(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Parse one message by its typed decoder.

    Raises:
        PayloadRefused: If it is no JSON or breaks OTLP's types.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadRefused(f"not an OTLP JSON message: {in_words(error)}") from error


def raws(values: list[msgspec.Raw] | None) -> tuple[bytes, ...]:
    """Raw pieces as bytes, which can be compared."""
    return tuple(map(bytes, values)) if values else ()


def read_scope(raw: bytes) -> Scope:
    """Decode one distinct scope; empty bytes are a scope that is not named."""
    try:
        scope = _SCOPE.decode(raw) if raw not in _NOTHING else ScopeJson()
        found: dict[str, str | None] = {}
        for pair in scope.attributes or ():
            found.setdefault(pair.key or "", as_text(plain(pair.value)))
    except UNREADABLE as error:
        return Scope("", "", [], f"its scope cannot be read: {in_words(error)}")
    return Scope(scope.name or "", scope.version or "", list(found.items()))


READER = Reader(read_attributes, read_resource, read_scope)


def body_text(raw: bytes) -> tuple[str | None, bool]:
    """A log's body as text, and whether it is structured.

    Raises:
        ValueRefused: If it cannot be read.
    """
    try:
        value = _VALUE.decode(raw) if raw not in _NOTHING else None
        found = plain(value)
    except UNREADABLE as error:
        raise ValueRefused(in_words(error)) from error
    return as_text(found), isinstance(found, list | dict)
