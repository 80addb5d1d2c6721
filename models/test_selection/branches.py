"""What a test did on the branch of a run, where that is not what it did everywhere.

Put here what depends on a branch; averages over all runs are in ``recency``. What a branch says stands in place of as
many of all runs as the branch has, but not of all of it: what fails elsewhere can come over with the next merge.
"""

import polars as pl

from models.test_selection.recency import ALPHAS, PRIOR_WEIGHT

MEMORY = "ewma_80"
"""The average that a branch corrects: a branch is a matter of its last runs."""

COUNTS = 0.8
"""Part of what was seen elsewhere that the branch's own runs overrule; the rest of it stands."""

LEAST = 1e-6
"""Differences below this are none: a test that failed long ago needs no row for each branch."""

TEST = ("repo_id", "test_id")
ON_BRANCH = (*TEST, "branch")

_MERGE_REQUEST = r"^(refs/merge-requests/\d+)/(?:head|merge)$"


def line(branch: pl.Expr) -> pl.Expr:
    """The branch that runs have in common: a merge request is tested by its head, and as merged."""
    return branch.str.replace(_MERGE_REQUEST, "$1")


def branch_of_revisions(runs: pl.DataFrame) -> pl.DataFrame:
    """repo_id, revision and the branch on which its first run that tells one began.

    Args:
        runs: ``core_ci__runs``; the branch is known as soon as a run begins, whatever ``known_at`` says of its end.
    """
    told = runs.filter(pl.col("branch").is_not_null(), pl.col("revision").is_not_null())
    first = told.sort("started_at", "run_id", "run_attempt").unique(
        ("repo_id", "revision"), keep="first", maintain_order=True
    )
    return first.select("repo_id", "revision", branch=line(pl.col("branch")))


def with_branches(ran: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Results of tests that ever failed an attempt, with the branch of their run, null where none is told.

    Of a test that never failed no branch says anything else than all of them, so that its results are left out.

    Args:
        ran: As of ``verdict_history.executed``.
        runs: ``core_ci__runs``.
    """
    of_runs = (
        runs.filter(pl.col("branch").is_not_null())
        .sort("started_at", "run_attempt")
        .unique(("repo_id", "run_id"), keep="first", maintain_order=True)
        .select("repo_id", "run_id", branch=line(pl.col("branch")))
    )
    failing = ran.filter(pl.col("share") > 0).select(TEST).unique()
    seen = ran.select(*TEST, "run_id", "known_at", "share").join(failing, on=TEST, how="semi", maintain_order="left")
    return seen.join(of_runs, on=("repo_id", "run_id"), how="left", maintain_order="left")


def states(seen: pl.DataFrame, by: tuple[str, ...], prefix: str) -> pl.DataFrame:
    """Mean share of failed attempts and weight of the runs behind it, after each result.

    Args:
        seen: As of :func:`with_branches`.
        by: :data:`TEST` or :data:`ON_BRANCH`.
        prefix: Of the two columns, ``<prefix>_mean`` and ``<prefix>_weight``.
    """
    alpha = ALPHAS[MEMORY]
    weight = (1 - (1 - alpha) ** pl.col("known_at").cum_count().over(by).cast(pl.Float64)) / alpha
    mean = pl.col("share").ewm_mean(alpha=alpha).over(by)
    return seen.select(*by, "known_at", weight.alias(f"{prefix}_weight"), mean.alias(f"{prefix}_mean"))


def difference() -> pl.Expr:
    """What a branch adds to the average, of the states with prefix ``branch`` and ``all``; 0 where it says nothing."""
    apart = pl.col("branch_mean") - pl.col("all_mean")
    said = COUNTS * pl.col("branch_weight") * apart / (pl.col("all_weight") + PRIOR_WEIGHT)
    return pl.when(said.abs() >= LEAST).then(said).otherwise(0.0)


def kept_branches(ran: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """repo_id, branch, test_id and ``branch_difference`` after all these results, where there is any."""
    seen = with_branches(ran, runs)
    everywhere = states(seen, TEST, "all").drop("known_at").unique(TEST, keep="last", maintain_order=True)
    told = seen.filter(pl.col("branch").is_not_null())
    there = states(told, ON_BRANCH, "branch").drop("known_at").unique(ON_BRANCH, keep="last", maintain_order=True)
    made = there.join(everywhere, on=TEST).select(*ON_BRANCH, branch_difference=difference())
    return made.filter(pl.col("branch_difference") != 0).sort(ON_BRANCH)
