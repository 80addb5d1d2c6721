"""The classes of a change, their order, and the answer about one file and about a whole change.

Put here what a class is. How one is found belongs in ``files``, in words for people in ``answer``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

RULES = 1
"""Version of the rules. Raise it when another class may come out of the same texts: stored ones are then made anew."""


class ChangeClass(StrEnum):
    """What a change means, the least severe first; what cannot be told is behaviour."""

    DOCS = "docs"
    """Text for people, which no program and no test is known to read."""
    FORMAT = "format"
    """White space, line ends, line breaks: the program is the same."""
    COMMENT = "comment"
    """Comments that no compiler and no known tool reads."""
    DOCSTRING = "docstring"
    """Documentation that is part of the program, but that nothing in it is seen to use."""
    RENAME = "rename"
    """A file that moved; its content means the same."""
    TEST_ONLY = "test_only"
    """The code of tests, and of nothing else."""
    CONFIG = "config"
    """Configuration of tools and of the build."""
    BEHAVIOUR = "behaviour"
    """Everything else, and everything unknown."""


SEVERITY: dict[ChangeClass, int] = {kind: place for place, kind in enumerate(ChangeClass)}
"""Class -> its place in the order."""

HARMLESS = frozenset({ChangeClass.DOCS, ChangeClass.FORMAT, ChangeClass.COMMENT, ChangeClass.DOCSTRING})
"""Classes of which the programs and their tests are the same before and after."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A class, and why.

    Args:
        kind: The class.
        reason: In words, to stand after the name of the file and a colon.
    """

    kind: ChangeClass
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileClass:
    """What was found of one changed file.

    Args:
        path: After the change; of a deleted file, before it.
        old_path: Before a rename; None otherwise.
        kind: The class.
        reason: Why, in words.
    """

    path: str
    old_path: str | None
    kind: ChangeClass
    reason: str


def behaviour(reason: str) -> Finding:
    """What cannot be shown to be harmless."""
    return Finding(ChangeClass.BEHAVIOUR, reason)


def most_severe(kinds: Iterable[ChangeClass]) -> ChangeClass | None:
    """The class of a whole: that of its most severe part; None where there are no parts."""
    return max(kinds, key=SEVERITY.__getitem__, default=None)
