"""Tables of commits and their files beside a test history -> the changes that were built.

Put here how commits of a benchmark's folder become the change under test. A history of commits of its own is
``git_history``'s.
"""

from collections.abc import Mapping

import polars as pl

from weaver_forge.benchmarks import delimited, executions
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES

_COMMITS = frozenset({"sha", "author", "commit_time"})
_FILES = frozenset({"sha", "path"})


def built_commits(
    name: str, files: Mapping[str, bytes], moments: pl.DataFrame, notes: list[str]
) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """Changes and files of the commits that were built; a revision here is ``commit+build``.

    Commits that no build tested are left out: only the change under test and past failures are compared.

    Args:
        name: The file beside which the commits stand.
        files: Path below the given folder -> bytes.
        moments: revision and started_at of each build.
        notes: Where it is told that nothing is known of any change.
    """
    commits_name = delimited.beside(name, files, _COMMITS)
    files_name = delimited.beside(name, files, _FILES, other_than=(commits_name or "",))
    if commits_name is None or files_name is None:
        lacking = "commits" if commits_name is None else "files of commits"
        notes.append(f"{name}: no {lacking} beside it, so it is measured without changes")
        return None, None
    commits = delimited.read(
        commits_name, files[commits_name], ("sha", "author", "commit_time"), optional=("subject",), notes=notes
    ).unique("sha", keep="first", maintain_order=True)
    touched = (
        delimited.read(files_name, files[files_name], ("sha", "path"), optional=("added", "deleted"), notes=notes)
        .filter(pl.col("path").is_not_null())
        .unique(["sha", "path"], keep="first", maintain_order=True)
    )
    repo = pl.lit("benchmark").alias("repo_id")
    built = moments.with_columns(sha=pl.col("revision").str.extract(r"^([^+]+)"))
    # Known by the start of the build at the latest, whatever the committer's clock said.
    at = pl.min_horizontal(executions.epoch_or_instant(pl.col("commit_time")), "started_at")
    joined = built.join(commits, on="sha").with_columns(committed_at=at, known_at=at)
    if joined.is_empty():
        notes.append(f"{commits_name}: none of these commits was built, so it is measured without changes")
    lines = {name: pl.col(name).cast(pl.Int64, strict=False).fill_null(0) for name in ("added", "deleted")}
    changed = joined.join(touched, on="sha").select(
        repo,
        "revision",
        "path",
        "author",
        "committed_at",
        "known_at",
        n_added=lines["added"],
        n_deleted=lines["deleted"],
    )
    sums = changed.group_by("revision").agg(
        n_files=pl.len(), n_added=pl.col("n_added").sum(), n_deleted=pl.col("n_deleted").sum()
    )
    changes = joined.join(sums, on="revision", how="left").select(
        repo, "revision", "author", "committed_at", "known_at", subject=pl.col("subject").fill_null(""),
        is_fix=pl.lit(False), n_files=pl.col("n_files").fill_null(0), n_added=pl.col("n_added").fill_null(0),
        n_deleted=pl.col("n_deleted").fill_null(0),
    )  # fmt: skip
    return (
        shaped(CORE_CHANGES_CHANGES, changes).sort("revision"),
        shaped(CORE_CHANGES_FILES, changed).sort("revision", "path"),
    )
