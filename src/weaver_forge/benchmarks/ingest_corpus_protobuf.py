"""Pieces of OTLP protobuf for the generated corpus: joined by hand, never built as objects.

The functions are those of ``ingest_corpus_json``, and both say the same of a span.
"""

import struct
from collections.abc import Iterable

from weaver_forge.benchmarks.ingest_corpus_words import ERROR_TYPE, EXCEPTION, FAILED, RETRY, SCOPE, Attribute, Value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


_SIZES = [_varint(n) for n in range(16_384)]


def _field(number: int, data: bytes) -> bytes:
    size = len(data)
    return _varint(number << 3 | 2) + (_SIZES[size] if size < len(_SIZES) else _varint(size)) + data


def _any_value(value: Value) -> bytes:
    if isinstance(value, bool):
        return bytes((0x10, value))
    if isinstance(value, int):
        return b"\x18" + _varint(value)
    if isinstance(value, float):
        return b"\x21" + struct.pack("<d", value)
    if isinstance(value, tuple):
        return _field(5, b"".join(_field(1, _any_value(item)) for item in value))
    return _field(1, value.encode())


def _key_value(found: Attribute) -> bytes:
    return _field(1, found[0].encode()) + _field(2, _any_value(found[1]))


def _event(name: str, attributes: Iterable[Attribute]) -> bytes:
    return _field(2, name.encode()) + b"".join(_field(3, _key_value(found)) for found in attributes)


def attribute(found: Attribute) -> bytes:
    """One attribute of a span."""
    return _field(9, _key_value(found))


def head(name: str, kind: int) -> bytes:
    """A span's name and kind."""
    return _field(5, name.encode()) + bytes((0x30, kind))


def resource(found: Iterable[Attribute]) -> bytes:
    """A resource with these attributes."""
    return _field(1, b"".join(_field(1, _key_value(pair)) for pair in found))


def group(resource: bytes, spans: list[bytes]) -> bytes:
    """The spans of one resource."""
    return _field(1, resource + _field(2, _SCOPE + b"".join(spans)))


def request(groups: Iterable[bytes]) -> bytes:
    """One export request."""
    return b"".join(groups)


_REQUEST_ID = attribute(("app.request.id", "0" * 32))[:-32]
_ERROR_TYPE = attribute(("error.type", ERROR_TYPE))
_STATUS = _field(15, _field(2, FAILED.encode()) + b"\x18\x02")
_EXCEPTION = _event("exception", EXCEPTION)
_RETRY = _event("retry", RETRY)
_SCOPE = _field(1, _field(1, SCOPE.encode()) + _field(2, b"1.4.0"))
_FLAGS = b"\x85\x01\x01\x01\x00\x00"


def span(
    head: bytes,
    fixed: bytes,
    slots: list[bytes],
    trace: bytes,
    own: bytes,
    parent: bytes,
    start: int,
    end: int,
    rare: int,
) -> bytes:
    """One span with its tag; ``rare`` is 1 for an error, 2 for an event, 3 for a link."""
    parts = [
        b"\x0a\x10", trace, b"\x12\x08", own, b"\x22\x08" if parent else b"", parent, head,
        struct.pack("<BQBQ", 0x39, start, 0x41, end), fixed, *slots,
    ]  # fmt: skip
    if not parent:
        parts += (_REQUEST_ID, trace.hex().encode())
    if rare == 1:
        parts += (_ERROR_TYPE, _field(11, b"\x09" + struct.pack("<Q", end) + _EXCEPTION), _STATUS)
    elif rare == 2:
        parts.append(_field(11, b"\x09" + struct.pack("<Q", start) + _RETRY))
    elif rare == 3:
        parts.append(_field(13, b"\x0a\x10" + trace[::-1] + b"\x12\x08" + own[::-1]))
    parts.append(_FLAGS)
    return _field(2, b"".join(parts))
