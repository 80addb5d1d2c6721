"""The published JSON schema of ``policy.yaml``, made from the structs that read it.

Put here what a schema must say differently from the structs (money may be a number or a text, a former name of a key)
and nothing that a document means.
"""

import re
from typing import Any

import msgspec

from weaver_forge.policy.document import (
    ActionPolicy,
    BlastRadius,
    Costs,
    DecisionPolicy,
    Evidence,
    Freeze,
    Policy,
    RateLimit,
    Rules,
    Select,
    WithinReach,
)

_ARGUMENT = re.compile(r"^ {4,8}(?P<name>[a-z_]+): (?P<said>.+?)(?=^ {4,8}[a-z_]+: |\Z)", re.MULTILINE | re.DOTALL)
_STRUCTS: tuple[type[msgspec.Struct], ...] = (
    Policy, Costs, Rules, ActionPolicy, DecisionPolicy, Evidence, Freeze, RateLimit, BlastRadius, Select,
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The schema as data; ``docs/policy.schema.json`` is this, written down."""
    (reference,), definitions = msgspec.json.schema_components([Policy], ref_template="#/$defs/{name}")
    definitions = {name: _plain(value) for name, value in definitions.items()}
    for struct in _STRUCTS:
        definition = definitions.get(struct.__name__)
        if definition is not None:
            _say(definition, described(struct))
            definition["description"] = (struct.__doc__ or "").split("\n")[0]
    for name in ("Rules", "ActionPolicy", "DecisionPolicy"):
        properties = definitions[name]["properties"]
        properties["level"] = {**properties["ceiling"], "description": "Former name of ceiling.", "deprecated": True}
    # msgspec says the values of a mapping, not its keys.
    definitions["Policy"]["properties"]["scopes"]["propertyNames"] = {"enum": [str(name) for name in WithinReach]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weaver Forge policy",
        **reference,
        "$defs": definitions,
    }


def described(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Key as the document writes it -> what its struct's docstring says of it, inherited ones included."""
    said: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        _, _, arguments = (kind.__doc__ or "").partition("Args:\n")
        said |= {m["name"]: " ".join(m["said"].split()) for m in _ARGUMENT.finditer(arguments)}
    names = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    return {names[name]: text for name, text in said.items() if name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("format") == "decimal":
            return {"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?( [A-Z]{3})?$"}
        return {key: _plain(item) for key, item in value.items() if key not in {"title", "description"}}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _say(definition: dict[str, Any], said: dict[str, str]) -> None:
    for name, schema in definition.get("properties", {}).items():
        if name in said and "$ref" not in schema:
            schema["description"] = said[name]
