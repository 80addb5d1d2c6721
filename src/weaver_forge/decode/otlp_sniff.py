"""What a message is about (traces, metrics or logs) and how it is encoded, found by its structure.

The three export requests have the same outer shape, and a wrong parser often accepts the bytes: metrics parse as
spans with impossible ids. Their innermost records differ on the wire, so the first record that says something
decides. Nothing is decoded here, and nothing raises.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Encoding = Literal["protobuf", "json"]
Signal = Literal["traces", "metrics", "logs"]

RESOURCE_TAG = 0x0A
"""Field 1, length-delimited: resource_spans, resource_metrics and resource_logs alike."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_RECORDS = 16
"""Records looked at before giving up; nearly always the first decides."""
_SIGNALS: dict[str, Signal] = {"Spans": "traces", "Metrics": "metrics", "Logs": "logs"}
_FIRST_KEY = re.compile(rb'\s*\{\s*"resource(Spans|Metrics|Logs)"\s*:')


def signal_of(data: bytes, encoding: Encoding) -> Signal:
    """The signal of one message; traces where it has no record that could tell."""
    return _json_signal(data) if encoding == "json" else _protobuf_signal(data)


def varint(data: Any, at: int) -> tuple[int, int] | None:
    """Value and end of the varint at a place; None if there is none of at most ten bytes."""
    value = shift = 0
    for index in range(at, min(at + 10, len(data))):
        value |= (data[index] & 0x7F) << shift
        shift += 7
        if data[index] < 0x80:
            return value, index + 1
    return None


def fields(data: Any, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and end of each field; stops without a word at what is no field."""
    while at < end:
        tag = varint(data, at)
        if tag is None:
            return
        number, wire = tag[0] >> 3, tag[0] & 7
        start = tag[1]
        if wire == _LENGTH:
            size = varint(data, start)
            if size is None:
                return
            start, stop = size[1], size[1] + size[0]
        elif wire == _VARINT:
            skipped = varint(data, start)
            if skipped is None:
                return
            stop = skipped[1]
        elif wire in {_FIXED64, _FIXED32}:
            stop = start + (8 if wire == _FIXED64 else 4)
        else:
            return
        if stop > end or number == 0:
            return
        yield number, wire, start, stop
        at = stop


def _json_signal(data: bytes) -> Signal:
    found = _FIRST_KEY.match(data)
    if found:
        return _SIGNALS[found[1].decode()]
    try:
        keys = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "traces"
    return next((signal for name, signal in _SIGNALS.items() if f"resource{name}" in keys), "traces")


def _protobuf_signal(data: bytes) -> Signal:
    for looked_at, (start, end) in enumerate(_records(data)):
        signal = _record_signal(data, start, end)
        if signal is not None:
            return signal
        if looked_at >= _RECORDS:
            break
    return "traces"


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Places of the innermost records: field 2 of field 2 of field 1."""
    for start, end in _within(data, 0, len(data), 1):
        for inner_start, inner_end in _within(data, start, end, 2):
            yield from _within(data, inner_start, inner_end, 2)


def _within(data: bytes, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Places of the length-delimited fields of one number."""
    for number, wire, start, stop in fields(data, at, end):
        if number == wanted and wire == _LENGTH:
            yield start, stop


def _record_signal(data: bytes, at: int, end: int) -> Signal | None:
    """Spans have a time in field 7 or 8, log records in 1 or 11; metrics have a name and no time at all."""
    sizes: dict[int, int] = {}
    for number, wire, start, stop in fields(data, at, end):
        if wire == _FIXED64 and number in {7, 8}:
            return "traces"
        if (wire, number) in {(_FIXED64, 1), (_FIXED64, 11), (_VARINT, 2), (_FIXED32, 8)}:
            return "logs"
        if wire == _LENGTH:
            sizes[number] = stop - start
            if number == 7:  # a sum: the only signal whose field 7 is a message
                return "metrics"
    if not sizes:
        return None
    if 1 not in sizes:
        return "traces" if 4 in sizes else "logs"
    looks_like_ids = sizes[1] == 16 and sizes.get(2, 8) == 8  # a span without times
    return "traces" if looks_like_ids else "metrics"
