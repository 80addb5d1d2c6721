"""What a change looks like against the history before it: size, spread, files, author, time.

Put features of changes here that more than one decision may use; labels and estimators belong to the decisions.
The measures are those of Kamei et al. 2013 ("A large-scale empirical study of just-in-time quality assurance"),
as far as numstat rows give them. Everything is known when the change arrives: states are looked up strictly
before its own arrival, so that neither the change itself nor anything later is seen.
"""

import polars as pl

CHANGE_COLUMNS: tuple[tuple[str, str], ...] = (
    ("lines_added", "Lines added."),
    ("lines_deleted", "Lines deleted."),
    ("n_files", "Files touched."),
    ("n_folders", "Folders touched."),
    ("n_subsystems", "First path components touched."),
    ("entropy", "Spread of changed lines over the files, 0 (one file) to 1 (even)."),
    ("lines_before", "Mean lines of the files before, as far as history shows; null without files."),
    ("is_fix", "1 when the message says it fixes or reverts."),
    ("n_developers", "Most developers that had changed one of its files."),
    ("age_days", "Mean days since the files were last changed; null when all are new."),
    ("n_prior_changes", "Most earlier changes of one of its files."),
    ("n_prior_bugs", "Most earlier changes of one of its files that were known to have introduced a bug."),
    ("n_new_files", "Files without an earlier change."),
    ("author_changes", "Earlier changes by the author."),
    ("author_recent_changes", "The author's changes in the 90 days before."),
    ("author_subsystem_changes", "Most earlier changes by the author in one of its subsystems."),
    ("author_bug_excess", "Share of the author's changes known to have introduced a bug, less that of all; smoothed."),
    ("n_test_files", "Test files touched."),
    ("n_config_files", "Configuration and build files touched."),
    ("hour", "Hour of the commit, UTC."),
    ("weekday", "Day of the week, 1 = Monday."),
    ("n_changes_last_7_days", "Changes of the repository in the seven days before."),
)
"""Name and meaning of every column, all DOUBLE."""

TEST_FILE = r"(?i)(^|/)(tests?|specs?|__tests__)/|(^|/)test_[^/]*$|[^/]*(_test|_spec|\.test|\.spec|tests?)\.[a-z]+$"
CONFIG_FILE = (
    r"(?i)\.(ya?ml|toml|ini|cfg|conf|json|properties|xml|gradle|tf|lock|env)$|(^|/)(dockerfile|makefile)[^/]*$"
)

RECENT_DAYS = 90
_CHANGE = ("repo_id", "revision")


def change_features(
    subjects: pl.DataFrame, changes: pl.DataFrame, files: pl.DataFrame, blames: pl.DataFrame
) -> pl.DataFrame:
    """One row a subject, in order: repo_id, revision, predicted_at and :data:`CHANGE_COLUMNS`.

    Args:
        subjects: repo_id, revision, predicted_at.
        changes: ``core_changes__changes``. A subject without a row known by then has null features.
        files: ``core_changes__files``.
        blames: ``core_changes__blames``.
    """
    key = (*_CHANGE, "predicted_at")
    own = changes.select(
        *_CHANGE, "author", "committed_at", "is_fix", "n_files", "n_added", "n_deleted", arrived_at="known_at"
    )
    base = subjects.select(key).with_row_index("subject").join(own, on=_CHANGE, how="left")
    known = pl.col("arrived_at") <= pl.col("predicted_at")
    hidden = ("author", "committed_at", "is_fix", "n_files", "n_added", "n_deleted", "arrived_at")
    base = base.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in hidden)
    base = base.with_columns(before=pl.min_horizontal("predicted_at", "arrived_at"))
    first_blame = blames.group_by(_CHANGE).agg(known_at=pl.col("known_at").min())
    parts = (
        _spread(base, files),
        _file_history(base, files, first_blame),
        _author_history(base, changes, first_blame),
        _subsystem_experience(base, files),
    )
    joined = base
    for part in parts:
        joined = joined.join(part, on="subject", how="left")
    numbers = joined.with_columns(
        lines_added="n_added",
        lines_deleted="n_deleted",
        hour=pl.col("committed_at").dt.hour(),
        weekday=pl.col("committed_at").dt.weekday(),
    )
    names = [name for name, _ in CHANGE_COLUMNS]
    return numbers.sort("subject").select(*key, *(pl.col(name).cast(pl.Float64) for name in names))


def subsystem(path: pl.Expr) -> pl.Expr:
    """First folder of a path; empty for files at the top."""
    return path.str.extract(r"^([^/]+)/").fill_null("")


def folder(path: pl.Expr) -> pl.Expr:
    """Folder of a path; empty for files at the top."""
    return path.str.extract(r"^(.*)/[^/]*$").fill_null("")


def _touched(base: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Files of the change that were known by the prediction."""
    mine = files.select(*_CHANGE, "path", "n_added", "n_deleted", file_known_at="known_at")
    return (
        base.select("subject", *_CHANGE, "author", "committed_at", "before", "predicted_at")
        .join(mine, on=_CHANGE)
        .filter(pl.col("file_known_at") <= pl.col("predicted_at"))
    )


def _spread(base: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    lines = (pl.col("n_added") + pl.col("n_deleted")).cast(pl.Float64)
    share = lines / lines.sum()
    bits = -pl.when(share > 0).then(share * share.log()).otherwise(0.0).sum()
    path = pl.col("path")
    return (
        _touched(base, files)
        .group_by("subject")
        .agg(
            n_folders=folder(path).n_unique(),
            n_subsystems=subsystem(path).n_unique(),
            entropy=pl.when(pl.len() > 1).then(bits / pl.len().cast(pl.Float64).log()).otherwise(0.0),
            n_test_files=path.str.contains(TEST_FILE).sum(),
            n_config_files=path.str.contains(CONFIG_FILE).sum(),
        )
    )


def _file_history(base: pl.DataFrame, files: pl.DataFrame, first_blame: pl.DataFrame) -> pl.DataFrame:
    """States of each file after each of its changes, looked up strictly before the change arrived."""
    by = ("repo_id", "path")
    past = files.sort("known_at", "committed_at", "revision", "path")
    states = past.select(
        *by,
        "known_at",
        last_at="committed_at",
        n_changes=pl.col("known_at").cum_count().over(by),
        n_authors=pl.struct(*by, "author").is_first_distinct().cast(pl.Int64).cum_sum().over(by),
        n_lines=(pl.col("n_added") - pl.col("n_deleted")).cum_sum().over(by),
    )
    bugs = (
        files.select(*_CHANGE, "path", file_known_at="known_at")
        .join(first_blame, on=_CHANGE)
        .with_columns(known_at=pl.max_horizontal("known_at", "file_known_at"))
        .sort("known_at", "revision", "path")
        .select(*by, "known_at", n_bugs=pl.col("known_at").cum_count().over(by))
    )
    touched = _touched(base, files).sort("before")
    joined = _before(_before(touched, states, by), bugs, by)
    age = (pl.col("before") - pl.col("last_at")).dt.total_seconds() / 86_400
    return joined.group_by("subject").agg(
        lines_before=pl.col("n_lines").fill_null(0).clip(0).mean(),
        n_developers=pl.col("n_authors").fill_null(0).max(),
        age_days=age.clip(0).mean(),
        n_prior_changes=pl.col("n_changes").fill_null(0).max(),
        n_prior_bugs=pl.col("n_bugs").fill_null(0).max(),
        n_new_files=pl.col("n_changes").is_null().sum(),
    )


def _author_history(base: pl.DataFrame, changes: pl.DataFrame, first_blame: pl.DataFrame) -> pl.DataFrame:
    by = ("repo_id", "author")
    past = changes.sort("known_at", "revision")
    count = past.select(*by, "known_at", n=pl.col("known_at").cum_count().over(by))
    whole = past.select("repo_id", "known_at", n=pl.col("known_at").cum_count().over("repo_id"))
    authored = changes.select(*_CHANGE, "author", change_known_at="known_at").join(first_blame, on=_CHANGE)
    blamed_at = pl.max_horizontal("known_at", "change_known_at")
    bugs = authored.with_columns(known_at=blamed_at).sort("known_at", "revision")
    mine = bugs.select(*by, "known_at", bugs=pl.col("known_at").cum_count().over(by))
    all_bugs = bugs.select("repo_id", "known_at", bugs_whole=pl.col("known_at").cum_count().over("repo_id"))
    asked = base.select("subject", "repo_id", "author", "before").sort("before")
    earlier = asked.with_columns(before=pl.col("before") - pl.duration(days=RECENT_DAYS))
    week = asked.with_columns(before=pl.col("before") - pl.duration(days=7))
    counted = (
        _before(_before(asked, count, by), mine, by)
        .join(_before(earlier, count, by).select("subject", n_earlier="n"), on="subject")
        .join(_before(asked, whole, ("repo_id",)).select("subject", n_whole="n"), on="subject")
        .join(_before(asked, all_bugs, ("repo_id",)).select("subject", "bugs_whole"), on="subject")
        .join(_before(week, whole, ("repo_id",)).select("subject", n_whole_earlier="n"), on="subject")
    )
    names = ("n", "n_earlier", "bugs", "n_whole", "n_whole_earlier", "bugs_whole")
    zero = {name: pl.col(name).fill_null(0) for name in names}
    share = zero["bugs_whole"] / pl.max_horizontal(zero["n_whole"], 1)
    # An author without a name (a change that is not known) has no experience to speak of: null.
    named = pl.when(pl.col("author").is_not_null())
    return counted.select(
        "subject",
        author_changes=named.then(zero["n"]),
        author_recent_changes=named.then(zero["n"] - zero["n_earlier"]),
        # Against everybody's share: blame comes late, so that every share grows with the age of the history.
        author_bug_excess=named.then((zero["bugs"] + 10 * share) / (zero["n"] + 10) - share),
        n_changes_last_7_days=zero["n_whole"] - zero["n_whole_earlier"],
    )


def _subsystem_experience(base: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    by = ("repo_id", "author", "subsystem")
    part = subsystem(pl.col("path"))
    past = (
        files.select(*_CHANGE, "author", "known_at", subsystem=part)
        .unique()
        .sort("known_at", "revision", "subsystem")
        .select(*by, "known_at", n=pl.col("known_at").cum_count().over(by))
    )
    asked = (
        _touched(base, files).select("subject", "repo_id", "author", "before", subsystem=part).unique().sort("before")
    )
    return _before(asked, past, by).group_by("subject").agg(author_subsystem_changes=pl.col("n").fill_null(0).max())


def _before(asked: pl.DataFrame, states: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """The newest state known strictly before; both sides sorted, nulls where there is none."""
    return asked.join_asof(
        states,
        left_on="before",
        right_on="known_at",
        by=list(by),
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,  # sorted above; polars cannot check that within groups and would warn
    )
