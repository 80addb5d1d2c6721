"""Who in a repository reads documentation: files that name a text, and code that takes docstrings as data.

A class is told from a file alone. Before CI is skipped, the rest of the repository is asked as well: a test may
compare a page with what a program prints, and a command's help may be the docstring of another module. Searching a
repository belongs in ``sources.git_texts``; what to search for, and what a hit means, stands here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from weaver_forge.changes.semantic.classes import ChangeClass, FileClass
from weaver_forge.changes.semantic.docstrings import PYTHON_REGISTRIES
from weaver_forge.changes.semantic.paths import language_of

DOCSTRING_PATTERN = (
    r"\.__doc__|getdoc\(|doctest[-_]modules|docstring_parser|sphinx\.ext\.autodoc|mkdocstrings|autoapi\.|^:::[[:space:]]"
    rf"|^[[:space:]]*(import|from)[[:space:]]+({'|'.join(sorted(PYTHON_REGISTRIES))})([.,[:space:]]|$)"
)
DOCSTRING_FILES = ("*.py", "*.toml", "*.cfg", "*.ini", "mkdocs.yml", "mkdocs.yaml")
"""Where to look for it."""

NOT_READERS = frozenset({"setup.py", "setup.cfg"})
"""Files that name a text only to show it to people: the description of a package."""


_ALONE = r"""["'`](?:[^"'`\s]*/)?NAME["'`]|(?:embed|cat|cp|grep|sed|<)\s[^"']*\bNAME\b"""
_GLOBBED = r"""["'`][^"'`\s]*\*NAME["'`]|(?:endswith|extname)\(["']NAME["']|suffix\s*==\s*["']NAME["']"""


@dataclass(frozen=True, slots=True)
class Readers:
    """What a search of the repository has found.

    Args:
        of_docstrings: Files that use docstrings.
        of_names: Name of a text -> files of code that name it.
    """

    of_docstrings: tuple[str, ...] = ()
    of_names: tuple[tuple[str, tuple[str, ...]], ...] = ()


def names_to_ask(files: Iterable[FileClass]) -> tuple[str, ...]:
    """Names of changed texts that code may name, without their folders."""
    names = {PurePosixPath(path).name for file in files if file.kind is ChangeClass.DOCS for path in _paths(file)}
    return tuple(sorted(names))


def search_words(names: Iterable[str]) -> tuple[str, ...]:
    """Fixed strings of which every line has one that may read a text of these names."""
    return tuple(sorted({*names, *(f"{mark}{suffix}" for suffix in _suffixes(names) for mark in ("*", '"', "'"))}))


def named_in(line: str, names: Iterable[str]) -> Iterator[str]:
    """Those of the names that a line of code takes as the name of a file, alone or by a pattern over its suffix.

    A name within a sentence is told to people; one in quotes, or after a command that reads, is read.
    """
    globbed = {suffix for suffix in _suffixes(names) if suffix in line and _has(_GLOBBED, suffix, line)}
    for name in names:
        if PurePosixPath(name).suffix in globbed or (name in line and _has(_ALONE, name, line)):
            yield name


def _has(pattern: str, name: str, line: str) -> bool:
    return re.search(pattern.replace("NAME", re.escape(name)), line) is not None


def _suffixes(names: Iterable[str]) -> set[str]:
    return {PurePosixPath(name).suffix for name in names} - {""}


def asks_docstrings(files: Iterable[FileClass]) -> bool:
    """Whether it matters who uses docstrings: some of Python changed, and nothing worse."""
    return any(_is_docstring_of_python(file) for file in files)


def with_readers(files: Sequence[FileClass], readers: Readers) -> list[FileClass]:
    """The same files; documentation that is read is behaviour."""
    named = dict(readers.of_names)
    return [_judged(file, readers.of_docstrings, named) for file in files]


def _judged(file: FileClass, of_docstrings: Sequence[str], named: dict[str, tuple[str, ...]]) -> FileClass:
    if file.kind is ChangeClass.DOCS:
        for path in _paths(file):
            by = [
                each for each in named.get(PurePosixPath(path).name, ()) if PurePosixPath(each).name not in NOT_READERS
            ]
            if by:
                return _is_read(file, f"text that {_some(by)} {'names' if len(by) == 1 else 'name'}")
    elif _is_docstring_of_python(file) and of_docstrings:
        return _is_read(file, f"documentation changed, and {_some(of_docstrings)} may use docstrings")
    return file


def _is_docstring_of_python(file: FileClass) -> bool:
    return file.kind is ChangeClass.DOCSTRING and language_of(file.path) == "python"


def _is_read(file: FileClass, reason: str) -> FileClass:
    return replace(file, kind=ChangeClass.BEHAVIOUR, reason=reason)


def _paths(file: FileClass) -> tuple[str, ...]:
    return (file.path,) if file.old_path is None else (file.path, file.old_path)


def _some(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} (and {len(paths) - 1} more)"
