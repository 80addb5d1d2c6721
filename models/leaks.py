"""Whether features and labels keep to what was known: the same question to whole tables and to tables cut in time.

Put here how a look into the future is found and said. A feature of a subject may use only rows with
``known_at <= predicted_at``, so it must not change when later rows are taken away; nor may a label as of an instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from models.replaying import CutTables
from weaver_forge.contracts.decision import SubjectKind, Tables
from weaver_forge.errors import ContractError

INSTANTS = 4
"""Instants of the window at which tables are cut."""

SUBJECTS = 200
"""Newest subjects at each of them."""

TOLERANCE = 1e-9
"""Relative difference of two sums over the same rows in another order."""

_LABELS = ("outcome", "maturity", "outcome_known_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakCheck:
    """What was looked at, and that nothing was found: a leak is an error."""

    n_subjects: int
    n_instants: int
    n_features: int


def check_leaks(decision: str, kind: SubjectKind, tables: Tables, subjects: pl.DataFrame) -> LeakCheck:
    """Compare features and labels from whole tables with those from tables cut at the time of the prediction.

    Args:
        decision: Its name, for messages.
        kind: The subject kind.
        tables: Whole tables.
        subjects: Key and predicted_at.

    Raises:
        ContractError: If one knows the future; names the feature and the subject.
    """
    checked = [_checked(decision, kind, tables, subjects, at) for at in _instants(subjects)]
    return LeakCheck(n_subjects=sum(checked), n_instants=len(checked), n_features=len(kind.feature_columns))


def _instants(subjects: pl.DataFrame) -> list[datetime]:
    times = subjects["predicted_at"].unique().sort().to_list() if not subjects.is_empty() else []
    n = min(INSTANTS, len(times))
    return [times[(len(times) - 1) * number // max(n - 1, 1)] for number in range(n)]


def _checked(decision: str, kind: SubjectKind, tables: Tables, subjects: pl.DataFrame, at: datetime) -> int:
    """Check the subjects of an instant, and those just before it: for them a look beyond the instant is found."""
    by = list(kind.subject_columns)
    newest = subjects.filter(pl.col("predicted_at") <= at).sort("predicted_at", *kind.key_names)
    sample = newest.tail(SUBJECTS)
    then = CutTables(tables, at)
    names = [column.name for column in kind.feature_columns]
    with_all, with_past = (kind.features(known, sample).sort(by).select(*by, *names) for known in (tables, then))
    _same(f"the feature {{}} of {decision}, {kind.entity}", kind, names, with_all, with_past, at)
    with_all, with_past = (kind.labels(known, sample, at).sort(by).select(*by, *_LABELS) for known in (tables, then))
    _same(f"the label's {{}} of {decision}, {kind.entity}", kind, list(_LABELS), with_all, with_past, at)
    return sample.height


def _same(
    what: str, kind: SubjectKind, names: list[str], with_all: pl.DataFrame, with_past: pl.DataFrame, at: datetime
) -> None:
    for name in names:
        other = with_all.with_columns(with_past[name].alias("as_known")).filter(_differs(name, with_all.schema[name]))
        if other.is_empty():
            continue
        row = other.row(0, named=True)
        raise ContractError(
            f"{what.format(name)} knows the future: for {_named(kind, row)}, predicted at {row['predicted_at']}, it is"
            f" {row[name]} with all rows and {row['as_known']} with those known at {at}; so for {other.height} of"
            f" {with_all.height} subjects looked at",
            where="the decision's package",
            do="Use only rows with known_at <= predicted_at of each subject",
        )


def _differs(name: str, kind: Any) -> pl.Expr:
    now, then = pl.col(name), pl.col("as_known")
    if not kind.is_float():
        return now.ne_missing(then)
    far = (now - then).abs() > TOLERANCE * pl.max_horizontal(now.abs(), pl.lit(1.0))
    return (
        far.fill_null(value=False)
        | (now.is_null() != then.is_null())
        | (now.is_nan() != then.is_nan()).fill_null(value=False)
    )


def _named(kind: SubjectKind, row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in kind.key_names)
