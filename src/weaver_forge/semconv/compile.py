"""``python -m weaver_forge.semconv.compile FOLDER``: registry YAML -> the small table that the product carries.

``FOLDER`` is a checkout of open-telemetry/semantic-conventions (Apache-2.0) at a release: its ``model`` and, where
there is one, ``schemas``. The table holds facts alone (names, types, units, stability, renames, enum values, which
attributes a signal has), no prose. The same input gives the same bytes. This is the one module of the package that
touches the disk.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from weaver_forge.errors import MissingInput, WeaverForgeError
from weaver_forge.semconv.reader import read
from weaver_forge.semconv.registry import SHIPPED, Attribute, Deprecation, Document, Registry, Renames, Signal
from weaver_forge.semconv.schema_files import read_schema

ORIGIN = "OpenTelemetry semantic conventions, github.com/open-telemetry/semantic-conventions, Apache-2.0"


def documents(folder: Path) -> list[tuple[str, str]]:
    """Name and text of every YAML file below a folder, in order of their names.

    Raises:
        MissingInput: If there is none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file())
    if not paths:
        raise MissingInput("no YAML files", where=str(folder), do="Name the folder that holds the registry's files")
    return [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in paths]


def compiled(folder: Path) -> bytes:
    """The shipped table as bytes, made from a checkout.

    Raises:
        WeaverForgeError: If the checkout cannot be read.
    """
    model = folder / "model"
    registry = read(documents(model if model.is_dir() else folder))
    schemas = sorted((folder / "schemas").glob("*.*.*"), key=lambda path: [int(n) for n in path.name.split(".")])
    renames = read_schema(str(schemas[-1]), schemas[-1].read_text(encoding="utf-8")) if schemas else Renames()
    return encoded(registry, renames, schemas[-1].name if schemas else "")


def encoded(registry: Registry, renames: Renames, version: str) -> bytes:
    """A registry as the bytes of the shipped table: sorted, without notes, one definition a line."""
    document = Document(
        origin=ORIGIN,
        version=version,
        attributes=tuple(sorted((_bare(a) for a in registry.attributes.values()), key=lambda a: a.name)),
        metrics=_sorted(registry.metrics),
        spans=_sorted(registry.spans),
        events=_sorted(registry.events),
        entities=_sorted(registry.entities),
        renames=renames,
    )
    lines = []
    for name in document.__struct_fields__:
        value = getattr(document, name)
        if isinstance(value, tuple):
            body = ",\n".join(msgspec.json.encode(each).decode() for each in value)
            lines.append(f'"{name}":[\n{body}\n]')
        else:
            lines.append(f'"{name}":{msgspec.json.encode(value).decode()}')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def main(arguments: Sequence[str]) -> int:
    """Write the table beside this module, or to the second argument."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m weaver_forge.semconv.compile FOLDER [FILE]\n")
        return 2
    target = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).with_name(SHIPPED)
    try:
        data = compiled(Path(arguments[0]))
    except WeaverForgeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    target.write_bytes(data)
    sys.stderr.write(f"{target}: {len(data)} bytes\n")
    return 0


def _bare(attribute: Attribute) -> Attribute:
    return msgspec.structs.replace(attribute, deprecated=_without_note(attribute.deprecated))


def _without_note(deprecated: Deprecation | None) -> Deprecation | None:
    return Deprecation(deprecated.reason, deprecated.renamed_to) if deprecated else None


def _sorted(signals: dict[str, Signal]) -> tuple[Signal, ...]:
    bare = (msgspec.structs.replace(s, deprecated=_without_note(s.deprecated)) for s in signals.values())
    return tuple(sorted(bare, key=lambda signal: signal.name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
