"""Why a change or deployment is risky, in words: the facts with the largest share of the log-odds.

Put phrasing here; the numbers come from the estimator.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from models.evidence import strongest
from models.logistic import Floats

MOST_FACTS = 4
_FACTS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        ("lines_added", "lines_deleted", "lines_per_file"),
        "{} lines added, {} deleted",
        ("lines_added", "lines_deleted"),
    ),
    (("n_files", "n_folders", "n_subsystems", "entropy"), "touches {} files in {} folders", ("n_files", "n_folders")),
    (("n_prior_bugs",), "one of its files introduced {} known bugs before", ("n_prior_bugs",)),
    (("n_prior_changes", "age_days"), "its busiest file changed {} times before", ("n_prior_changes",)),
    (("n_developers",), "{} developers changed one of its files before", ("n_developers",)),
    (("lines_before",), "its files have about {} lines", ("lines_before",)),
    (("n_new_files",), "{} new files", ("n_new_files",)),
    (
        ("author_changes", "author_recent_changes", "author_subsystem_changes"),
        "the author made {} changes before, {} of them lately",
        ("author_changes", "author_recent_changes"),
    ),
    (("author_bug_excess",), "how often the author's changes introduced bugs, against all", ()),
    (("n_test_files",), "touches {} test files", ("n_test_files",)),
    (("n_config_files",), "touches {} configuration files", ("n_config_files",)),
    (("is_fix",), "whether the message says it is a fix: {}", ("is_fix",)),
    (("off_hours",), "comes at {}:00 UTC on day {} of the week", ("hour", "weekday")),
    (("n_changes_last_7_days",), "{} changes in the week before", ("n_changes_last_7_days",)),
    (("n_changes", "n_fixes", "n_authors"), "carries {} changes, {} of them fixes", ("n_changes", "n_fixes")),
    (("largest_change_lines", "mean_change_lines"), "its largest change has {} lines", ("largest_change_lines",)),
    (("least_author_changes",), "its least experienced author made {} changes before", ("least_author_changes",)),
    (("hours_since_deployment",), "{} hours since the previous deployment", ("hours_since_deployment",)),
    (("bad_deployment_ratio",), "how many of its {} deployments before were rolled back", ("n_deployments",)),
    (("telemetry_score",), "how well its telemetry keeps to the conventions: {} of 1", ("telemetry_score",)),
    (("n_incidents_last_7_days",), "{} incidents of the service in the week before", ("n_incidents_last_7_days",)),
)


def evidence(features: pl.DataFrame, contributions: Mapping[str, Floats]) -> pl.Series:
    """JSON list of {fact, contribution, link} a row, the strongest first.

    Args:
        features: One row a subject.
        contributions: Part of the log-odds of each column, shape (n_rows,) each.
    """
    used = [
        (text, shown, [contributions[name] for name in names if name in contributions])
        for names, text, shown in _FACTS
        if any(name in contributions for name in names)
    ]
    parts = np.stack([np.sum(some, axis=0) for _, _, some in used], axis=1)
    nowhere = pl.lit(None, pl.String)
    facts = [(_fact(features, text, shown), nowhere) for text, shown, _ in used]
    return strongest(features, facts, parts, most=MOST_FACTS)


def _fact(features: pl.DataFrame, text: str, shown: tuple[str, ...]) -> pl.Expr:
    """The fact with its numbers; "unknown" where one is null."""
    numbers = [
        pl.col(name).round(0).cast(pl.Int64).cast(pl.String).fill_null("unknown")
        if name in features.columns
        else pl.lit("unknown")
        for name in shown
    ]
    return pl.format(text, *numbers) if numbers else pl.lit(text)
