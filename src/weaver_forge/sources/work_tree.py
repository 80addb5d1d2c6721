"""What a repository at hand says beside its ingested history: a change's files, its work tree's texts, recent changes.

A few git processes, each bounded, so that a question is answered within seconds. The whole history is read by
``sources.git``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from weaver_forge.errors import SourceError
from weaver_forge.sources.git_command import Repository

MOST_BYTES = 1_000_000
"""A larger file is made by a program, and its imports are nobody's."""

MOST_FILES = 20_000
_NAMES = ("--no-renames", "-z", "--name-only")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAt:
    """A change as git has it.

    Args:
        paths: Its files, both names of a renamed one.
        author: E-mail of who wrote it, lower case, as ``core_changes__files`` has it.
        at: When it was committed, naive UTC; of several commits the first.
    """

    revision: str
    paths: tuple[str, ...]
    author: str
    at: datetime


def change_at(repository: Repository, revision: str, last: int = 1) -> ChangeAt:
    """The files that a revision changes, or the newest ``last`` revisions up to it, merges at their first parent.

    Raises:
        SourceError: If the revision is not known here, or there are fewer before it.
    """
    commit = repository.resolve(revision)
    walk = ("log", "--first-parent", f"-{last}", "--format=%H%x00%ae%x00%ct")
    lines = repository.run(*walk, commit).decode("utf-8", "replace").splitlines()
    if len(lines) < last:
        raise SourceError(
            f"there are only {len(lines)} revisions up to {revision}", where=str(repository.path), do="Ask for fewer"
        )
    oldest, _, committed = lines[-1].split("\0")
    parents = repository.run("log", "-1", "--format=%P", oldest).decode().split()
    if not parents and repository.is_shallow():
        raise SourceError(
            f"the clone is shallow, and the parent of {oldest[:12]} is not in it",
            where=str(repository.path),
            do="Fetch more history: `git fetch --unshallow`, or fetch-depth: 0 in actions/checkout",
        )
    if parents:
        said = repository.run("diff", *_NAMES, "--end-of-options", parents[0], commit)
    else:
        said = repository.run("ls-tree", "-r", "-z", "--name-only", "--end-of-options", commit)
    paths = tuple(path for path in said.decode("utf-8", "replace").split("\0") if path)
    author = lines[0].split("\0")[1].lower()
    return ChangeAt(revision=commit, paths=paths, author=author, at=_instant(committed))


def recent_changes(repository: Repository, revision: str, most: int) -> pl.DataFrame:
    """The newest changes up to a revision as ``core_changes__files`` has them, without counts of lines or merges."""
    command = ("log", "--no-merges", f"-{most}", *_NAMES, "--format=%x01%H%x02%ae%x02%ct")
    said = repository.run(*command, "--end-of-options", revision).decode("utf-8", "replace")
    rows = []
    for record in said.split("\x01")[1:]:
        head, *names = (part.strip("\n") for part in record.split("\0"))
        commit, author, committed = head.split("\x02")
        at = _instant(committed)
        rows += [(commit, name, author.lower(), at, at, 0, 0) for name in names if name]
    instant = pl.Datetime("us")
    schema: dict[str, pl.DataType] = {
        "revision": pl.String(), "path": pl.String(), "author": pl.String(),
        "committed_at": instant, "known_at": instant,
        "n_added": pl.Int32(), "n_deleted": pl.Int32(),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def python_texts(repository: Repository) -> dict[str, str]:
    """Python files of the work tree, tracked or new: path -> text; none where there is no work tree."""
    if repository.run("rev-parse", "--is-inside-work-tree").strip() != b"true":
        return {}
    listed = repository.run("ls-files", "-z", "-c", "-o", "--exclude-standard", "--", "*.py", "*.pyi")
    texts = {}
    for name in sorted(set(listed.decode("utf-8", "replace").split("\0")))[:MOST_FILES]:
        path = repository.path / name
        if name and path.is_file() and path.stat().st_size <= MOST_BYTES:
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return texts


def first_text(repository: Repository, names: tuple[str, ...]) -> str | None:
    """The text of the first of these files that is in the work tree; None where none is."""
    for name in names:
        path = repository.path / name
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    return None


def me(repository: Repository) -> str:
    """E-mail that a commit made here now would have; empty where none is configured."""
    said = repository.run("config", "--default", "", "--get", "user.email")
    return said.decode("utf-8", "replace").strip().lower()


def _instant(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None)
