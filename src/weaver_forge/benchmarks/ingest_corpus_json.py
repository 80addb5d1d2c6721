"""Pieces of OTLP JSON for the generated corpus, as the collector writes it: 64-bit integers are strings.

The functions are those of ``ingest_corpus_protobuf``, and both say the same of a span.
"""

import json
from collections.abc import Iterable
from typing import Any

from weaver_forge.benchmarks.ingest_corpus_words import ERROR_TYPE, EXCEPTION, FAILED, RETRY, SCOPE, Attribute, Value


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _any_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    return {"stringValue": value}


def _key_values(found: Iterable[Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in found]


def attribute(found: Attribute) -> bytes:
    """One attribute of a span, with the comma that divides it from the one before."""
    return b"," + _text(*_key_values([found]))


def head(name: str, kind: int) -> bytes:
    """A span's name and kind."""
    return b',"name":' + _text(name) + b',"kind":%d' % kind


def resource(found: Iterable[Attribute]) -> bytes:
    """A resource with these attributes."""
    return _text({"attributes": _key_values(found)})


def group(resource: bytes, spans: list[bytes]) -> bytes:
    """The spans of one resource."""
    return (
        b'{"resource":' + resource + b',"scopeSpans":[{"scope":' + _SCOPE + b',"spans":[' + b",".join(spans) + b"]}]}"
    )


def request(groups: Iterable[bytes]) -> bytes:
    """One export request."""
    return b'{"resourceSpans":[' + b",".join(groups) + b"]}"


_REQUEST_ID = attribute(("app.request.id", "0" * 32)).split(b"0" * 32)
_ERROR_TYPE = attribute(("error.type", ERROR_TYPE))
_SCOPE = _text({"name": SCOPE, "version": "1.4.0"})
_EXCEPTION = _text({"name": "exception", "attributes": _key_values(EXCEPTION)})[1:]
_RETRY = _text({"name": "retry", "attributes": _key_values(RETRY)})[1:]
_FAILED = b',"status":' + _text({"message": FAILED, "code": 2})
_UNSET = b',"status":{}'


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
    """One span; ``rare`` is 1 for an error, 2 for an event, 3 for a link."""
    trace_hex = trace.hex().encode()
    rest, status = b"", _UNSET
    attributes = [fixed[1:], *slots]
    if not parent:
        attributes += (_REQUEST_ID[0], trace_hex, _REQUEST_ID[1])
    if rare == 1:
        attributes.append(_ERROR_TYPE)
        rest, status = b',"events":[{"timeUnixNano":"%d",%b]' % (end, _EXCEPTION), _FAILED
    elif rare == 2:
        rest = b',"events":[{"timeUnixNano":"%d",%b]' % (start, _RETRY)
    elif rare == 3:
        link = (trace[::-1].hex().encode(), own[::-1].hex().encode())
        rest = b',"links":[{"traceId":"%b","spanId":"%b"}]' % link
    ids = b'{"traceId":"%b","spanId":"%b","parentSpanId":"%b"' % (trace_hex, own.hex().encode(), parent.hex().encode())
    times = b',"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[' % (start, end)
    return b"".join((ids, b',"flags":257', head, times, *attributes, b"]", rest, status, b"}"))
