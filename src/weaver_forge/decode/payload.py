"""Typed reads of the fields of one JSON object; a bad one says why its row is refused.

For decoders of answers and webhooks of code hosts. What the fields mean is their decoder's business.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from weaver_forge.decode.instants import parse_instant

Json = Mapping[str, Any]


class Refused(Exception):  # noqa: N818 - carries the reason of one rejected row
    """One object cannot be stored; the message says why."""


def number(item: Json, key: str) -> int | None:
    """A positive number that fits 31 bits; None when absent."""
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise Refused(f"{key} {value!r} is not a positive number")
    return value


def milliseconds(item: Json, key: str) -> float | None:
    """Seconds as milliseconds; None when absent."""
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Refused(f"{key} {value!r} is not a number of seconds")
    return value * 1000.0


def optional_text(item: Json, key: str) -> str | None:
    """A text; None when absent or empty."""
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise Refused(f"{key} {value!r} is not a text")
    return value or None


def text(item: Json, key: str) -> str:
    """A text that must be there."""
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"{key} is missing")
    return value


def identity(item: Json, key: str) -> str:
    """A number or text that names a thing, as text."""
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value):
        raise Refused(f"{key} is missing")
    return str(value)


def instant(item: Json, key: str) -> datetime:
    """An instant that must be there, naive UTC."""
    value = optional_instant(item, key)
    if value is None:
        raise Refused(f"{key} is missing")
    return value


def optional_instant(item: Json, key: str) -> datetime | None:
    """An instant, naive UTC; None when absent."""
    value = item.get(key)
    if not value:
        return None
    parsed = parse_instant(str(value))
    if parsed is None:
        raise Refused(f"{key} {value!r} is not an instant")
    return parsed


def part(item: Json, key: str) -> Json:
    """An object inside; an empty one when absent or something else."""
    value = item.get(key)
    return value if isinstance(value, dict) else {}
