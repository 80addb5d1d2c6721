"""An order of tests cut at a time budget, revision by revision: what ``rank-tests --budget`` would have left for later.

Put here how past rows become the lists that the hook makes. Ordering and cutting are ``hooks.rank_tests``' own.
"""

import polars as pl

from weaver_forge.hooks.rank_tests import Budget, cut, ordered


def at_budget(rows: pl.DataFrame, budget: Budget, *, order: str = "", key: str = "test_id") -> pl.DataFrame:
    """Mark what would have waited.

    Args:
        rows: Subjects with unit, predicted_at, the key, expected_duration_ms and the columns that order.
        budget: A share of the expected time, or a time.
        order: Prefix of the ordering columns: empty for what spoke, ``baseline_`` for the named baseline.
        key: Column that names a test.

    Returns:
        The rows, with ``is_taken``, ``is_acted`` and ``is_covered`` as of ``deciding``.
    """
    waits = []
    for (unit, at), group in rows.group_by("unit", "predicted_at", maintain_order=True):
        waits += [(unit, at, name) for name in _waiting(group, budget, order, key)]
    left = pl.DataFrame(
        waits, schema={"unit": pl.String, "predicted_at": rows.schema["predicted_at"], key: pl.String}, orient="row"
    ).with_columns(is_acted=pl.lit(value=True))
    marked = rows.join(left, on=["unit", "predicted_at", key], how="left", maintain_order="left")
    acted = pl.col("is_acted").fill_null(value=False)
    return marked.with_columns(acted.alias("is_acted"), acted.alias("is_taken"), (~acted).alias("is_covered"))


def _waiting(group: pl.DataFrame, budget: Budget, order: str, key: str) -> list[str]:
    listed = group.select(
        pl.col(key).alias("test_id"),
        pl.col(f"{order}score").alias("score"),
        pl.col(f"{order}probability").alias("probability"),
    )
    durations = dict(zip(group[key], group["expected_duration_ms"], strict=True))
    return [test.test_id for test in cut(ordered(listed.to_dicts(), durations), budget).rest]
