"""What the name of a file says: its folder, kind, stem without test affixes, words, folders above it.

Put here what is read from a path alone; nothing of it changes with time, except how common a word is, which the
signals count over the files that are known at the moment.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from weaver_forge.links.impact.grouped import Grouped, Ints

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TEST_AFFIX = re.compile(r"^tests?[_-]|[_.-]?(tests?|specs?)$|(?<=[a-z])ITs?$", re.IGNORECASE)
_TEST_PATH = re.compile(
    r"(^|/)(tests?|testing|specs?|__tests__)/|(^|/)tests?_[^/]*$|_(test|spec)\.\w+$|\.(test|spec)\.\w+$|Tests?\.\w+$"
)
_CAMEL_IT = re.compile(r"(?<=[a-z0-9])(ITs?|Tests?|Spec)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Files by number.

    Args:
        names: Path of each.
        number: The inverse.
        group: "folder", "extension", "stem" -> the number of that of each file.
        depth: Folders above each.
        words: Distinct words of each file, as numbers.
        of_word: Files of each word.
        above: Folders above each file, as numbers.
        below: Files below each folder.
    """

    names: tuple[str, ...]
    number: dict[str, int]
    group: dict[str, Ints]
    depth: Ints
    words: Grouped
    of_word: Grouped
    above: Grouped
    below: Grouped


def describe(names: Sequence[str]) -> Paths:
    """Take paths apart."""
    words = [words_of(name) for name in names]
    above = [_folders(name) for name in names]
    of_file, of_word = _both_ways(words)
    over, under = _both_ways(above)
    return Paths(
        names=tuple(names),
        number={name: place for place, name in enumerate(names)},
        group={
            "folder": _numbered(name.rpartition("/")[0] for name in names),
            "extension": _numbered(map(extension, names)),
            "stem": _numbered(map(stem, names)),
        },
        depth=np.array([name.count("/") for name in names], np.int64),
        words=of_file,
        of_word=of_word,
        above=over,
        below=under,
    )


def is_test(path: str) -> bool:
    """Whether a path is that of a test file by the customs of its language."""
    return _TEST_PATH.search(path) is not None


def stem(path: str) -> str:
    """Name of a file without folder, extension and test affixes, in lower case without separators."""
    name = path.rpartition("/")[2]
    bare = name if name.startswith(".") else name.split(".", 1)[0]
    short = _TEST_AFFIX.sub("", _CAMEL_IT.sub("", bare)) or bare
    return re.sub(r"[_-]", "", short).lower()


def extension(path: str) -> str:
    """What follows the last dot of a name; the whole name where there is none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2] if "." in name[1:] else name


def words_of(path: str) -> frozenset[str]:
    """Lower-case words of a path, camelCase split."""
    return frozenset(word.lower() for word in _WORD.findall(path))


def _folders(path: str) -> frozenset[str]:
    parts = path.split("/")[:-1]
    return frozenset("/".join(parts[:n]) for n in range(1, len(parts) + 1))


def _numbered(labels: Iterable[str]) -> Ints:
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], np.int64)


def _both_ways(members: Sequence[frozenset[str]]) -> tuple[Grouped, Grouped]:
    """Members of each owner, and owners of each member, both as numbers."""
    seen: dict[str, int] = {}
    pairs = [(owner, seen.setdefault(one, len(seen))) for owner, some in enumerate(members) for one in sorted(some)]
    owner, member = np.array(pairs, np.int64).reshape(-1, 2).T
    n = max(len(seen), 1)
    return Grouped.of(owner, member, len(members), n + 1), Grouped.of(member, owner, n, len(members) + 1)
