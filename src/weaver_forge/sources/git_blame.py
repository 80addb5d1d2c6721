"""SZZ: for every fix, the commits that last wrote the lines it removed.

After Śliwerski, Zimmermann and Zeller (2005), with the usual mending: white space, blank and comment lines, renames
and moved files accuse nobody. A configured ``blame.ignoreRevsFile`` is heeded: it names the commits that only
reformat. It is a heuristic: it misses fixes that only add lines, and takes the last writer of
a line for its author. Which commits are fixes is said in ``changes.fixes``.
"""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeAlias

import polars as pl

from weaver_forge.changes.fixes import is_fix
from weaver_forge.contracts.dtypes import from_columns
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES
from weaver_forge.decode.git_patch import PATCH_OPTIONS, Removal, Skipped, removals
from weaver_forge.errors import SourceError

MAX_FILES = 50
"""A fix that touches more files is a sweep; its blames would accuse the whole history."""

MANY = 40
"""Files to blame from which on an index of the history pays."""

SOURCE_SUFFIXES = frozenset({
    ".py", ".pyx", ".pyi", ".java", ".kt", ".kts", ".scala", ".groovy", ".clj", ".go", ".rs", ".c", ".h", ".cc",
    ".cpp", ".cxx", ".hpp", ".hh", ".m", ".mm", ".cs", ".fs", ".vb", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs",
    ".vue", ".svelte", ".rb", ".php", ".pl", ".pm", ".lua", ".r", ".jl", ".swift", ".dart", ".ex", ".exs", ".erl",
    ".hs", ".ml", ".sql", ".sh", ".bash", ".zsh", ".ps1", ".proto", ".tf", ".yaml", ".yml", ".toml", ".xml",
    ".gradle", ".cmake", ".html", ".css", ".scss", ".robot",
})  # fmt: skip

_WORKERS = 4
_ROW = ("repo_id", "fix_revision", "blamed_revision", "path", "n_lines", "fixed_at")
_ORIGIN = re.compile(rb"^([0-9a-f]{40}(?:[0-9a-f]{24})?) \d+ \d+", re.MULTILINE)


Accused: TypeAlias = tuple[Removal, Counter[str] | SourceError]
"""What a fix removed from a file, and how many of the lines each commit had written; git's error where it failed."""


class Git(Protocol):
    """What this module needs of a repository."""

    repo_id: str
    path: Path

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git and give its output."""

    def stream(self, *arguments: str) -> Iterator[bytes]:
        """Run git and give its output in blocks."""

    def indexed(self) -> "AbstractContextManager[Git]":
        """The same repository, made ready for many blames."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to blame for.

    Args:
        fixes: Rows of ``raw_git__commits``.
        files: What they removed, of source files only, a file and fix each.
        notes: What was passed over.
    """

    fixes: pl.DataFrame
    files: list[Removal]
    notes: tuple[str, ...] = ()


def plan(git: Git, commits: pl.DataFrame, *, since_days: int | None) -> Plan:
    """Find the fixes among the commits, and which lines of which files they removed.

    Args:
        git: The repository.
        commits: Rows of ``raw_git__commits``.
        since_days: Only fixes within so many days before the newest of the commits; None for all.
    """
    fixes = fixes_of(commits, since_days)
    if fixes.is_empty():
        return Plan(fixes, [])
    skipped = Skipped()
    patch = git.run("log", *PATCH_OPTIONS, "--no-walk=unsorted", "--stdin", stdin="\n".join(fixes["revision"]).encode())
    found = list(removals(patch, skipped))
    return Plan(fixes, *narrowed(found, skipped))


def narrowed(found: list[Removal], skipped: Skipped) -> tuple[list[Removal], tuple[str, ...]]:
    """Leave out what is no source file and fixes that are sweeps; and notes on what was passed over."""
    n_files = Counter(removal.revision for removal in found)
    sweeping = sum(n > MAX_FILES for n in n_files.values())
    notes = (
        (skipped.long_hunks, "hunks of fixes are too long to blame"),
        (sweeping, f"fixes touch more than {MAX_FILES} files and blame nobody"),
    )
    kept = [r for r in found if n_files[r.revision] <= MAX_FILES and is_source(r.path)]
    return kept, tuple(f"{number} {what}" for number, what in notes if number)


def blames(git: Git, planned: Plan) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Let git blame for every planned file.

    Returns:
        Rows of ``raw_git__blames``, and notes on what was passed over.
    """
    accused, notes = accusations(git.repo_id, planned.fixes, ask(git, planned.fixes, planned.files))
    return accused, (*planned.notes, *notes)


def ask(git: Git, fixes: pl.DataFrame, files: list[Removal]) -> list[Accused]:
    """Blame a file after the other with git, on an index of the history where there are many."""
    parents = {revision: parents.split(" ")[0] for revision, parents in fixes.select("revision", "parents").rows()}
    many = git.indexed() if len(files) >= MANY else nullcontext(git)
    # Git does the work in processes; threads only wait for them.
    with many as quick, ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(lambda removal: (removal, _count(quick, removal, parents[removal.revision])), files))


def accusations(repo_id: str, fixes: pl.DataFrame, accused: list[Accused]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Rows of ``raw_git__blames``, and a note on the files that git could not blame."""
    times = dict(fixes.select("revision", "committed_at").rows())
    rows = [  # tuples: as mappings they would be a good part of a first reading's memory
        (repo_id, removal.revision, blamed, removal.path.decode("utf-8", "replace"), n_lines, times[removal.revision])
        for removal, counts in accused
        if not isinstance(counts, SourceError)
        for blamed, n_lines in sorted(counts.items())
    ]
    failed = [counts for _, counts in accused if isinstance(counts, SourceError)]
    notes = (f"{len(failed)} files of fixes could not be blamed, first: {failed[0]}",) if failed else ()
    columns = dict(zip(_ROW, zip(*rows, strict=True), strict=True)) if rows else {}
    return from_columns(RAW_GIT_BLAMES, columns), notes


def fixes_of(commits: pl.DataFrame, since_days: int | None) -> pl.DataFrame:
    """The commits that claim to fix something and have one parent, within so many days before the newest commit."""
    fixes = commits.filter(
        is_fix(pl.col("subject"), pl.col("body")),
        pl.col("parents").str.len_bytes() > 0,
        ~pl.col("parents").str.contains(" ", literal=True),
    )
    if since_days is None or fixes.is_empty():
        return fixes
    newest = commits.select(pl.col("committed_at").max())
    return fixes.filter(pl.col("committed_at") >= newest.item() - pl.duration(days=since_days))


@lru_cache(maxsize=65_536)
def is_source(path: bytes) -> bool:
    """Say whether a file can hold a bug, by its name."""
    return PurePosixPath(path.decode("utf-8", "replace")).suffix.lower() in SOURCE_SUFFIXES


def _count(git: Git, removal: Removal, parent: str) -> Counter[str] | SourceError:
    """Count the removed lines per commit that last wrote them; git's error where it cannot."""
    ranges = [f"-L{first},{last}" for first, last in removal.ranges]
    path = removal.path.decode("utf-8", "surrogateescape")
    try:
        # Porcelain: ids stay whole, where the plain form cuts that of a root commit by a caret.
        out = git.run("blame", "--porcelain", "-w", *ranges, parent, "--", path)
    except SourceError as error:
        return error  # one file must not cost the others; it is counted and said in the notes
    return Counter(match.decode() for match in _ORIGIN.findall(out))
