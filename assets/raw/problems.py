"""Inputs that cannot be read at all: told once each, with every source that they were given to."""

from collections.abc import Sequence
from pathlib import Path

from weaver_forge.errors import SourceError, WeaverForgeError


class Unreadable(SourceError):  # noqa: N818 - named as its siblings in errors
    """An input that cannot be read.

    Args:
        error: Why.
        sources: Those that it was given to.
    """

    def __init__(self, error: SourceError, sources: Sequence[str]) -> None:
        self.error, self.sources = error, tuple(sources)
        super().__init__(error.what, where=f"{error.where} (given to {', '.join(sources)})", do=error.do)


def as_problem(error: SourceError | OSError, path: Path) -> SourceError:
    """What made an input unreadable, as an error of ours."""
    if isinstance(error, SourceError):
        return error
    return SourceError(
        f"cannot be read: {error.strerror or error}", where=str(path), do="Check the file and its permissions"
    )


def add(problems: list[WeaverForgeError], error: SourceError, source: str) -> None:
    """Add a problem of a source's input; the same of another source becomes one with it."""
    for at, known in enumerate(problems):
        if isinstance(known, Unreadable) and known.error.args == error.args:
            problems[at] = Unreadable(error, list(dict.fromkeys([*known.sources, source])))
            return
    problems.append(Unreadable(error, [source]))
