"""OpenTelemetry schema files (``schemas/1.x.0``) -> the renames between all their versions, chained.

A schema file says, version by version, what was called differently before. The registry's own ``renamed_to``
goes before it (see ``renaming``); the file adds names that the registry has forgotten, and which metrics a
rename of a short name like ``state`` was meant for.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from weaver_forge.errors import ConfigurationError
from weaver_forge.semconv.registry import Renames


def read_schema(name: str, text: str) -> Renames:
    """Read one schema file.

    Args:
        name: Of the file, for messages.
        text: Its YAML.

    Raises:
        ConfigurationError: If it is no schema file.
    """
    try:
        document = yaml.safe_load(text)
        versions = sorted(document["versions"].items(), key=lambda item: _number(item[0]))
        return _chained([(section, change) for _, said in versions for section, change in _changes(said)])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigurationError(
            f"not a schema file: {error}", where=name, do="Give a file like those of opentelemetry.io/schemas/"
        ) from error


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version).split("."))


def _changes(said: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for section, body in (said or {}).items():
        for change in (body or {}).get("changes") or ():
            yield section, change


def _chained(changes: list[tuple[str, dict[str, Any]]]) -> Renames:
    """Follow names from the oldest version to the newest."""
    attributes: dict[str, str] = {}
    metrics: dict[str, str] = {}
    scoped: dict[str, dict[str, set[str]]] = {}
    for section, change in changes:
        if section == "metrics":
            for old, new in (change.get("rename_metrics") or {}).items():
                _step(metrics, str(old), str(new))
        renamed = change.get("rename_attributes") or {}
        for old, new in (renamed.get("attribute_map") or {}).items():
            of = renamed.get("apply_to_metrics")
            if of:
                scoped.setdefault(str(old), {}).setdefault(str(new), set()).update(map(str, of))
            else:
                _step(attributes, str(old), str(new))
    return Renames(
        attributes={old: new for old, new in sorted(attributes.items()) if old != new},
        metrics={old: new for old, new in sorted(metrics.items()) if old != new},
        in_metrics={
            old: {new: tuple(sorted(_all_names(names, metrics))) for new, names in sorted(targets.items())}
            for old, targets in sorted(scoped.items())
        },
    )


def _step(names: dict[str, str], old: str, new: str) -> None:
    for first, last in names.items():
        if last == old:
            names[first] = new
    names[old] = new
    names.pop(new, None)  # a name taken back is current again


def _all_names(names: set[str], metrics: dict[str, str]) -> set[str]:
    """The metrics under every name they had or got."""
    current = {metrics.get(name, name) for name in names}
    return names | current | {old for old, new in metrics.items() if new in current}
