"""Why a test is ranked where it is, in words: the facts with the largest share of the log-odds.

Put phrasing here; the numbers come from the estimator.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from models.evidence import strongest
from models.logistic import Floats
from models.test_selection.branches import MEMORY
from models.test_selection.change_links import CLASSES, LINKS
from models.test_selection.recency import ALPHAS

MOST_FACTS = 3
_NONE = pl.lit(None, pl.String)

_HISTORY = (*ALPHAS, "n_failures", "n_failures_last_10", "runs_since_failure", "never_failed", "is_new",
            "transition_ratio")  # fmt: skip


def _count(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0).round(0).cast(pl.Int64)


def _history_fact() -> pl.Expr:
    last = pl.min_horizontal(_count("n_runs"), pl.lit(10))
    return (
        pl.when(pl.col("n_runs") == 0)
        .then(pl.lit("has never run before"))
        .when(pl.col("n_failures") == 0)
        .then(pl.format("never failed in {} runs", _count("n_runs")))
        .when(pl.col("n_failures_last_10") == 0)
        .then(pl.format("last failed {} runs ago", _count("runs_since_failure") + 1))
        .otherwise(pl.format("failed {} of its last {} runs", _count("n_failures_last_10"), last))
    )


def _branch_fact() -> pl.Expr:
    more = pl.col("branch_80") - pl.col(MEMORY)
    return (
        pl.when(more > 0)
        .then(pl.lit("failed more on this branch lately than elsewhere"))
        .when(more < 0)
        .then(pl.lit("failed less on this branch lately than elsewhere"))
        .otherwise(pl.lit("no run on this branch says otherwise"))
    )


def _tie() -> pl.Expr:
    """The surest tie, in the order in which ``change_links`` names its file."""
    path = pl.col("linked_path")
    away = (1 / pl.col("import_nearness")).round(0).cast(pl.Int64, strict=False)
    unknown = pl.all_horizontal(pl.col(name).is_null() for name in LINKS)
    return (
        pl.when(pl.col("execution_pull") > 0)
        .then(pl.format("executes changed file {}", path))
        .when(pl.col("trace_pull") > 0)
        .then(pl.format("ran changed file {} in a trace", path))
        .when((pl.col("import_pull") > 0) & (pl.col("import_nearness") == 1))
        .then(pl.format("imports changed file {}", path))
        .when(pl.col("import_pull") > 0)
        .then(pl.format("imports changed file {} through {} others", path, away - 1))
        .when(pl.col("cochange_share") > 0)
        .then(pl.format("its file changed along with {} before", path))
        .when(unknown)
        .then(pl.lit("no source says what ties it to the change"))
        .otherwise(pl.lit("nothing known ties it to the change"))
    )


def _facts() -> tuple[tuple[tuple[str, ...], pl.Expr, pl.Expr], ...]:
    """(columns that carry it, the fact in words, link)."""
    path = pl.col("matched_path")
    named = (
        pl.when(pl.col("touches_test") > 0)
        .then(pl.format("the change touches the test's own file {}", path))
        .when(pl.col("touches_namesake") > 0)
        .then(pl.format("changed file {} is what the test is named after", path))
        .when(pl.col("path_similarity") > 0)
        .then(pl.format("changed file {} matches the test's path", path))
        .otherwise(pl.lit("no changed file resembles the test's path"))
    )
    together = (
        pl.when(pl.col("n_failed_with_folder") > 0)
        .then(pl.format("failed {} times with changes to the same folder", _count("n_failed_with_folder")))
        .otherwise(pl.lit("never failed with changes to these folders"))
    )
    said = pl.coalesce("semantic_class", pl.lit("of unknown meaning"))
    meaning = pl.format("the change is {}", said.replace({"behaviour": "one of behaviour"}))
    percent = (pl.col("group_failure_rate").fill_null(0) * 100).round(0).cast(pl.Int64)
    whole = (pl.col("last_run_failed_ratio").fill_null(0) * 100).round(0).cast(pl.Int64)
    absent = pl.format("was absent from the last {} runs", _count("runs_absent"))
    size = pl.format("the change has {} lines in {} files", _count("n_lines"), _count("n_files"))
    return (
        (_HISTORY, _history_fact(), _NONE),
        (("on_branch",), _branch_fact(), _NONE),
        (("path_similarity", "touches_test", "touches_namesake"), named, path),
        (LINKS, _tie(), pl.col("linked_path")),
        (CLASSES, meaning, _NONE),
        (("n_failed_with_file", "n_failed_with_folder"), together, path),
        (("n_flaky",), pl.format("was flaky in {} runs", _count("n_flaky")), _NONE),
        (("group_failure_rate",), pl.format("{} % of its class or package failed lately", percent), _NONE),
        (("last_run_failed_ratio", "repo_failure_rate"), pl.format("{} % of tests failed last time", whole), _NONE),
        (("n_files", "n_lines"), size, _NONE),
        (("author_failure_rate",), pl.lit("share of the author's revisions that failed before"), _NONE),
        (("expected_duration_ms",), pl.format("takes about {} ms", _count("expected_duration_ms")), _NONE),
        (("runs_absent",), absent, _NONE),
    )  # fmt: skip


def evidence(features: pl.DataFrame, contributions: Mapping[str, Floats]) -> pl.Series:
    """JSON list of {fact, contribution, link} a row, the strongest first.

    Args:
        features: One row a subject.
        contributions: Part of the log-odds of each design column, shape (n_rows,) each; a model that was trained
            before there was a column has none of it.
    """
    facts = _facts()
    none = np.zeros(features.height)
    parts = np.stack([sum((contributions.get(name, none) for name in names), none) for names, _, _ in facts], axis=1)
    return strongest(features, [(fact, link) for _, fact, link in facts], parts, most=MOST_FACTS)
