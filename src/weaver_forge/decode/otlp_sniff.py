"""What a message is about (traces, metrics or logs) and how it is encoded, found by its structure.

The three export requests have the same outer shape, and a wrong parser often accepts the bytes: metrics parse as
spans with impossible ids. Their innermost records differ in the wire types of their fields, so the first record that
only one of them can be decides; lengths that look like ids are the last hint. Nothing is decoded here, and nothing
raises.
"""

import re
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any, Literal

import msgspec

Encoding = Literal["protobuf", "json"]
Signal = Literal["traces", "metrics", "logs"]

RESOURCE_TAG = 0x0A
"""Field 1, length-delimited: resource_spans, resource_metrics and resource_logs alike."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_RECORDS = 16
"""Records looked at before giving up; nearly always the first decides."""
_FIELDS = 64
"""Fields of a record that are looked at; what tells comes before the many attributes, or is one of them."""
_SIGNALS: dict[str, Signal] = {"Spans": "traces", "Metrics": "metrics", "Logs": "logs"}
_ORDER: tuple[Signal, ...] = ("traces", "metrics", "logs")
_FIRST_KEY = re.compile(rb'\s*\{\s*"resource(Spans|Metrics|Logs)"\s*:')
_FIRST_LIST = re.compile(_FIRST_KEY.pattern + rb"\s*\[\s*\{")

_KNOWN: dict[Signal, dict[int, frozenset[int]]] = {
    "traces": {
        _LENGTH: frozenset({1, 2, 3, 4, 5, 9, 11, 13, 15}),
        _VARINT: frozenset({6, 10, 12, 14}),
        _FIXED64: frozenset({7, 8}),
        _FIXED32: frozenset({16}),
    },
    "metrics": {_LENGTH: frozenset({1, 2, 3, 5, 7, 9, 10, 11, 12})},
    "logs": {
        _LENGTH: frozenset({3, 5, 6, 9, 10, 12}),
        _VARINT: frozenset({2, 7}),
        _FIXED64: frozenset({1, 11}),
        _FIXED32: frozenset({8}),
    },
}
"""Numbers of the fields of Span, Metric and LogRecord by their wire type (opentelemetry-proto 1.9)."""
_TELLING: dict[tuple[int, ...], Signal] = {
    (number, wire): signal
    for signal, known in _KNOWN.items()
    for wire, numbers in known.items()
    for number in numbers
    if not any(number in others.get(wire, ()) for other, others in _KNOWN.items() if other != signal)
}
"""Fields that only one of them has, by number and wire type."""
_POINTS = frozenset({5, 9, 10, 11})
"""A metric's data, where a span or a log record has something length-delimited too (7 is a metric's alone)."""


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
    """By a list that is not empty; else by one that is there at all, else by the key."""
    found = _FIRST_LIST.match(data)
    if found:
        return _SIGNALS[found[1].decode()]
    try:
        keys = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _FIRST_KEY.match(data)
        return _SIGNALS[found[1].decode()] if found else "traces"
    said = [(_weight(bytes(raw)), signal) for name, signal in _SIGNALS.items() if (raw := keys.get(f"resource{name}"))]
    return max(said, key=itemgetter(0))[1] if said else "traces"


def _weight(value: bytes) -> int:
    """What a key's value says: 2 for a list of something, 1 for an empty list, 0 for none."""
    if not value.startswith(b"["):
        return 0
    return 1 if value[1:-1].isspace() or len(value) == 2 else 2


def _protobuf_signal(data: bytes) -> Signal:
    hint: Signal | None = None
    for start, end in islice(_records(data), _RECORDS):
        signal, is_sure = _record_signal(data, start, end)
        if signal is not None and is_sure:
            return signal
        hint = hint or signal
    return hint or "traces"


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


def _record_signal(data: bytes, at: int, end: int) -> tuple[Signal | None, bool]:
    """The signal that a record's fields fit best, and whether that is more than a hint."""
    found: list[tuple[int, int, int, int]] = []
    only: Signal | None = None
    for one in islice(fields(data, at, end), _FIELDS):
        found.append(one)
        telling = _TELLING.get(one[:2])
        if telling is not None and telling == only:  # two agree: nothing more to look for in most records
            return only, True
        only = telling or only
    fitting = {
        signal: sum(number in known.get(wire, ()) for number, wire, _, _ in found) for signal, known in _KNOWN.items()
    }
    most = max(fitting.values())
    if most == 0:
        return None, False
    able = [signal for signal in _ORDER if fitting[signal] == most]
    if len(able) == 1:
        return able[0], True
    places = {number: (start, stop) for number, wire, start, stop in found if wire == _LENGTH}
    if "metrics" in able and any(_has_points(data, *places[number]) for number in _POINTS & places.keys()):
        return "metrics", True
    return _hint(able, {number: stop - start for number, (start, stop) in places.items()}), False


def _has_points(data: bytes, at: int, end: int) -> bool:
    """Whether a field holds a metric's data: its field 1 is a point, which has a time in field 2 or 3.

    In the same place a span has its name, attributes or events, a log record its body or ids: their field 1 is text
    or no message at all.
    """
    return any(
        wire == _FIXED64 and number in {2, 3}
        for point, stop in islice(_within(data, at, end, 1), 1)
        for number, wire, _, _ in islice(fields(data, point, stop), _FIELDS)
    )


def _hint(able: list[Signal], sizes: dict[int, int]) -> Signal:
    """What a record probably is that has nothing but texts: no time, no number."""
    if "logs" in able:
        return "logs"
    if "metrics" not in able:
        return able[0]
    looks_like_ids = sizes.get(1) == 16 and sizes.get(2, 8) == 8  # a span without times
    return "traces" if looks_like_ids else "metrics"
