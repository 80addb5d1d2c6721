"""Raw git rows -> the changes that decisions reason about.

Git is read from the repository itself, so a change is known from its committer time on (lag 0), and an accusation
by SZZ from the committer time of the fix that makes it: before that nobody could know. Merges are left out; their
changes are those of the commits they bring. Features of a change do not belong here.
"""

import polars as pl

from weaver_forge.changes.fixes import is_fix, reverted
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.changes import CORE_CHANGES_BLAMES, CORE_CHANGES_CHANGES, CORE_CHANGES_FILES

_COMMIT = ("repo_id", "revision")


def core_changes(
    raw_commits: pl.DataFrame, raw_file_changes: pl.DataFrame, raw_blames: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """Make ``core_changes__changes``, ``__files`` and ``__blames`` from the three raw git tables."""
    files = core_files(raw_commits, raw_file_changes)
    rest = core_changes_of(raw_commits, file_sizes(files), raw_blames)
    return {CORE_CHANGES_FILES.name: files, **rest}


def core_files(raw_commits: pl.DataFrame, raw_file_changes: pl.DataFrame) -> pl.DataFrame:
    """Make ``core_changes__files`` of these commits: the file changes of others, and of merges, are left out."""
    commits = _commits(raw_commits).select(*_COMMIT, "author", "committed_at")
    files = raw_file_changes.join(commits, on=_COMMIT).with_columns(
        pl.col("n_added", "n_deleted").fill_null(0), known_at="committed_at"
    )
    return shaped(CORE_CHANGES_FILES, files).sort("committed_at", "revision", "path")


def file_sizes(files: pl.DataFrame) -> pl.DataFrame:
    """A row a change of ``core_changes__files``: repo_id, revision, n_files, n_added, n_deleted."""
    return files.group_by(_COMMIT).agg(
        n_files=pl.len(), n_added=pl.col("n_added").sum(), n_deleted=pl.col("n_deleted").sum()
    )


def core_changes_of(
    raw_commits: pl.DataFrame, sizes: pl.DataFrame, raw_blames: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """Make ``core_changes__changes`` and ``__blames`` where the files were counted before (:func:`file_sizes`)."""
    commits = _commits(raw_commits)
    reverts = _reverts(commits, raw_commits)
    changes = (
        commits.join(sizes, on=_COMMIT, how="left")
        .join(reverts.select(*_COMMIT, "reverts_revision"), on=_COMMIT, how="left")
        .with_columns(
            pl.col("n_files", "n_added", "n_deleted").fill_null(0),
            parent=pl.when(pl.col("parents").str.len_bytes() > 0).then("parents"),
            is_fix=is_fix(pl.col("subject"), pl.col("body")),
            known_at="committed_at",
        )
    )
    return {
        CORE_CHANGES_CHANGES.name: shaped(CORE_CHANGES_CHANGES, changes).sort("committed_at", "revision"),
        CORE_CHANGES_BLAMES.name: _blames(raw_blames, reverts),
    }


def _commits(raw_commits: pl.DataFrame) -> pl.DataFrame:
    return raw_commits.unique(_COMMIT, keep="first", maintain_order=True).filter(
        ~pl.col("parents").str.contains(" ", literal=True)
    )


def _reverts(commits: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Resolve what reverting messages name to full commit ids; an ambiguous abbreviation resolves to nothing."""
    named = commits.with_columns(named=reverted(pl.col("body"))).filter(pl.col("named").is_not_null())
    stem = pl.col("revision").str.slice(0, 7).alias("stem")
    targets = known.select("repo_id", stem, reverts_revision="revision").unique()
    return (
        named.with_columns(stem=pl.col("named").str.slice(0, 7))
        .join(targets, on=("repo_id", "stem"))
        .filter(pl.col("reverts_revision").str.starts_with(pl.col("named")))
        .filter(pl.len().over(_COMMIT) == 1)
    )


def _blames(raw_blames: pl.DataFrame, reverts: pl.DataFrame) -> pl.DataFrame:
    by_lines = (
        raw_blames.filter(pl.col("blamed_revision") != pl.col("fix_revision"))
        .group_by("repo_id", "fix_revision", revision="blamed_revision")
        .agg(n_lines=pl.col("n_lines").sum(), known_at=pl.col("fixed_at").max())
        .with_columns(method=pl.lit("szz_blame"))
    )
    by_message = reverts.select(
        "repo_id",
        revision="reverts_revision",
        fix_revision="revision",
        n_lines=pl.lit(0),
        method=pl.lit("revert_message"),
        known_at="committed_at",
    )
    rows = pl.concat([shaped(CORE_CHANGES_BLAMES, frame) for frame in (by_lines, by_message)])
    return rows.sort("known_at", "fix_revision", "revision", "method")
