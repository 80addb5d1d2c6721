"""Trees of a repository's main line, and what their Python files import; a text that stays is read once.

Put here what asks git for whole trees. What an import means is told by ``links.impact.python_imports``; which trees
are looked at is the caller's choice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from weaver_forge.links.impact.python_imports import ImportGraph, Statement, imported
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.git_texts import blobs

MOST_BYTES = 1_000_000
"""A larger file is made by a program, and its imports are nobody's."""

AT_ONCE = 2_000
"""Texts that are held at once."""

_FILE = b"100"
_SUFFIXES = (".py", ".pyi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What the Python files of a commit import.

    Args:
        at: Committer time, naive UTC.
        imports: Path -> the files that it imports itself, of every Python file.
    """

    revision: str
    at: datetime
    imports: dict[str, frozenset[str]]


def main_line(repository: Repository, most: int) -> list[tuple[str, datetime]]:
    """The newest commits of the branch that is checked out, merges included, and when they were committed.

    Raises:
        SourceError: If git fails.
    """
    if not repository.run("rev-parse", "--verify", "--quiet", "HEAD", nothing=1):
        return []  # a repository without a commit
    said = repository.run("log", "--first-parent", f"-{most}", "--format=%H %ct").decode().split()
    times = (datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None) for seconds in said[1::2])
    return list(zip(said[::2], times, strict=True))


def trees(repository: Repository, commits: Iterable[tuple[str, datetime]], *, most_files: int) -> Iterator[Tree]:
    """Read commits until ``most_files`` Python files have been seen; one that is begun is read whole.

    Raises:
        SourceError: If git fails.
    """
    known: dict[str, tuple[Statement, ...]] = {}
    seen = 0
    for revision, at in commits:
        if seen >= most_files:
            return
        files = _python_files(repository, revision)
        seen += len(files)
        missing = sorted({blob for blob in files.values() if blob not in known})
        for start in range(0, len(missing), AT_ONCE):
            known |= _statements(repository, missing[start : start + AT_ONCE])
        graph = ImportGraph({path: known[blob] for path, blob in files.items()})
        yield Tree(revision=revision, at=at, imports=graph.imports)


def _python_files(repository: Repository, revision: str) -> dict[str, str]:
    """Path -> object of the Python files of a commit, without links."""
    said = repository.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision)
    found = {}
    for entry in said.split(b"\0"):
        head, _, name = entry.partition(b"\t")
        path = name.decode("utf-8", "replace")
        if head.startswith(_FILE) and path.endswith(_SUFFIXES):
            found[path] = head.split(b" ")[2].decode()
    return found


def _statements(repository: Repository, ids: Sequence[str]) -> dict[str, tuple[Statement, ...]]:
    """What each text imports; nothing where it is too large or not in this clone."""
    texts = blobs(repository, ids, most_bytes=MOST_BYTES)
    return {each: tuple(imported(texts.get(each, b"").decode("utf-8", "replace"))) for each in ids}
