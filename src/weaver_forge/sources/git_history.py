"""A whole history in one pass: its commits, their files, and whom its fixes blame.

For a first import, and wherever more files are to be blamed than ``git blame`` can do in reasonable time: the origins
of lines are followed along (``sources.line_origins``). Git itself is asked only for lines that could not be followed,
for the newest fixes first and for a bounded number of files. Choosing between this way and that of
``sources.git_blame`` belongs in ``sources.git``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.dtypes import empty, from_columns, from_rows
from weaver_forge.contracts.tables.changes import RAW_GIT_BLAMES, RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES
from weaver_forge.decode.git import commit_row
from weaver_forge.decode.git_history import HISTORY_OPTIONS, FileDiff, Record, file_diff, records
from weaver_forge.decode.git_merge import merge_diff
from weaver_forge.decode.git_patch import MAX_HUNK_LINES, Removal, Skipped, ranges, says_something
from weaver_forge.errors import SourceError
from weaver_forge.sources.git_blame import Accused, Git, accusations, ask, fixes_of, is_source, narrowed
from weaver_forge.sources.line_origins import UNKNOWN, LineOrigins, respaced

MAX_ASKED = 200
"""Files for which git is asked to blame what could not be followed."""

FILES_AT_ONCE = 50_000
"""Rows of changed files that are held before they are given on."""

_COMMITS_AT_ONCE = 500
_FILE_COLUMNS = ("revision", "path", "old_path", "n_added", "n_deleted")


def read_history(
    git: Git, tips: Sequence[str], *, since_days: int | None = None, fixes: pl.DataFrame | None = None
) -> Iterator[Batch]:
    """Read all commits reachable from ``tips``, in batches of a bounded number of files.

    The commits come in the last batch: where the batches before it are stored and it is not, the history counts as
    not read.

    Args:
        git: The repository.
        tips: Full commit ids.
        since_days: Blame only for fixes within so many days before the newest commit; None for all.
        fixes: Blame for these only (rows of ``raw_git__commits``), and give no other table than the blames.

    Raises:
        SourceError: If git fails.
    """
    try:
        ignored, unreadable = ignored_revisions(git), None
    except SourceError as error:
        ignored, unreadable = set(), error
    reading = _Reading(git.repo_id, ignored, None if fixes is None else set(fixes["revision"]))
    found = records(git.stream("log", *HISTORY_OPTIONS, *tips, "--"))
    while some := list(islice(found, _COMMITS_AT_ONCE)):
        reading.take(some)
        if reading.n_files >= FILES_AT_ONCE and fixes is None:
            yield Batch({RAW_GIT_FILE_CHANGES.name: reading.files()})
    tables = reading.tables() if fixes is None else {}
    mending = fixes_of(tables[RAW_GIT_COMMITS.name], since_days) if fixes is None else fixes
    accused, notes = reading.accused(git, mending, unreadable)
    yield Batch({**tables, RAW_GIT_BLAMES.name: accused}, tuple(reading.rejected), notes)


def ignored_revisions(git: Git) -> set[str]:
    """Commits that the repository's ``blame.ignoreRevsFile`` names: they only reformat.

    Raises:
        SourceError: If such a file cannot be read.
    """
    option = "blame.ignoreRevsFile"
    # Git fails where an option is not set at all, so it is set once more, and that last value left out.
    listed = git.run("-c", f"{option}=", "config", "--type=path", "--get-all", option)
    names: list[str] = []
    for name in listed.decode("utf-8", "surrogateescape").split("\n")[:-2]:
        names = [*names, name] if name else []  # as in git, an empty value takes back those before it
    found: set[str] = set()
    for name in names:
        try:
            lines = (git.path / name).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            do = "Restore the file or unset the option"
            raise SourceError(f"{option} cannot be read", where=name, do=do) from error
        found.update(line.partition("#")[0].strip() for line in lines)
    return found - {""}


class _Reading:
    """What has been read so far, and what the fixes in it removed."""

    def __init__(self, repo_id: str, ignored: set[str], wanted: set[str] | None) -> None:
        self.rejected: list[Rejected] = []
        self._repo_id = repo_id
        self._ignored = ignored
        self._wanted = wanted
        self._origins = LineOrigins()
        self._revisions: list[str] = []
        self._commits: list[pl.DataFrame] = []
        self._files: list[pl.DataFrame] = []
        self._skipped = Skipped()
        self._removed: list[tuple[Removal, Counter[int]]] = []

    def take(self, some: list[Record]) -> None:
        """Read the next commits."""
        good = {record.revision: self._row(record) for record in some}
        commits = from_rows(RAW_GIT_COMMITS, [row for row in good.values() if row is not None])
        fixes = set(fixes_of(commits, None)["revision"]) if self._wanted is None else self._wanted
        files: list[tuple[Any, ...]] = []
        for record in some:
            number = len(self._revisions)
            self._revisions.append(record.revision)
            if record.is_merge:
                self._merge(record, number)
                continue
            for change in map(file_diff, record.diffs):
                if self._wanted is None and good[record.revision] is not None:
                    files.append(_file(record.revision, change))
                self._follow(record, number, change, is_fix=record.revision in fixes)
        self._commits.append(commits)
        columns = dict(zip(_FILE_COLUMNS, zip(*files, strict=True), strict=True)) if files else {}
        self._files.append(from_columns(RAW_GIT_FILE_CHANGES, {"repo_id": [self._repo_id] * len(files), **columns}))

    @property
    def n_files(self) -> int:
        """Rows of files that are held."""
        return sum(frame.height for frame in self._files)

    def files(self) -> pl.DataFrame:
        """The files that are held, no longer held from then on."""
        held, self._files = self._files, []
        files = pl.concat([empty(RAW_GIT_FILE_CHANGES), *held])
        # A type change (file to link) shows twice under one path; the first says it.
        return files.unique(RAW_GIT_FILE_CHANGES.key, keep="first", maintain_order=True)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Commits, newest first as git lists them, and the files that are still held."""
        return {RAW_GIT_COMMITS.name: pl.concat(self._commits).reverse(), RAW_GIT_FILE_CHANGES.name: self.files()}

    def accused(
        self, git: Git, fixes: pl.DataFrame, unreadable: SourceError | None
    ) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """Whom the fixes blame, asking git for what could not be followed."""
        times = dict(fixes.select("revision", "committed_at").rows())
        counts = {id(removal): counted for removal, counted in self._removed}
        files, notes = narrowed([r for r, _ in self._removed if r.revision in times], self._skipped)
        if unreadable is not None:
            rows, failed = accusations(self._repo_id, fixes, [(removal, unreadable) for removal in files])
            return rows, (*notes, *failed)
        lost = [removal for removal in files if UNKNOWN in counts[id(removal)]]
        lost.sort(key=lambda removal: times[removal.revision], reverse=True)
        asked = lost[:MAX_ASKED]
        skip = {id(removal) for removal in asked}
        known: list[Accused] = [(r, self._named(counts[id(r)])) for r in files if id(r) not in skip]
        rows, failed = accusations(self._repo_id, fixes, known + ask(git, fixes, asked))
        return rows, (*notes, *failed, *_lost(len(asked), len(lost) - len(asked)))

    def _row(self, record: Record) -> dict[str, Any] | None:
        row = commit_row(self._repo_id, record.revision, record.header)
        if row is None:
            dates = repr(record.header[2:4])
            what = f"commit {record.revision}"
            self.rejected.append(Rejected(self._repo_id, what, "its dates cannot be read", dates))
        return row

    def _merge(self, record: Record, number: int) -> None:
        for change in map(merge_diff, record.diffs):
            if change is not None and is_source(change.path):
                self._origins.merge(change, number)

    def _follow(self, record: Record, number: int, change: FileDiff, *, is_fix: bool) -> None:
        path = change.old_path or change.path
        if is_fix and change.n_deleted and (lines := self._mended(change)):
            origins = self._origins.of(path, change.old_blob, lines) if is_source(path) else []
            self._removed.append((Removal(record.revision, path, ranges(lines)), Counter(origins)))
        if is_source(change.path) or is_source(path):
            self._origins.apply(change, number, ignored=record.revision in self._ignored)

    def _mended(self, change: FileDiff) -> list[int]:
        """Numbers of the removed lines that say something; a line that only moved sideways is none."""
        numbers: list[int] = []
        for hunk in change.hunks:
            if hunk.n_old > MAX_HUNK_LINES:
                self._skipped.long_hunks += 1
            elif hunk.n_old:
                kept = set(respaced(hunk).values())
                removed = hunk.sides()[0]
                numbers += [hunk.at + n + 1 for n, line in enumerate(removed) if n not in kept and says_something(line)]
        return numbers

    def _named(self, counts: Counter[int]) -> Counter[str]:
        return Counter({self._revisions[number]: n for number, n in counts.items() if number != UNKNOWN})


def _file(revision: str, change: FileDiff) -> tuple[str, str, str | None, int | None, int | None]:
    """Values of ``_FILE_COLUMNS``."""
    old = None if change.old_path is None else change.old_path.decode("utf-8", "replace")
    return revision, change.path.decode("utf-8", "replace"), old, change.n_added, change.n_deleted


def _lost(n_asked: int, n_left: int) -> Iterator[str]:
    if n_asked:
        yield f"{n_asked} files of fixes had lines that could not be followed; git blamed them"
    if n_left:
        yield f"{n_left} more had such lines and blame the writers of the others only; git is asked for {MAX_ASKED}"
