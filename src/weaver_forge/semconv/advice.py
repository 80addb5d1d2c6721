"""One attribute against the registry: is it defined, current, stable, of the right type, one of its enum's values,
and named by the rules? The same rules as Weaver's attribute advisors and its default policies for names.
"""

import re
from collections.abc import Iterator
from typing import Any

from weaver_forge.semconv.finding import Finding, Place
from weaver_forge.semconv.registry import Attribute, Registry, prefixes

NAME = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
"""How attributes and metrics are named."""

_WIDER = {"int": "double", "int[]": "double[]"}
"""A whole number is a double too: JSON and text do not tell 5 from 5.0."""


def attribute_findings(
    registry: Registry, key: str, kind: str | None, value: Any, place: Place, *, exact_names: bool = True
) -> list[Finding]:
    """Everything there is to say about one attribute.

    Args:
        registry: What is defined.
        key: As telemetry names it.
        kind: Type of its value (``string``, ``int[]``, ...); None where it is not known, then types go unchecked.
        value: Its value; None where it is not known.
        place: The signal it stands in.
        exact_names: As Weaver does, apply the naming rule to the whole key even where a template defines it
            (``http.request.header.content-type`` breaks it, though the conventions ask for just that name).
    """
    found = registry.find(key)
    return [
        *(_defined(found, key, place)),
        *(_current(found, key, place) if found else ()),
        *(_typed(found, key, kind, place) if found and kind else ()),
        *(_in_enum(found, key, kind, value, place) if found and kind else ()),
        *_named(registry, key, place, is_free=bool(found and found.is_template and not exact_names)),
    ]


def _defined(found: Attribute | None, key: str, place: Place) -> Iterator[Finding]:
    if found is None:
        message = f"Attribute '{key}' does not exist in the registry."
        yield place.finding("missing_attribute", message, attribute_key=key)
    elif found.is_template:
        message = f"Attribute '{key}' is defined by the template '{found.name}'."
        yield place.finding("template_attribute", message, attribute_key=key, template_name=found.name)


def _current(found: Attribute, key: str, place: Place) -> Iterator[Finding]:
    if found.deprecated:
        reason, note = found.deprecated.reason, found.deprecated.says
        yield place.finding(
            "deprecated",
            f"Attribute '{key}' is deprecated ({reason}): {note}",
            attribute_key=key,
            deprecation_reason=reason,
            deprecation_note=note,
        )
    if found.stability and found.stability != "stable":
        message = f"Attribute '{key}' is not stable; stability = {found.stability}."
        yield place.finding("not_stable", message, attribute_key=key, stability=found.stability)


def compatible(kind: str, expected: str) -> bool:
    """Whether a value of type ``kind`` may stand where ``expected`` is defined."""
    return expected in {kind, _WIDER.get(kind), "any"} or (expected == "any[]" and kind.endswith("[]"))


def _typed(found: Attribute, key: str, kind: str, place: Place) -> Iterator[Finding]:
    expected = found.value_type
    if expected == "enum":
        if kind not in {"string", "int"}:
            message = f"Enum attribute '{key}' has type '{kind}'; an enum's value is 'string' or 'int'."
            yield place.finding("type_mismatch", message, attribute_key=key, attribute_type=kind)
    elif not compatible(kind, expected):
        message = f"Attribute '{key}' has type '{kind}'; its type should be '{expected}'."
        yield place.finding("type_mismatch", message, attribute_key=key, attribute_type=kind, expected=expected)


def _in_enum(found: Attribute, key: str, kind: str, value: Any, place: Place) -> Iterator[Finding]:
    if found.type != "enum" or value is None or kind not in {"string", "int"}:
        return
    if not any(member.value == value and isinstance(value, type(member.value)) for member in found.members):
        message = f"Enum attribute '{key}' has the value '{value}', which is not defined."
        yield place.finding("undefined_enum_variant", message, attribute_key=key, attribute_value=value)


def _named(registry: Registry, key: str, place: Place, *, is_free: bool) -> Iterator[Finding]:
    if "." not in key:
        yield place.finding("missing_namespace", f"Attribute '{key}' has no namespace.", attribute_key=key)
    if not is_free and not NAME.fullmatch(key):
        message = f"Attribute '{key}' is not named by the rules: lower case words joined by '.' or '_'."
        yield place.finding("invalid_format", message, attribute_key=key)
    around = prefixes(key)
    for namespace in around:
        taken = registry.attributes.get(namespace)
        if taken is not None and not taken.is_template and not taken.deprecated:
            message = f"Namespace '{namespace}' of '{key}' is an existing attribute."
            yield place.finding("illegal_namespace", message, attribute_key=key, namespace=namespace)
    if registry.find(key) is None:
        extended = [namespace for namespace in around if namespace in registry.namespaces]
        if extended:
            message = f"Attribute '{key}' extends the existing namespace '{extended[-1]}'."
            yield place.finding("extends_namespace", message, attribute_key=key, namespace=extended[-1])
