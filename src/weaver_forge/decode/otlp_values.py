"""Attribute values of OTLP as text and as JSON, the same whether they came as protobuf or as JSON.

Put here what one attribute, resource, event or link means. Rows and columns are in ``otlp_columns``.
A value that stands alone becomes text: strings as they are, booleans ``true``/``false``, integers in decimal,
doubles in Python's shortest form (``266.0``), bytes in base64, arrays and lists as JSON text; an empty value
is null. Inside JSON text, numbers and booleans stay what they are; what JSON cannot say (NaN) is a string.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import polars as pl

MAX_DEPTH = 100
"""Nesting of arrays and lists that is still read; protobuf's own parsers stop there too."""

INT32_MAX = 2**31 - 1

PROMOTED_RESOURCE: dict[str, str] = {
    "service.namespace": "service_namespace",
    "service.name": "service_name",
    "service.version": "service_version",
    "deployment.environment.name": "deployment_environment_name",
}
"""Resource attribute -> column."""

OLD_ENVIRONMENT = "deployment.environment"
"""The name before semantic conventions 1.27; used where the new one is absent."""

RESOURCE_DEFAULTS: dict[str, str | None] = {
    "service_namespace": "",
    "service_name": "unknown_service",
    "service_version": None,
    "deployment_environment_name": "",
}


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
"""Made once: ``json.dumps`` makes one a call."""


class ValueRefused(ValueError):  # noqa: N818 - named by what happened to the value
    """An attribute that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What a distinct resource says: the promoted columns, and all the rest as key and text."""

    columns: dict[str, str | None]
    rest: list[tuple[str, str | None]]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Distinct attributes in order of first sight; the position is the attribute's code.

    Args:
        keys: Text.
        texts: Text; null for an empty value.
        reasons: Code -> why it cannot be read; key and text then mean nothing.
    """

    keys: pl.Series
    texts: pl.Series
    reasons: dict[int, str]


def as_text(value: Any) -> str | None:
    """The text of one attribute value given as plain data; None for an empty value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else non_finite(value)
    return json_text(value)


def json_text(value: Any) -> str:
    """Compact JSON text, keys in the order given; NaN and infinities must be strings already."""
    return _JSON.encode(value)


def non_finite(value: float) -> str:
    """NaN, Infinity or -Infinity, as OTLP JSON writes them."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def as_resource(attributes: list[tuple[str, Any]]) -> Resource:
    """Split a resource's attributes into promoted columns and the rest; a repeated key: the first counts."""
    texts: dict[str, str | None] = {}
    for key, value in attributes:
        texts.setdefault(key, as_text(value))
    columns = dict(RESOURCE_DEFAULTS)
    for key, column in PROMOTED_RESOURCE.items():
        value = texts.get(key)
        if value:
            columns[column] = value
            del texts[key]
    if not columns["deployment_environment_name"] and texts.get(OLD_ENVIRONMENT):
        columns["deployment_environment_name"] = texts[OLD_ENVIRONMENT]
    return Resource(columns, list(texts.items()))


def refused_resource(reason: str) -> Resource:
    """A resource that cannot be read: its spans are refused, because whose they are is not known."""
    return Resource(dict(RESOURCE_DEFAULTS), [], reason)


def event_row(time_unix_ns: int, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """One span event as it stands in the events column."""
    return {"time_unix_ns": time_unix_ns, "name": name, "attributes": attributes}


def link_row(trace_id: str, span_id: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """One span link as it stands in the links column; ids in lower-case hex."""
    return {"trace_id": trace_id, "span_id": span_id, "attributes": attributes}
