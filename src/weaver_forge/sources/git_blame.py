"""SZZ: for every fix, the commits that last wrote the lines it removed.

After Śliwerski, Zimmermann and Zeller (2005), with the usual mending: white space, blank and comment lines, renames
and moved files accuse nobody. A configured ``blame.ignoreRevsFile`` is heeded: it names the commits that only
reformat. It is a heuristic: it misses fixes that only add lines, and takes the last writer of
a line for its author. Which commits are fixes is said in ``changes.fixes``.
"""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import PurePosixPath
from typing import Any, Protocol

import polars as pl

from weaver_forge.changes.fixes import is_fix
from weaver_forge.contracts.dtypes import empty, from_rows
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
_ORIGIN = re.compile(rb"^([0-9a-f]{40}(?:[0-9a-f]{24})?) \d+ \d+", re.MULTILINE)


class Git(Protocol):
    """What this module needs of a repository."""

    repo_id: str

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git and give its output."""

    def indexed(self) -> "AbstractContextManager[Git]":
        """The same repository, made ready for many blames."""


def blames(git: Git, commits: pl.DataFrame, *, since_days: int | None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Blame for every fix among the commits.

    Args:
        git: The repository.
        commits: Rows of ``raw_git__commits``.
        since_days: Only fixes within so many days before the newest of the commits; None for all.

    Returns:
        Rows of ``raw_git__blames``, and notes on what was passed over.
    """
    fixes = _fixes(commits, since_days)
    if fixes.is_empty():
        return empty(RAW_GIT_BLAMES), ()
    skipped = Skipped()
    patch = git.run("log", *PATCH_OPTIONS, "--no-walk=unsorted", "--stdin", stdin="\n".join(fixes["revision"]).encode())
    found = list(removals(patch, skipped))
    n_files = Counter(removal.revision for removal in found)
    sources = [r for r in found if n_files[r.revision] <= MAX_FILES and _is_source(r.path)]
    parents = {revision: parents.split(" ")[0] for revision, parents in fixes.select("revision", "parents").rows()}
    times = dict(fixes.select("revision", "committed_at").rows())
    many = git.indexed() if len(sources) >= MANY else nullcontext(git)
    # Git does the work in processes; threads only wait for them.
    with many as quick, ThreadPoolExecutor(_WORKERS) as pool:
        counted = list(pool.map(lambda removal: _count(quick, removal, parents[removal.revision]), sources))
    rows: list[dict[str, Any]] = [
        {
            "repo_id": git.repo_id,
            "fix_revision": removal.revision,
            "blamed_revision": blamed,
            "path": removal.path.decode("utf-8", "replace"),
            "n_lines": n_lines,
            "fixed_at": times[removal.revision],
        }
        for removal, counts in zip(sources, counted, strict=True)
        if not isinstance(counts, SourceError)
        for blamed, n_lines in sorted(counts.items())
    ]
    sweeping = sum(n > MAX_FILES for n in n_files.values())
    return from_rows(RAW_GIT_BLAMES, rows), _notes(
        skipped, sweeping, [c for c in counted if isinstance(c, SourceError)]
    )


def _fixes(commits: pl.DataFrame, since_days: int | None) -> pl.DataFrame:
    fixes = commits.filter(
        is_fix(pl.col("subject"), pl.col("body")),
        pl.col("parents").str.len_bytes() > 0,
        ~pl.col("parents").str.contains(" ", literal=True),
    )
    if since_days is None or fixes.is_empty():
        return fixes
    newest = commits.select(pl.col("committed_at").max())
    return fixes.filter(pl.col("committed_at") >= newest.item() - pl.duration(days=since_days))


def _is_source(path: bytes) -> bool:
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


def _notes(skipped: Skipped, sweeping: int, failed: list[SourceError]) -> tuple[str, ...]:
    notes = (
        (skipped.long_hunks, "hunks of fixes are too long to blame"),
        (sweeping, f"fixes touch more than {MAX_FILES} files and blame nobody"),
        (len(failed), f"files of fixes could not be blamed, first: {failed[0] if failed else ''}"),
    )
    return tuple(f"{number} {what}" for number, what in notes if number)
