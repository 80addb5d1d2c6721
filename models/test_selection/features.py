"""The features of a test on a revision, as known when the prediction is for.

Put the list of columns and their assembly here; verdict history and change matching have modules of their own.
"""

import polars as pl

from models.test_selection import change_links
from models.test_selection.change_match import change_features
from models.test_selection.kept import Kept
from models.test_selection.recency import ALPHAS, BESIDE, CHOSEN, MEMORIES, WIDTHS
from models.test_selection.verdict_history import history_features
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.table import Column

_HISTORY = (
    *(
        Column(name, "DOUBLE", f"Moving average of failed attempts over past runs, alpha {alpha}; new: the rate.")
        for name, alpha in ALPHAS.items()
    ),
    Column("branch_80", "DOUBLE", "As ewma_80, runs on the run's branch in place of as many others; it, if none told."),
    *(
        Column(f"near_{memory}_{width}", "DOUBLE", f"Recent failures of {width} known tests on either side by name.")
        for memory in MEMORIES
        for width in WIDTHS
    ),
    *(Column(name, "DOUBLE", "Mean rate of the next tests in the ranking, by name.") for name in BESIDE),
    *(Column(name, "DOUBLE", "Share of the next known tests, by name, that the ranking holds.") for name in CHOSEN),
    Column("name_place", "DOUBLE", "Place in the ranking by name, 0-1."),
    Column("n_runs", "DOUBLE", "Past runs of the test."),
    Column("n_failures", "DOUBLE", "Past failures."),
    Column("n_flaky", "DOUBLE", "Past runs with both outcomes."),
    Column("n_failures_last_10", "DOUBLE", "Failures in its last ten runs."),
    Column("runs_since_failure", "DOUBLE", "Runs since its last failure, 0 = the last; null = never.", nullable=True),
    Column("transition_ratio", "DOUBLE", "Moving average of changes of outcome; null when new.", nullable=True),
    Column("is_new", "DOUBLE", "1 when it never ran before."),
    Column("runs_absent", "DOUBLE", "Runs of the repository since it last ran; null when new.", nullable=True),
    Column("age_days", "DOUBLE", "Days since its first result; null when new.", nullable=True),
    Column("days_since_run", "DOUBLE", "Days since its last result; null when new.", nullable=True),
    Column("expected_duration_ms", "DOUBLE", "Average of past durations; null when none is known.", nullable=True),
    Column("duration_spread", "DOUBLE", "Spread of past durations, as a logarithm; null when new.", nullable=True),
    Column("repo_failure_rate", "DOUBLE", "Share of all past verdicts of the repository that failed."),
    Column("last_run_failed_ratio", "DOUBLE", "Share of tests failing in the last run; null = none.", nullable=True),
    Column("group_failure_rate", "DOUBLE", "The same average for its class or package; null = none.", nullable=True),
)
_CHANGE = (
    Column("n_files", "DOUBLE", "Files of the change; null when the change is not known.", nullable=True),
    Column("n_lines", "DOUBLE", "Lines of the change; null when not known.", nullable=True),
    Column(
        "path_similarity", "DOUBLE", "Likeness of test and nearest changed file, 0-1; null as above.", nullable=True
    ),
    Column("touches_test", "DOUBLE", "1 when the test's own file changed.", nullable=True),
    Column("touches_namesake", "DOUBLE", "1 when the file that the test is named after changed.", nullable=True),
    Column("n_failed_with_file", "DOUBLE", "Past failures with one of the changed files.", nullable=True),
    Column("n_failed_with_folder", "DOUBLE", "Past failures with one of the changed folders.", nullable=True),
    Column("author_failure_rate", "DOUBLE", "Share of the author's tested revisions that failed.", nullable=True),
    Column("author_changes", "DOUBLE", "Changes that the author made before; null when not known.", nullable=True),
    Column("matched_path", "VARCHAR", "The changed file nearest to the test; null when not known.", nullable=True),
)

FEATURES: tuple[Column, ...] = (*_HISTORY, *_CHANGE, *change_links.COLUMNS)

_ABSENT = ("n_failed_with_file", "n_failed_with_folder", "path_similarity", "touches_test", "touches_namesake")


def features(tables: Tables, subjects: pl.DataFrame) -> pl.DataFrame:
    """One row a subject, in the subjects' order, from rows with ``known_at <= predicted_at`` only.

    Where subjects have a column ``branch``, it is that on which their run began.

    Where what was kept of the results holds for all subjects, they are not read; the matching of changes is then given
    failures and tested revisions in place of all verdicts (``kept.failures``).
    """
    key = ("repo_id", "revision", "test_id", "predicted_at")
    branch = pl.col("branch") if "branch" in subjects.columns else pl.lit(None, pl.String).alias("branch")
    rows = subjects.select(*key, branch).with_row_index("subject").sort("predicted_at")
    kept = Kept.found(tables)
    if kept is not None and kept.holds(rows):
        past, verdicts = kept.history_features(rows), kept.failures
    else:
        verdicts = tables["core_ci__test_verdicts"]
        past = history_features(rows, verdicts, tables["core_ci__runs"])
    files = tables["core_changes__files"]
    meaningful = change_links.meaningful(files, tables)
    changed = change_features(past, tables["core_changes__changes"], files, verdicts, meaningful)
    linked = change_links.link_features(past, tables)
    known = pl.col("n_files").is_not_null()
    joined = past.join(changed, on="subject", how="left").join(linked, on="subject", how="left")
    joined = joined.with_columns(
        # A known change that nothing resembles or ever failed with says 0; an unknown change says nothing.
        pl.when(known).then(pl.col(name).fill_null(0.0)).alias(name)
        for name in _ABSENT
    )
    return joined.sort("subject").select(*key, *(column.name for column in FEATURES))
