"""The features of a change as known when it arrives; their arithmetic is in ``weaver_forge.changes.diff_features``.

Put features that only this decision needs here.
"""

import polars as pl

from weaver_forge.changes import diff_features
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.table import Column

CHANGE_FEATURES: tuple[Column, ...] = tuple(
    Column(name, "DOUBLE", doc, nullable=True) for name, doc in diff_features.CHANGE_COLUMNS
)


def change_features(tables: Tables, subjects: pl.DataFrame) -> pl.DataFrame:
    """One row a subject, in the subjects' order; nulls where the change itself is not known yet."""
    return diff_features.change_features(
        subjects,
        tables["core_changes__changes"],
        tables["core_changes__files"],
        tables["core_changes__blames"],
    )
