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

from weaver_forge.benchmarks import BenchmarkData, delimited
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES

_COMMITS = frozenset({"sha", "author", "commit_time", "subject"})
_FILES = frozenset({"sha", "path"})
_MERGE = r"^Merge (branch|branches|pull request|remote-tracking|tag|commit)\b"


def read(files: Mapping[str, bytes]) -> list[BenchmarkData]:
    """Recognise such histories among files; files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes, gzip or plain.
    """
    tables = [name for name in sorted(files) if delimited.header(files[name]) >= _COMMITS]
    folders = [name.rpartition("/")[0] for name in tables]
    found = []
    for name in tables:
        folder, slash, base = name.rpartition("/")
        beside = (f"{folder}{slash}{base.replace('commits', other)}" for other in ("files", "commit_files"))
        pair = next((other for other in beside if other in files and delimited.header(files[other]) >= _FILES), None)
        if pair is not None:
            title = (
                delimited.folder(name)
                if folder and folders.count(folder) == 1
                else f"{folder}{slash}{base.split('.')[0]}"
            )
            found.append(_history(title, (name, files[name]), (pair, files[pair])))
    return found


def _history(title: str, commits: tuple[str, bytes], touched: tuple[str, bytes]) -> BenchmarkData:
    header = delimited.header(commits[1])
    parent = next((name for name in ("parents", "parent") if name in header), None)
    optional = [name for name in (parent, "author_time") if name in header]
    rows = delimited.read(*commits, [*sorted(_COMMITS), *(name for name in optional if name)])
    timed = rows.with_columns(pl.col("commit_time").cast(pl.Int64, strict=False)).drop_nulls(["sha", "commit_time"])
    merge = pl.col("subject").fill_null("").str.contains(_MERGE)
    if parent:
        merge |= pl.col(parent).fill_null("").str.contains(" ", literal=True)
    single = timed.filter(~merge).unique("sha", keep="first", maintain_order=True).sort("commit_time", "sha")
    twin = ["author", "subject", "author_time" if "author_time" in header else "commit_time"]
    first = single.unique(twin, keep="first", maintain_order=True)
    known = pl.from_epoch(pl.col("commit_time")).cast(pl.Datetime("us"))
    files = (
        delimited.read(*touched, sorted(_FILES))
        .drop_nulls()
        .join(first.select("sha", "author", committed_at=known), on="sha")
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
            (
                f"{files['revision'].n_unique()} changes; left out: {timed.height - single.height} merges, "
                f"{single.height - first.height} commits that were there before"
            ),
        ),
    )
