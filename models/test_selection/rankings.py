"""Rankings: the tests of one revision at one time, told apart by a number.

Put here how rows are numbered by ranking; what is said of a ranking stands with what says it.
"""

import polars as pl

MOMENT = ("repo_id", "revision", "predicted_at")
"""What makes a ranking."""


def numbered(subjects: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rankings (:data:`MOMENT` and ``ranking``), and the subjects in their order with the ranking of each.

    Args:
        subjects: With :data:`MOMENT`.
    """
    rankings = subjects.select(MOMENT).unique().sort(MOMENT).with_row_index("ranking")
    if rankings.height == 1:  # as where somebody waits: nothing to look up
        return rankings, subjects.with_columns(ranking=pl.lit(0, pl.UInt32))
    return rankings, subjects.join(rankings, on=MOMENT, how="left", maintain_order="left")


def tests_of(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """These columns of the distinct tests, as they come; one ranking holds each test once.

    Args:
        rows: As of :func:`numbered`.
        columns: What tells tests apart.
    """
    tests = rows.select(columns)
    return tests if rows["ranking"].n_unique() == 1 else tests.unique(maintain_order=True)
