"""A user's convention registries: folders of YAML, put over the registry that the product carries."""

from collections.abc import Iterable
from pathlib import Path

from weaver_forge.errors import MissingInput
from weaver_forge.semconv.compile import documents
from weaver_forge.semconv.reader import read
from weaver_forge.semconv.registry import Registry, layered


def registry_with(paths: Iterable[Path]) -> Registry:
    """The shipped registry with the registries of ``paths`` over it, the last on top.

    Args:
        paths: Folders of registry YAML in either format, or single files.

    Raises:
        MissingInput: If one is not there or holds no YAML.
        ConfigurationError: If one is no registry; with file, line and what to do.
    """
    return layered(read(_documents(path)) for path in paths)


def _documents(path: Path) -> list[tuple[str, str]]:
    if path.is_file():
        return [(str(path), path.read_text(encoding="utf-8", errors="replace"))]
    if not path.is_dir():
        raise MissingInput("no such registry", where=str(path), do="Mend [semconv] registries, or --registry")
    return documents(path)
