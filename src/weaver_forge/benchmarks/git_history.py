"""Histories of commits as tables -> the changes that impact is measured on.

Formats, by their columns: commits (``sha, author, commit_time, subject`` and ``parents`` or ``parent``) and beside them
the files of each (``sha, path``), in a file whose name is the commits' with "files" in place of "commits", or with
"commit_files". Where a folder has several histories each is a set of its own.

Merges carry nothing of their own and are left out: those with two parents, and where the format keeps one parent, those
whose subject is what git itself writes. A commit with the author, the time of writing and the subject of an earlier one
is that one again (rebased, picked onto another branch): its files would be known before, so only the first counts.
"""

from collections.abc import Mapping

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited, each, executions
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES
from weaver_forge.errors import SourceError, WeaverForgeError

_COMMITS = frozenset({"sha", "author", "commit_time", "subject"})
_FILES = frozenset({"sha", "path"})
_MERGE = r"^Merge (branch|branches|pull request|remote-tracking|tag|commit)\b"


def read(files: Mapping[str, bytes], problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Recognise such histories among files; files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes, gzip or plain.
        problems: Where a file that has the format and cannot be read is told; else it is raised.
    """
    tables = [name for name in sorted(files) if delimited.header(files[name]) >= _COMMITS]
    folders = [name.rpartition("/")[0] for name in tables]

    def history(name: str) -> list[BenchmarkData]:
        folder, slash, base = name.rpartition("/")
        beside = (f"{folder}{slash}{base.replace('commits', other)}" for other in ("files", "commit_files"))
        pair = next((other for other in beside if other in files and delimited.header(files[other]) >= _FILES), None)
        if pair is None:
            do = "Put them beside it, as sha and path, in a file named like it with files in place of commits"
            raise SourceError("commits without their files", where=name, do=do)
        alone = folder and folders.count(folder) == 1
        title = delimited.folder(name) if alone else f"{folder}{slash}{base.split('.')[0]}"
        return [_history(title, (name, files[name]), (pair, files[pair]))]

    return each(tables, history, problems)


def _history(title: str, commits: tuple[str, bytes], touched: tuple[str, bytes]) -> BenchmarkData:
    header = delimited.header(commits[1])
    parent = next((name for name in ("parents", "parent") if name in header), None)
    notes: list[str] = []
    rows = delimited.read(
        *commits, sorted(_COMMITS), optional=("author_time", *((parent,) if parent else ())), notes=notes
    )
    when = executions.epoch_or_instant(pl.col("commit_time"))
    timed = executions.whole(commits[0], rows.with_columns(committed_at=when), ("sha", "committed_at"), notes)
    merge = pl.col("subject").fill_null("").str.contains(_MERGE)
    if parent:
        merge |= pl.col(parent).fill_null("").str.contains(" ", literal=True)
    single = timed.filter(~merge)
    once = single.unique("sha", keep="first", maintain_order=True).sort("committed_at", "sha")
    twin = ["author", "subject", "author_time" if "author_time" in header else "committed_at"]
    first = once.unique(twin, keep="first", maintain_order=True)
    files = (
        executions.whole(touched[0], delimited.read(*touched, sorted(_FILES), notes=notes), ("sha", "path"), notes)
        .join(first.select("sha", "author", "committed_at"), on="sha")
        .select(repo_id=pl.lit("benchmark"), revision="sha", path="path", author=pl.col("author").fill_null(""),
                committed_at="committed_at", known_at="committed_at")
        .unique(["revision", "path"])
        .sort("known_at", "revision", "path")
    )  # fmt: skip
    return BenchmarkData(
        decision="impact",
        entity="files",
        set=title,
        format="commits and their files (csv)",
        tables={CORE_CHANGES_FILES.name: files},
        protocols=("time_ordered",),
        notes=(
            *notes,
            (
                f"{files['revision'].n_unique()} changes; left out: {timed.height - single.height} merges, "
                f"{single.height - first.height} commits that were there before"
            ),
        ),
    )
