"""What was known of each test at each prediction: its verdicts so far.

Put here what past verdicts say. Moving averages stand in ``recency``, the change under test in ``change_match``.

Every state is computed once a verdict row, in the order in which rows became known, and looked up by
``known_at <= predicted_at``: a later row cannot be seen, whatever the order of rows in the table.
"""

import polars as pl

from models.test_selection.branches import MEMORY, ON_BRANCH, TEST, difference, states, with_branches
from models.test_selection.recency import recent_rates

PRIOR_RATE = 0.05
PRIOR_RUNS = 20.0
"""A repository without history fails one test in twenty: worth twenty verdicts."""

GROUP_ALPHA = 0.3

GROUP = ("repo_id", "group")


def group_of(test_id: pl.Expr) -> pl.Expr:
    """The class of a method, else the package of a class; null for names without parts."""
    # Cutting the last part off is twice as quick as extracting what stands before it.
    group = test_id.str.replace(r"(?:::|\.|/)[^:./]+$", "")
    return pl.when((group != test_id) & (group.str.len_bytes() > 0)).then(group)


def executed(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Verdicts of tests that ran, in the order in which they became known, with the test's group."""
    ran = verdicts.filter(pl.col("verdict") != "skipped").select(
        *("repo_id", "run_id", "test_id", "known_at", "n_attempts", "duration_ms", "file"),
        "run_ended_at",
        failed=(pl.col("verdict") == "failed").cast(pl.Float64),
        flaky=(pl.col("verdict") == "flaky").cast(pl.Float64),
        # Where attempts were not counted, a verdict is that of its only one; flaky ones are then left at a half.
        share=pl.coalesce(
            pl.col("n_failed") / pl.col("n_attempts"),
            pl.col("verdict").replace_strict({"failed": 1.0, "flaky": 0.5}, default=0.0, return_dtype=pl.Float64),
        ),
    )
    # Sorting names, and taking them apart, costs most of all: it is done once a run and a test, not once a row.
    moment = ("known_at", "run_ended_at", "run_id")
    runs = ran.select(moment).unique().sort(moment).with_row_index("run_place")
    tests = ran.select("test_id").unique().sort("test_id").with_row_index("test_place")
    tests = tests.with_columns(group=group_of(pl.col("test_id")))
    placed = ran.join(runs, on=moment, nulls_equal=True).join(tests, on="test_id")
    return placed.sort("run_place", "test_place").drop("run_place", "test_place", "run_ended_at")


def run_states(ran: pl.DataFrame) -> pl.DataFrame:
    """State of a repository after each run: runs so far, failure rate so far, what the last run did."""
    runs = (
        # Results of one run that reached us later stand apart: they must not delay what was known before.
        ran.group_by("repo_id", "run_id", "known_at")
        .agg(
            n=pl.len().cast(pl.Float64),
            n_failed=pl.col("failed").sum(),
            duration=pl.col("duration_ms").mean(),
        )
        .sort("known_at", "run_id")
    )
    so_far = (pl.col("n_failed").cum_sum() + PRIOR_RATE * PRIOR_RUNS) / (pl.col("n").cum_sum() + PRIOR_RUNS)
    return runs.select(
        "repo_id",
        "run_id",
        "known_at",
        n_repo_runs=pl.col("known_at").cum_count().over("repo_id").cast(pl.Float64),
        repo_failure_rate=so_far.over("repo_id"),
        last_run_failed_ratio=(pl.col("n_failed") / pl.col("n")),
        repo_duration_ms=pl.col("duration").forward_fill().ewm_mean(alpha=0.1, ignore_nulls=True).over("repo_id"),
    )


def test_states(ran: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """State of a test after each of its verdicts."""
    index = pl.col("known_at").cum_count().over(TEST)
    indexed = ran.join(
        runs.select("repo_id", "run_id", "known_at", at_run="n_repo_runs"),
        on=("repo_id", "run_id", "known_at"),
        how="left",
        maintain_order="left",
    ).with_columns(index=index.cast(pl.Float64))
    last_failure = pl.when(pl.col("failed") > 0).then(pl.col("index")).forward_fill()
    return indexed.select(
        *TEST,
        "known_at",
        "at_run",
        n_runs="index",
        n_failures=pl.col("failed").cum_sum().over(TEST),
        n_flaky=pl.col("flaky").cum_sum().over(TEST),
        n_failures_last_10=pl.col("failed").rolling_sum(10, min_samples=1).over(TEST),
        runs_since_failure=pl.col("index") - last_failure.over(TEST),
        transition_ratio=(pl.col("failed").diff().abs().fill_null(0.0).ewm_mean(alpha=0.1)).over(TEST),
        expected_duration_ms=pl.col("duration_ms").ewm_mean(alpha=0.3, ignore_nulls=True).forward_fill().over(TEST),
        first_known_at=pl.col("known_at").first().over(TEST),
        duration_spread=pl.col("duration_ms").log1p().ewm_std(alpha=0.3, bias=True, ignore_nulls=True).over(TEST),
        last_known_at=pl.col("known_at"),
        file=pl.col("file").forward_fill().over(TEST),
    )


def group_states(ran: pl.DataFrame) -> pl.DataFrame:
    """State of a group of tests (a class or package) after each run it took part in."""
    return (
        ran.filter(pl.col("group").is_not_null())
        .group_by("repo_id", "group", "run_id", "known_at")
        .agg(failed=pl.col("failed").mean())
        .sort("known_at", "run_id")
        .select(
            "repo_id",
            "group",
            "known_at",
            group_failure_rate=pl.col("failed").ewm_mean(alpha=GROUP_ALPHA).over(GROUP),
        )
    )


def as_known(subjects: pl.DataFrame, states: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """The newest state with ``known_at <= predicted_at`` of each subject; nulls where there is none.

    Args:
        subjects: Sorted by predicted_at.
        states: Sorted by known_at; of equal times the last row holds.
        by: Columns that must be equal.
    """
    return subjects.join_asof(
        states,
        left_on="predicted_at",
        right_on="known_at",
        by=list(by),
        strategy="backward",
        # Both sides are sorted above; polars cannot check that within groups and would warn.
        check_sortedness=False,
        coalesce=False,
    ).drop("known_at")


def history_features(subjects: pl.DataFrame, verdicts: pl.DataFrame, ci_runs: pl.DataFrame) -> pl.DataFrame:
    """Subjects (sorted by predicted_at) with everything that past verdicts say; ``file`` is the test's file.

    Args:
        subjects: Key, predicted_at and ``branch``, null where none is told.
        verdicts: ``core_ci__test_verdicts``.
        ci_runs: ``core_ci__runs``, for the branches of past runs.
    """
    newest = pl.lit(subjects["predicted_at"].max(), pl.Datetime("us"))
    ran = executed(
        verdicts.filter(pl.col("known_at") <= newest).join(
            subjects.select("repo_id").unique(), on="repo_id", how="semi"
        )
    )
    runs = run_states(ran)
    joined = as_known(subjects, test_states(ran, runs), TEST)
    joined = as_known(joined, runs.drop("run_id"), ("repo_id",))
    joined = as_known(joined.with_columns(group=group_of(pl.col("test_id"))), group_states(ran), GROUP)
    return finished(_on_branches(joined, ran, ci_runs), recent_rates(joined, ran))


def _on_branches(subjects: pl.DataFrame, ran: pl.DataFrame, ci_runs: pl.DataFrame) -> pl.DataFrame:
    """Subjects with ``branch_difference``."""
    if subjects["branch"].null_count() == subjects.height:
        return subjects.with_columns(branch_difference=pl.lit(0.0))
    seen = with_branches(ran, ci_runs)
    told = as_known(subjects, states(seen.filter(pl.col("branch").is_not_null()), ON_BRANCH, "branch"), ON_BRANCH)
    both = as_known(told, states(seen, TEST, "all"), TEST)
    return subjects.with_columns(both.select(branch_difference=difference()).to_series())


def finished(joined: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """The columns of history from subjects with the states of test, repository, group and branch, and recent rates."""
    prior = pl.col("repo_failure_rate").fill_null(PRIOR_RATE)
    seconds_a_day = 86_400.0
    return joined.hstack(rates).with_columns(
        *(pl.col(name).fill_null(0.0) for name in ("n_failures", "n_flaky", "n_failures_last_10")),
        branch_80=(pl.col(MEMORY) + pl.col("branch_difference")).clip(0.0, 1.0),
        n_runs=pl.col("n_runs").fill_null(0.0),
        repo_failure_rate=prior,
        is_new=pl.col("n_runs").is_null().cast(pl.Float64),
        runs_absent=pl.col("n_repo_runs") - pl.col("at_run"),
        age_days=(pl.col("predicted_at") - pl.col("first_known_at")).dt.total_seconds() / seconds_a_day,
        days_since_run=(pl.col("predicted_at") - pl.col("last_known_at")).dt.total_seconds() / seconds_a_day,
        expected_duration_ms=pl.coalesce("expected_duration_ms", "repo_duration_ms"),
    )
