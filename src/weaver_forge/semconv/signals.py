"""Metrics, events and entities against the registry: defined, current, right unit and instrument, all attributes.

A span's name says nothing of which definition it follows, so a span is checked by its attributes alone here, as
Weaver does without matchers; ``spans`` classifies spans and checks what their class requires.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from weaver_forge.semconv.advice import NAME
from weaver_forge.semconv.finding import Finding, Place
from weaver_forge.semconv.registry import Reference, Registry, Signal

_WORDS = {
    "required": "Required",
    "recommended": "Recommended",
    "opt_in": "Opt-in",
    "conditionally_required": "Conditionally required",
}


def metric_findings(registry: Registry, name: str, instrument: str, unit: str, place: Place) -> Iterator[Finding]:
    """Name, currency, instrument and unit of a metric; its data points' attributes are :func:`absent_attributes`.

    Args:
        registry: What is defined.
        name: The metric's name.
        instrument: counter, updowncounter, gauge or histogram; any other is reported as unexpected; empty where it
            is not known.
        unit: UCUM unit.
        place: The metric.
    """
    if not NAME.fullmatch(name):
        message = f"Metric '{name}' is not named by the rules: lower case words joined by '.' or '_'."
        yield place.finding("invalid_format", message, metric_name=name)
    defined = registry.metrics.get(name)
    if defined is None:
        yield place.finding("missing_metric", f"Metric '{name}' does not exist in the registry.", metric_name=name)
        return
    yield from _current(defined, "Metric", place, metric_name=name)
    if instrument and defined.kind and instrument != defined.kind:
        message = f"Instrument of metric '{name}' should be '{defined.kind}', but is '{instrument}'."
        yield place.finding("unexpected_instrument", message, instrument=instrument, expected=defined.kind)
    if defined.unit and unit != defined.unit:
        message = f"Unit of metric '{name}' should be '{defined.unit}', but is '{unit}'."
        yield place.finding("unit_mismatch", message, unit=unit, expected=defined.unit)


def event_findings(registry: Registry, name: str, keys: Iterable[str], place: Place) -> Iterator[Finding]:
    """Name, currency and missing attributes of an event; a log record without a name is no event."""
    if not name:
        return
    defined = registry.events.get(name)
    if defined is None:
        yield place.finding("missing_event", f"Event '{name}' does not exist in the registry.", event_name=name)
        return
    yield from _current(defined, "Event", place, event_name=name)
    yield from absent_attributes(registry, defined, keys, place)


def absent_attributes(registry: Registry, defined: Signal, keys: Iterable[str], place: Place) -> Iterator[Finding]:
    """Attributes of a signal's definition that the sample does not have."""
    present = frozenset(keys)
    for reference in defined.attributes:
        if not _has(registry, present, reference.name):
            of = f" of '{place.signal_name}'" if place.signal_name else ""
            message = f"{_WORDS[reference.level]} attribute '{reference.name}'{of} is not present."
            identity = f"{reference.level}_attribute_not_present"
            yield place.finding(identity, message, attribute_key=reference.name)


def entity_findings(
    registry: Registry, defined: Signal, resource: Mapping[str, Any] | Iterable[str], place: Place
) -> list[Finding]:
    """What a signal's entity associations miss in its resource; several on the top level are alternatives."""
    present = frozenset(resource)
    if not defined.associations:
        return []
    if len(defined.associations) == 1:
        return _association(registry, defined.associations[0], present, place)[1]
    return _association(registry, {"one_of": list(defined.associations)}, present, place)[1]


def _association(registry: Registry, wanted: Any, present: frozenset[str], place: Place) -> tuple[bool, list[Finding]]:
    """Whether the resource has what is wanted, and what is to be said about it."""
    if isinstance(wanted, str):
        entity = registry.entities.get(wanted)
        if entity is None:  # of a registry that is not here: nothing can be said
            return True, []
        missing = [r for r in entity.attributes if r.name not in present]
        findings = [_missing_of_entity(reference, wanted, place) for reference in missing]
        return all(reference.level != "required" for reference in missing), findings
    inner = [_association(registry, each, present, place) for group in wanted.values() for each in group]
    if "all_of" in wanted:
        return all(ok for ok, _ in inner), [finding for _, said in inner for finding in said]
    if any(ok for ok, _ in inner):
        return True, [finding for ok, said in inner if ok for finding in said]
    names = list(dict.fromkeys(_entities(wanted)))
    message = f"The resource has none of the associated entities: {', '.join(names)}."
    return False, [place.finding("entity_association_not_satisfied", message, entity_type=names)]


def _entities(wanted: Any) -> Iterator[str]:
    if isinstance(wanted, str):
        yield wanted
    else:
        for group in wanted.values():
            for each in group:
                yield from _entities(each)


def _missing_of_entity(reference: Reference, entity: str, place: Place) -> Finding:
    word = _WORDS[reference.level]
    message = f"{word} attribute '{reference.name}' of the entity '{entity}' is not present in the resource."
    identity = f"entity_{reference.level}_attribute_not_present"
    return place.finding(identity, message, attribute_key=reference.name, entity_type=entity)


def _current(defined: Signal, what: str, place: Place, **context: str) -> Iterator[Finding]:
    name = defined.name
    if defined.deprecated:
        reason, note = defined.deprecated.reason, defined.deprecated.says
        message = f"{what} '{name}' is deprecated ({reason}): {note}"
        yield place.finding("deprecated", message, **context, deprecation_reason=reason, deprecation_note=note)
    if defined.stability and defined.stability != "stable":
        message = f"{what} '{name}' is not stable; stability = {defined.stability}."
        yield place.finding("not_stable", message, **context, stability=defined.stability)


def _has(registry: Registry, present: frozenset[str], name: str) -> bool:
    attribute = registry.attributes.get(name)
    if attribute is not None and attribute.is_template:
        return any(key == name or key.startswith(name + ".") for key in present)
    return name in present
