"""Definitions as files say them -> a registry: groups extended, requirement levels inherited, names unique."""

from dataclasses import dataclass, field
from typing import Any, cast

from weaver_forge.errors import ConfigurationError
from weaver_forge.semconv.registry import Attribute, Deprecation, Level, Reference, Registry, Signal

_LINE = "\0line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group, span, metric, event or entity as its file says it.

    Args:
        kind: attribute_group, span, metric, event or entity.
        id: What others extend it by.
        name: What telemetry calls it.
        signal_kind: Span kind or instrument.
        extends: Ids of the groups whose attributes it has too.
        attributes: Attribute name and the requirement level said here; None where not said.
        where: File and line, for messages.
    """

    kind: str
    id: str
    name: str
    signal_kind: str
    unit: str
    stability: str
    deprecated: Deprecation | None
    extends: tuple[str, ...]
    attributes: tuple[tuple[str, str | None], ...]
    associations: tuple[Any, ...]
    where: str


@dataclass(slots=True)
class Collected:
    """All that the files of a registry say, before groups are put together."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def define(self, attribute: Attribute, where: str) -> None:
        """Take in an attribute.

        Raises:
            ConfigurationError: If another place defines it differently.
        """
        known = self.attributes.setdefault(attribute.name, attribute)
        if known != attribute:
            raise ConfigurationError(
                f"{attribute.name!r} is defined differently at {self.places[attribute.name]}",
                where=where,
                do="Define it once and refer to it with `ref:`",
            )
        self.places.setdefault(attribute.name, where)


def resolve(collected: Collected) -> Registry:
    """Put groups together.

    Raises:
        ConfigurationError: If groups extend one another in a circle, or a metric, event or entity has no name.
    """
    # A group that another registry defines is not here: what it would add is simply not known.
    by_id = {group.id: group for group in collected.groups}
    signals: dict[str, dict[str, Signal]] = {kind: {} for kind in ("metric", "span", "event", "entity")}
    for group in collected.groups:
        if group.kind == "attribute_group":
            continue
        if not group.name:
            raise ConfigurationError(
                f"the {group.kind} {group.id!r} has no name",
                where=group.where,
                do="Write `metric_name:`" if group.kind == "metric" else "Write `name:`",
            )
        levels = _levels(group, by_id, ())
        signals[group.kind][group.name] = Signal(
            name=group.name,
            kind=group.signal_kind,
            unit=group.unit,
            stability=group.stability,
            deprecated=group.deprecated,
            attributes=tuple(Reference(name, cast("Level", level or "recommended")) for name, level in levels.items()),
            associations=tuple(_association(each, group.where) for each in group.associations),
        )
    return Registry(
        attributes=collected.attributes,
        metrics=signals["metric"],
        spans=signals["span"],
        events=signals["event"],
        entities=signals["entity"],
    )


def _levels(group: Group, by_id: dict[str, Group], above: tuple[str, ...]) -> dict[str, str | None]:
    """Attribute name -> requirement level; what a group says itself goes before what it extends."""
    if group.id in above:
        circle = " -> ".join((*above, group.id))
        raise ConfigurationError(f"groups extend one another: {circle}", where=group.where, do="Break the circle")
    levels: dict[str, str | None] = {}
    for parent in group.extends:
        if parent in by_id:
            levels.update(_levels(by_id[parent], by_id, (*above, group.id)))
    for name, level in group.attributes:
        levels[name] = level or levels.get(name)
    return levels


def _association(value: Any, where: str) -> Any:
    """An entity type, or a one_of or all_of of associations; checked, and freed of the reader's line numbers."""
    if isinstance(value, str):
        return value
    keys = [key for key in value if key != _LINE] if isinstance(value, dict) else []
    if keys not in (["one_of"], ["all_of"]) or not isinstance(value[keys[0]], list):
        raise ConfigurationError(
            "an entity association is neither a name nor a one_of or all_of list",
            where=where,
            do="Write entity names, or `one_of:` / `all_of:` with a list of them",
        )
    return {keys[0]: [_association(each, where) for each in value[keys[0]]]}
