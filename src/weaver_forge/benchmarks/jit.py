"""Tables of changes with Kamei's features and a bug label -> the features and labels of ``deploy_risk`` changes.

Put a format of such tables here. Columns that a format lacks are null: the estimator takes null as missing.
"""

from collections.abc import Mapping

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited, each
from weaver_forge.changes.diff_features import CHANGE_COLUMNS
from weaver_forge.errors import WeaverForgeError

_KAMEI = {
    "lines_added": "la", "lines_deleted": "ld", "n_files": "nf", "n_folders": "nd", "n_subsystems": "ns",
    "entropy": "entrophy", "lines_before": "lt", "is_fix": "fix", "n_developers": "ndev", "age_days": "age",
    "n_prior_changes": "nuc", "author_changes": "exp", "author_recent_changes": "rexp",
    "author_subsystem_changes": "sexp",
}  # fmt: skip
_COLUMNS = frozenset({"_id", "date", "bug", *_KAMEI.values()})


def read(files: Mapping[str, bytes], problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Recognise such tables among files; files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes, gzip or plain.
        problems: Where a file that has the format and cannot be read is told; else it is raised.
    """
    titles = delimited.titles([name for name in sorted(files) if delimited.header(files[name]) >= _COLUMNS])
    return each(titles, lambda name: [_kamei(name, titles[name], files[name])], problems)


def _kamei(name: str, title: str, data: bytes) -> BenchmarkData:
    """``_id, date`` (unix seconds), ``bug`` and fourteen features, one row a commit, in file order."""
    rows = delimited.read(name, data, sorted(_COLUMNS)).with_row_index("place")
    key = {
        "repo_id": pl.lit("benchmark"),
        "revision": pl.col("_id"),
        # File order is the order of time; equal or backward dates do not change it.
        "predicted_at": pl.from_epoch(pl.col("date").cast(pl.Int64).cum_max()).cast(pl.Datetime("us"))
        + pl.duration(microseconds=pl.col("place")),
    }
    numbers = {
        column: pl.col(_KAMEI[column]).cast(pl.Float64) if column in _KAMEI else pl.lit(None, pl.Float64)
        for column, _ in CHANGE_COLUMNS
    }
    bug = pl.col("bug").str.to_lowercase().is_in(["1", "1.0", "true"]).cast(pl.Float64)
    effort = pl.col("la").cast(pl.Float64) + pl.col("ld").cast(pl.Float64) + 1
    return BenchmarkData(
        decision="deploy_risk",
        entity="changes",
        set=title,
        format="changes with Kamei's features (csv)",
        frames={
            "features": rows.select(**key, **numbers),
            "labels": rows.select(**key, outcome=bug, cost=effort),
        },
        protocols=("time_ordered",),
        notes=("a label is known at once: the format says nothing of when a bug was found",),
    )
