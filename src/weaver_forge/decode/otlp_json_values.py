"""Attributes, resources, events and links of OTLP JSON, each distinct piece read once.

What a value means is in ``otlp_values``; messages are read in ``otlp_json``.
"""

import base64
import math
from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_values import (
    MAX_DEPTH,
    Attributes,
    Resource,
    ValueRefused,
    as_resource,
    as_text,
    event_row,
    json_text,
    link_row,
    non_finite,
    refused_resource,
)

INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1


class AnyValueJson(msgspec.Struct, gc=False):
    """A value: at most one of the fields is there."""

    stringValue: str | None = None  # noqa: N815
    boolValue: bool | None = None  # noqa: N815
    intValue: int | str | None = None  # noqa: N815
    doubleValue: float | str | None = None  # noqa: N815
    bytesValue: str | None = None  # noqa: N815
    arrayValue: "ArrayJson | None" = None  # noqa: N815
    kvlistValue: "KvListJson | None" = None  # noqa: N815


class KeyValueJson(msgspec.Struct, gc=False):
    """An attribute."""

    key: str | None = None
    value: AnyValueJson | None = None


class ArrayJson(msgspec.Struct, gc=False):
    """An array of values."""

    values: list[AnyValueJson] | None = None


class KvListJson(msgspec.Struct, gc=False):
    """A list of keys and values."""

    values: list[KeyValueJson] | None = None


class ResourceJson(msgspec.Struct, gc=False):
    """A resource."""

    attributes: list[KeyValueJson] | None = None


class EventJson(msgspec.Struct, gc=False):
    """A span event."""

    timeUnixNano: int | str | None = None  # noqa: N815
    name: str | None = None
    attributes: list[KeyValueJson] | None = None


class LinkJson(msgspec.Struct, gc=False):
    """A span link."""

    traceId: str | None = None  # noqa: N815
    spanId: str | None = None  # noqa: N815
    attributes: list[KeyValueJson] | None = None


_ATTRIBUTE = msgspec.json.Decoder(KeyValueJson)
_RESOURCE = msgspec.json.Decoder(ResourceJson)
_EVENT = msgspec.json.Decoder(EventJson)
_LINK = msgspec.json.Decoder(LinkJson)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueRefused)


def read_attributes(distinct: Iterable[bytes | str]) -> Attributes:
    """Decode distinct raw attributes, in order."""
    keys: list[str] = []
    texts: list[str | None] = []
    reasons: dict[int, str] = {}
    for raw in distinct:
        try:
            pair = _ATTRIBUTE.decode(raw)
            text = as_text(plain(pair.value))
        except _UNREADABLE as error:
            reasons[len(keys)] = f"an attribute cannot be read: {in_words(error)}"
            keys.append("")
            texts.append(None)
        else:
            keys.append(pair.key or "")
            texts.append(text)
    return Attributes(pl.Series(keys, dtype=pl.String), pl.Series(texts, dtype=pl.String), reasons)


def plain(value: AnyValueJson | None, *, depth: int = 0) -> Any:  # noqa: PLR0911 - one return a kind of value
    """A value as str, bool, int, float, list, dict or None; inside JSON text (depth > 0) NaN is a string.

    Raises:
        ValueRefused: If an integer, a double or base64 does not read as one, or the nesting is too deep.
    """
    if value is None:
        return None
    if depth > MAX_DEPTH:
        raise ValueRefused(f"nested deeper than {MAX_DEPTH}")
    if value.stringValue is not None:
        return value.stringValue
    if value.boolValue is not None:
        return value.boolValue
    if value.intValue is not None:
        return integer(value.intValue, INT64_MIN, INT64_MAX)
    if value.doubleValue is not None:
        return _double(value.doubleValue, inside=depth > 0)
    if value.arrayValue is not None:
        return [plain(item, depth=depth + 1) for item in value.arrayValue.values or ()]
    if value.kvlistValue is not None:
        return _plain_pairs(value.kvlistValue.values, depth=depth + 1)
    return None if value.bytesValue is None else _base64(value.bytesValue)


def _plain_pairs(pairs: list[KeyValueJson] | None, *, depth: int = 1) -> dict[str, Any]:
    return {pair.key or "": plain(pair.value, depth=depth) for pair in pairs or ()}


def integer(value: int | str, low: int, high: int) -> int:
    """A 64-bit integer written as a number or as decimal text.

    Raises:
        ValueRefused: If it is neither, or outside of the range.
    """
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
            raise ValueRefused(f"{value[:40]!r} is not an integer")
        value = int(value)
    if not low <= value <= high:
        raise ValueRefused(f"{value} does not fit into 64 bits")
    return value


def _double(value: float | str, *, inside: bool) -> float | str:
    try:
        number = float(value)
    except ValueError as error:
        raise ValueRefused(f"{str(value)[:40]!r} is not a double") from error
    return number if math.isfinite(number) or not inside else non_finite(number)


def _base64(text: str) -> str:
    """Base64 in its one standard form, as the protobuf path writes it; the URL alphabet is read too."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError as error:  # binascii.Error, and its like for letters beyond ASCII
        raise ValueRefused(f"{text[:40]!r} is not base64") from error
    return base64.b64encode(data).decode()


def read_resource(raw: bytes) -> Resource:
    """Decode one distinct resource; empty bytes are a resource without attributes."""
    try:
        attributes = (_RESOURCE.decode(raw).attributes if raw not in {b"", b"null"} else None) or ()
        return as_resource([(pair.key or "", plain(pair.value)) for pair in attributes])
    except _UNREADABLE as error:
        return refused_resource(f"its resource cannot be read: {in_words(error)}")


def events_text(raws: Iterable[bytes]) -> str:
    """A span's events as JSON text.

    Raises:
        ValueRefused: If one cannot be read.
    """
    try:
        events = [_EVENT.decode(raw) for raw in raws]
        times = [integer(e.timeUnixNano or 0, 0, UINT64_MAX) for e in events]
        rows = [event_row(t, e.name or "", _plain_pairs(e.attributes)) for t, e in zip(times, events, strict=True)]
    except _UNREADABLE as error:
        raise ValueRefused(in_words(error)) from error
    return json_text(rows)


def links_text(raws: Iterable[bytes]) -> str:
    """A span's links as JSON text.

    Raises:
        ValueRefused: If one cannot be read.
    """
    try:
        links = [_LINK.decode(raw) for raw in raws]
        rows = [
            link_row((x.traceId or "").lower(), (x.spanId or "").lower(), _plain_pairs(x.attributes)) for x in links
        ]
    except _UNREADABLE as error:
        raise ValueRefused(in_words(error)) from error
    return json_text(rows)
