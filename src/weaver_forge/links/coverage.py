"""Coverage reports -> the map from tests to files, joined to the tests that reports know.

A map is of the revision given with it, else of the run it names. The newest report that has a test holds for that test;
choosing it at an instant is for a feature, so all are kept with the time from which they were known.
"""

import polars as pl

from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES
from weaver_forge.links.ci import UNKNOWN_REPO


def core_coverage(
    raw_coverage: pl.DataFrame, runs: pl.DataFrame, results: pl.DataFrame, raw_commits: pl.DataFrame
) -> pl.DataFrame:
    """Make ``core_coverage__test_files``.

    Args:
        raw_coverage: ``raw_coverage__test_files``.
        runs: ``core_ci__runs``.
        results: ``core_ci__test_results``.
        raw_commits: ``raw_git__commits``; where it has one repository alone, a report without one is from it.
    """
    repos = raw_commits["repo_id"].unique().to_list()
    fallback = repos[0] if len(repos) == 1 else UNKNOWN_REPO
    measured = runs.sort("run_attempt").group_by("repo_id", "run_id").agg(pl.col("revision").last())
    owners = measured.group_by("run_id").agg(owner=pl.col("repo_id").unique()).filter(pl.col("owner").list.len() == 1)
    known = results.select("repo_id", "test_id", is_known_test=pl.lit(value=True)).unique()
    rows = (
        raw_coverage.filter(pl.col("kind") != "other")
        .join(owners.with_columns(pl.col("owner").list.first()), on="run_id", how="left")
        .with_columns(repo_id=pl.coalesce("repo_id", "owner", pl.lit(fallback)))
        .join(measured.rename({"revision": "run_revision"}), on=["repo_id", "run_id"], how="left")
        .join(known, on=["repo_id", "test_id"], how="left")
        .with_columns(
            revision=pl.coalesce("revision", "run_revision"),
            is_known_test=pl.col("is_known_test").fill_null(value=False),
            known_at="received_at",
        )
        # The same report told twice is one; told with its revision it says more.
        .sort(pl.col("revision").is_null(), "context")
        .unique(CORE_COVERAGE_TEST_FILES.key, keep="first", maintain_order=True)
    )
    return shaped(CORE_COVERAGE_TEST_FILES, rows).sort("known_at", *CORE_COVERAGE_TEST_FILES.key)
