"""What a convention registry says, as one value: attributes, metrics, spans, events, entities and renames.

Put here the value and the questions asked of it. Making one from YAML is in ``reader`` and ``groups``; the table
that the product carries is made by ``compile`` and read by :func:`shipped`.
"""

import hashlib
from collections.abc import Iterable
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

Level = Literal["required", "conditionally_required", "recommended", "opt_in"]
"""How much a signal wants an attribute."""

SHIPPED = "registry.json"
"""The generated table beside this module."""


class Deprecation(msgspec.Struct, frozen=True, array_like=True):
    """Why a name is not to be used any more.

    Args:
        reason: ``renamed``, ``obsoleted`` or ``uncategorized``.
        renamed_to: The name to use instead; empty unless renamed.
        note: The registry's own words; the shipped table has none.
    """

    reason: str
    renamed_to: str = ""
    note: str = ""

    @property
    def says(self) -> str:
        """What to do instead, in words."""
        return f"Replaced by `{self.renamed_to}`." if self.renamed_to else self.note or "No single name replaces it."


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One defined value of an enum; ``renamed_to`` is the value to use instead of a deprecated one."""

    value: str | int | float | bool
    renamed_to: str = ""


class Attribute(msgspec.Struct, frozen=True, array_like=True):
    """One attribute.

    Args:
        name: Its key; of a template attribute the part before ``.<key>``.
        type: ``string``, ``int``, ``double``, ``boolean``, ``any``, each also with ``[]``, ``enum``, or
            ``template[...]`` of one of these.
        stability: ``stable``, ``release_candidate``, ``development``, ...; empty where not said.
        members: Defined values, of an enum only.
    """

    name: str
    type: str
    stability: str = ""
    members: tuple[Member, ...] = ()
    deprecated: Deprecation | None = None

    @property
    def is_template(self) -> bool:
        """Whether the name is a prefix of the attributes it defines."""
        return self.type.startswith("template[")

    @property
    def value_type(self) -> str:
        """The type of a value; of a template attribute, of each attribute it defines."""
        return self.type.removeprefix("template[").removesuffix("]") if self.is_template else self.type


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """An attribute as a signal or entity uses it."""

    name: str
    level: Level = "recommended"


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """A span, metric, event or entity.

    Args:
        name: Span id, metric name, event name or entity type.
        kind: Span kind of a span, instrument of a metric; empty otherwise.
        unit: Of a metric.
        attributes: With those of the groups it extends.
        associations: Entity types, or ``{"one_of": [...]}`` and ``{"all_of": [...]}`` of these, nested.
    """

    name: str
    kind: str = ""
    unit: str = ""
    stability: str = ""
    deprecated: Deprecation | None = None
    attributes: tuple[Reference, ...] = ()
    associations: tuple[Any, ...] = ()


class Renames(msgspec.Struct, frozen=True):
    """Rename blocks of a schema file, oldest name to newest, steps in between left out.

    Args:
        attributes: For every signal.
        metrics: Metric names.
        in_metrics: Old attribute name -> new name -> the metrics (under any of their names) that it holds for.
    """

    attributes: dict[str, str] = {}
    metrics: dict[str, str] = {}
    in_metrics: dict[str, dict[str, tuple[str, ...]]] = {}


class Registry(msgspec.Struct, frozen=True, dict=True):
    """Every definition of one registry, or of several put over one another, by name."""

    attributes: dict[str, Attribute] = {}
    metrics: dict[str, Signal] = {}
    spans: dict[str, Signal] = {}
    events: dict[str, Signal] = {}
    entities: dict[str, Signal] = {}
    renames: Renames = Renames()

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """Names of template attributes, the longest first."""
        names = (name for name, attribute in self.attributes.items() if attribute.is_template)
        return tuple(sorted(names, key=lambda name: (-len(name), name)))

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Every dotted prefix of an attribute's name; templates are no namespaces of their own."""
        names = (name for name, attribute in self.attributes.items() if not attribute.is_template)
        return frozenset(prefix for name in names for prefix in prefixes(name))

    def find(self, key: str) -> Attribute | None:
        """The definition of an attribute as telemetry names it, through a template where there is one."""
        found = self.attributes.get(key)
        if found is not None:
            return found
        owner = next((name for name in self.templates if key.startswith(name + ".")), None)
        return self.attributes[owner] if owner else None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything it says: findings are of the registry that they were made by."""
        return hashlib.blake2b(msgspec.json.encode(self, order="sorted"), digest_size=16).hexdigest()

    def over(self, base: "Registry") -> "Registry":
        """This registry on top of another one: where both define a name, this one's definition holds."""
        mine = self.renames
        return Registry(
            attributes={**base.attributes, **self.attributes},
            metrics={**base.metrics, **self.metrics},
            spans={**base.spans, **self.spans},
            events={**base.events, **self.events},
            entities={**base.entities, **self.entities},
            renames=Renames(
                {**base.renames.attributes, **mine.attributes},
                {**base.renames.metrics, **mine.metrics},
                {**base.renames.in_metrics, **mine.in_metrics},
            ),
        )


def prefixes(name: str) -> list[str]:
    """The namespaces of a dotted name, the outermost first: ``a.b.c`` is in ``a`` and ``a.b``."""
    parts = name.split(".")
    return [".".join(parts[:size]) for size in range(1, len(parts))]


def layered(registries: Iterable[Registry]) -> Registry:
    """Registries put over the shipped one, the last on top."""
    result = shipped()
    for registry in registries:
        result = registry.over(result)
    return result


class Document(msgspec.Struct, frozen=True):
    """The shipped table as it lies on disk: definitions as sorted lists, and where the facts are from."""

    origin: str
    version: str
    attributes: tuple[Attribute, ...]
    metrics: tuple[Signal, ...]
    spans: tuple[Signal, ...]
    events: tuple[Signal, ...]
    entities: tuple[Signal, ...]
    renames: Renames

    def registry(self) -> Registry:
        """The value that is asked."""
        return Registry(
            attributes={each.name: each for each in self.attributes},
            metrics={each.name: each for each in self.metrics},
            spans={each.name: each for each in self.spans},
            events={each.name: each for each in self.events},
            entities={each.name: each for each in self.entities},
            renames=self.renames,
        )


@lru_cache(maxsize=1)
def shipped() -> Registry:
    """OpenTelemetry's registry as the product carries it; read once, in a few milliseconds."""
    return msgspec.json.decode(files(__package__).joinpath(SHIPPED).read_bytes(), type=Document).registry()
