"""Registry YAML in both formats (``groups:`` and ``file_format: definition/2``) -> one :class:`Registry`.

Put here what a file may look like, and what is wrong with one that does not. Putting groups together after all
files are read is in ``groups``. Pure: files come as (name, text).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from weaver_forge.errors import ConfigurationError
from weaver_forge.semconv.groups import Collected, Group, resolve
from weaver_forge.semconv.registry import Attribute, Deprecation, Member, Registry

_LINE = "\0line"
_PRIMITIVES = ("string", "int", "double", "boolean", "any")
_TYPES = frozenset(
    form
    for name in _PRIMITIVES
    for one in (name, f"{name}[]")
    for form in (one, f"template[{one}]")
)  # fmt: skip
_LEVELS = ("required", "conditionally_required", "recommended", "opt_in")
_V1_KINDS = frozenset({"attribute_group", "span", "metric", "event", "entity"})
_V2_SECTIONS = {
    "attribute_groups": ("attribute_group", "id"),
    "spans": ("span", "type"),
    "metrics": ("metric", "name"),
    "events": ("event", "name"),
    "entities": ("entity", "type"),
}
_BESIDE = frozenset({"dependencies", "schema_url", "schema_base_url", "description", "name", "id"})
"""Keys by which a file without definitions is known as a manifest."""


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # libyaml's loader where there is one, four times as fast
    """Safe loading that leaves in every mapping the line it starts at."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        mapping[_LINE] = node.start_mark.line + 1
        return mapping


@dataclass(frozen=True, slots=True)
class _At:
    """A mapping of a file, for reading its keys and for saying what is wrong with one."""

    file: str
    data: Mapping[Any, Any]

    def wrong(self, what: str, do: str) -> ConfigurationError:
        """The error that names this place."""
        return ConfigurationError(what, where=f"{self.file}, line {self.data.get(_LINE, 1)}", do=do)

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self.data.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            missing = "is missing" if value is None else f"is {value!r}, not a text"
            raise self.wrong(f"{key!r} {missing}", f"Write `{key}:` with a text")
        return value

    def items(self, key: str) -> list["_At"]:
        """A list of mappings; absent is empty."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(f"{key!r} is not a list of mappings", f"Begin each entry below `{key}:` with a dash")
        return [_At(self.file, item) for item in value]


def read(documents: Iterable[tuple[str, str]]) -> Registry:
    """Read the files of one registry; the two formats may stand side by side, as in OpenTelemetry's own.

    Args:
        documents: Name (for messages) and text of each YAML file; manifests are known and passed over.

    Raises:
        ConfigurationError: If a file is not YAML or not a registry file; with file, line and what to do.
    """
    collected = Collected()
    for name, text in documents:
        _read_file(_parsed(name, text), collected)
    return resolve(collected)


def _parsed(name: str, text: str) -> _At:
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        raise ConfigurationError(f"not valid YAML: {problem}", where=where, do="Mend the line it names") from error
    except (ValueError, RecursionError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigurationError(
            f"YAML that cannot be read: {error}", where=name, do="Quote dates and numbers"
        ) from error
    if not isinstance(document, dict):
        raise ConfigurationError(
            "the file holds no mapping", where=name, do="Begin it with `groups:` or `file_format: definition/2`"
        )
    return _At(name, document)


def _read_file(at: _At, into: Collected) -> None:
    form = at.data.get("file_format")
    if form == "definition/2":
        _read_v2(at, into)
    elif form is not None:
        raise at.wrong(f"file_format {form!r} is not known", "Known: definition/2, or none above `groups:`")
    elif "groups" in at.data:
        for group in at.items("groups"):
            _read_group(group, into)
    elif not _BESIDE & set(at.data):
        raise at.wrong("the file defines nothing", "Begin it with `groups:` or `file_format: definition/2`")


def _read_group(at: _At, into: Collected) -> None:
    """One entry of ``groups:``; without a type it is an attribute group, as it always was."""
    kind = at.text("type", "attribute_group")
    if kind not in _V1_KINDS:
        raise at.wrong(f"the group type {kind!r} is not known", f"Known: {', '.join(sorted(_V1_KINDS))}")
    identity = at.text("id")
    names = {"metric": "metric_name", "event": "name", "entity": "name"}
    prefix = at.text("prefix", "")
    into.groups.append(
        Group(
            kind=kind,
            id=identity,
            name=at.text(names[kind], "") if kind in names else identity.removeprefix("span."),
            signal_kind=at.text("instrument" if kind == "metric" else "span_kind", ""),
            unit=at.text("unit", ""),
            stability=at.text("stability", ""),
            deprecated=_deprecation(at),
            extends=(at.text("extends"),) if "extends" in at.data else (),
            attributes=tuple(_references(at, "attributes", into, prefix)),
            associations=tuple(at.data.get("entity_associations") or ()),
            where=f"{at.file}, line {at.data[_LINE]}",
        )
    )


def _read_v2(at: _At, into: Collected) -> None:
    for attribute in at.items("attributes"):
        into.define(_attribute(attribute, attribute.text("key")), _where(attribute))
    for section, (kind, named) in _V2_SECTIONS.items():
        for entry in at.items(section):
            name = entry.text(named)
            parts = ("identity", "description") if kind == "entity" else ("attributes",)
            references = [reference for part in parts for reference in _references(entry, part, into)]
            into.groups.append(
                Group(
                    kind=kind,
                    id=name if kind == "attribute_group" else f"{kind}.{name}",
                    name=name,
                    signal_kind=entry.text("instrument" if kind == "metric" else "kind", ""),
                    unit=entry.text("unit", ""),
                    stability=entry.text("stability", ""),
                    deprecated=_deprecation(entry),
                    extends=tuple(
                        each.text("ref_group") for each in entry.items("attributes") if "ref_group" in each.data
                    ),
                    attributes=tuple(references),
                    associations=tuple(entry.data.get("entity_associations") or ()),
                    where=_where(entry),
                )
            )


def _references(at: _At, key: str, into: Collected, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Attribute names with the requirement level, where one is said; an attribute defined in place is taken in."""
    for entry in at.items(key):
        if "ref_group" in entry.data:
            continue
        if "id" in entry.data:
            name = f"{prefix}.{entry.text('id')}" if prefix else entry.text("id")
            into.define(_attribute(entry, name), _where(entry))
        else:
            name = entry.text("ref")
        yield name, _level(entry, "required" if key == "identity" else None)


def _level(at: _At, default: str | None) -> str | None:
    value = at.data.get("requirement_level")
    if value is None:
        return default
    word = next((key for key in value if key != _LINE), None) if isinstance(value, dict) else value
    if word not in _LEVELS:
        raise at.wrong(f"the requirement level {word!r} is not known", f"Known: {', '.join(_LEVELS)}")
    return str(word)


def _attribute(at: _At, name: str) -> Attribute:
    kind = at.data.get("type")
    stability, deprecated = at.text("stability", ""), _deprecation(at)
    if isinstance(kind, dict):
        entries = _At(at.file, kind).items("members")
        if not entries:
            raise at.wrong(f"the enum {name!r} has no members", "List them below `members:`")
        return Attribute(name, "enum", stability, tuple(_member(entry) for entry in entries), deprecated)
    if kind not in _TYPES:
        raise at.wrong(
            f"the type {kind!r} of {name!r} is not known", f"Known: {', '.join(_PRIMITIVES)}, [] and template[]"
        )
    return Attribute(name, str(kind), stability, (), deprecated)


def _member(at: _At) -> Member:
    value = at.data.get("value", at.data.get("id"))
    if not isinstance(value, str | int | float | bool):
        raise at.wrong(f"the member's value {value!r} is neither text nor number", "Write `value:` with one")
    deprecated = _deprecation(at)
    renamed = deprecated.renamed_to if deprecated else ""
    return Member(value, "" if renamed == value else renamed)


def _deprecation(at: _At) -> Deprecation | None:
    value = at.data.get("deprecated")
    if value is None:
        return None
    if isinstance(value, str):  # the form before reasons were structured
        return Deprecation("uncategorized", "", value)
    if not isinstance(value, dict):
        raise at.wrong(f"'deprecated' is {value!r}", "Write `reason:` and, if renamed, `renamed_to:` below it")
    inner = _At(at.file, value)
    reason = inner.text("reason")
    renamed_to = inner.text("renamed_to") if reason == "renamed" else ""
    return Deprecation(reason, renamed_to, " ".join(inner.text("note", "").split()))


def _where(at: _At) -> str:
    return f"{at.file}, line {at.data[_LINE]}"
