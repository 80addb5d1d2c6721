"""Tests that are known before any of their results is: from coverage, or as the test files of the newest tree.

Put here what stands in for results where a repository has none; with the first result, tests are those that ran.
"""

from datetime import datetime

import polars as pl

from models.test_selection.change_links import read
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES
from weaver_forge.contracts.tables.imports import CORE_CHANGES_IMPORTS, CORE_CHANGES_TREES
from weaver_forge.links.impact.import_times import held_at

_TEST = ("repo_id", "test_id")
_TEST_FILE = r"(^|/)(test_[^/]*|[^/]*_test)\.py$"
"""What pytest collects by default."""


def tests_without_results(tables: Tables, as_of: datetime, having: pl.Series) -> pl.DataFrame:
    """repo_id and test_id of repositories without results: measured tests, else test files in place of theirs.

    Args:
        tables: As the spec declares them.
        as_of: Now.
        having: Repositories with results; these are left out.
    """
    reports, imports = (read(tables, table) for table in (CORE_COVERAGE_TEST_FILES, CORE_CHANGES_IMPORTS))
    if reports.is_empty() and imports.is_empty():
        return reports.select(_TEST)
    known = ~pl.col("repo_id").is_in(having.implode()), pl.col("known_at") <= as_of
    covered = reports.filter(*known, pl.col("kind") == "test").select(_TEST).unique()
    edges = held_at(imports.filter(*known), as_of)
    files = (
        edges.filter(pl.col("path").str.contains(_TEST_FILE))
        .select("repo_id", test_id="path")
        .unique()
        .join(covered, on="repo_id", how="anti")
    )
    return pl.concat([covered, files]).sort(_TEST)


def newest_of_links(tables: Tables, as_of: datetime) -> pl.DataFrame:
    """When the newest tree or report of coverage that was known became so: repo_id, links_known_at."""
    sources = [
        read(tables, table).filter(pl.col("known_at") <= as_of).group_by("repo_id").agg(pl.col("known_at").max())
        for table in (CORE_COVERAGE_TEST_FILES, CORE_CHANGES_TREES)
    ]
    return pl.concat(sources).group_by("repo_id").agg(links_known_at=pl.col("known_at").max())
