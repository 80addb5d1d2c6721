"""Weaver's live-check samples (JSON, or lines of ``name = value``) -> findings, one sample after the other.

The intermediary format of ``weaver registry live-check``: an array of ``{"span": ...}``, ``{"metric": ...}``,
``{"log": ...}``, ``{"resource": ...}`` and ``{"attribute": ...}``. A resource holds for the signals after it.
For telemetry in bulk see ``bulk``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from weaver_forge.errors import SourceError
from weaver_forge.semconv.advice import attribute_findings
from weaver_forge.semconv.finding import Finding, Place
from weaver_forge.semconv.registry import Registry
from weaver_forge.semconv.signals import absent_attributes, entity_findings, event_findings, metric_findings

_KINDS = frozenset({"attribute", "span", "span_event", "span_link", "resource", "metric", "log"})


class Sampled(msgspec.Struct, frozen=True):
    """A sample and what was found in it; the attributes of a signal are part of its sample.

    Args:
        kind: span, metric, log, resource or attribute.
        name: Of the sample; empty where it has none.
        n_attributes: Attributes checked.
        n_resolved: Of these, defined in the registry.
    """

    kind: str
    name: str
    n_attributes: int
    n_resolved: int
    findings: tuple[Finding, ...]


def read_samples(name: str, data: bytes) -> list[tuple[str, Mapping[str, Any]]]:
    """Read a file of samples: kind and body of each.

    Args:
        name: Of the file, for messages; ``.txt`` holds lines of attributes.
        data: Its bytes.

    Raises:
        SourceError: If it holds no samples.
    """
    do = "Give OTLP, or an array of samples as `weaver registry live-check --input-format json` reads them"
    try:
        text = data.decode()
        if name.endswith(".txt"):
            return [("attribute", _line(line)) for line in text.splitlines() if line.strip()]
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not samples: {error}", where=name, do=do) from error
    entries = document if isinstance(document, list) else [document]
    samples = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or len(entry) != 1 or not _KINDS.issuperset(entry):
            raise SourceError(f"sample {number} is none of {', '.join(sorted(_KINDS))}", where=name, do=do)
        kind, body = next(iter(entry.items()))
        _validate(body, f"{name}, sample {number}")
        samples.append((kind, body))
    return samples


def check_samples(samples: Iterable[tuple[str, Mapping[str, Any]]], registry: Registry) -> Iterator[Sampled]:
    """Check samples in order."""
    resource: frozenset[str] | None = None
    for kind, body in samples:
        if kind == "resource":
            resource = frozenset(attribute["name"] for attribute in body.get("attributes") or ())
        yield _check(kind, body, registry, resource)


def infer_type(value: Any) -> str | None:
    """The attribute type of a JSON value; None where it has none (null, an object, an array of this and that)."""
    if isinstance(value, list):
        kinds = {_primitive(item) for item in value if item is not None}
        if kinds == {"int", "double"}:
            return "double[]"
        only = kinds.pop() if len(kinds) == 1 else None
        return f"{only}[]" if only else None
    return _primitive(value)


def _primitive(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "int", float: "double"}.get(type(value))


def _check(kind: str, body: Mapping[str, Any], registry: Registry, resource: frozenset[str] | None) -> Sampled:
    name = str(body.get("event_name" if kind == "log" else "name") or "")
    signal_type = {"span_event": "span", "span_link": "span", "attribute": ""}.get(kind, kind)
    place = Place(cast("Any", signal_type), "" if kind in {"attribute", "resource"} else name)
    groups = list(_attribute_groups(kind, body))
    findings: list[Finding] = []
    defined = {"metric": registry.metrics, "log": registry.events}.get(kind, {}).get(name)
    if kind == "metric":
        instrument, unit = str(body.get("instrument") or ""), str(body.get("unit") or "")
        findings += metric_findings(registry, name, instrument, unit, place)
        for point in groups if defined else ():
            findings += absent_attributes(registry, cast("Any", defined), (a["name"] for a in point), place)
    elif kind == "log":
        findings += event_findings(registry, name, (a["name"] for a in groups[0]), place)
    if defined is not None and resource is not None:
        findings += entity_findings(registry, defined, resource, place)
    attributes = [attribute for group in groups for attribute in group]
    for attribute in attributes:
        value = attribute.get("value")
        value_type = attribute.get("type") or infer_type(value)
        findings += attribute_findings(registry, attribute["name"], value_type, value, place)
    n_resolved = sum(registry.find(attribute["name"]) is not None for attribute in attributes)
    return Sampled(kind, name, len(attributes), n_resolved, tuple(findings))


def _attribute_groups(kind: str, body: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The sample's own attributes, then those of what it holds: data points, span events and links."""
    if kind == "attribute":
        yield [body]
        return
    if kind != "metric":
        yield body.get("attributes") or []
    for part in ("data_points", "span_events", "span_links"):
        for each in body.get(part) or ():
            yield each.get("attributes") or []


def _line(line: str) -> Mapping[str, Any]:
    key, equals, text = line.partition("=")
    if not equals:
        return {"name": key.strip()}
    try:
        value = json.loads(text)
    except ValueError:
        value = text.strip()
    return {"name": key.strip(), "value": value}


def _validate(body: Any, where: str) -> None:
    """Refuse a body in which something that is gone through is not what it must be."""
    do = "Mend the sample, or take it out"
    if not isinstance(body, dict):
        raise SourceError("the sample is not an object", where=where, do=do)
    holders = [body]
    for part in ("data_points", "span_events", "span_links"):
        parts = body.get(part) or []
        if not isinstance(parts, list) or not all(isinstance(each, dict) for each in parts):
            raise SourceError(f"{part} is not a list of objects", where=where, do=do)
        holders += parts
    for holder in holders:
        attributes = holder.get("attributes") or []
        if not isinstance(attributes, list) or not all(isinstance(each, dict) for each in attributes):
            raise SourceError("attributes is not a list of objects", where=where, do=do)
        for attribute in attributes:
            if not isinstance(attribute.get("name"), str) or not isinstance(attribute.get("type"), str | None):
                raise SourceError("an attribute has no name, or a type that is no text", where=where, do=do)
