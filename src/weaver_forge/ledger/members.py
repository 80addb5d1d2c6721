"""Which predictions a cluster has, and what each of them takes by its mean so far: what lets a part be made anew.

Pure frames in, frames out; reading is ``queries_trials``', the order of things ``gathering``'s.
"""

import polars as pl

from weaver_forge.contracts.decision import SubjectKind
from weaver_forge.ledger.queries_trials import NO_DURATION, PLACE, cluster, lasting, same


def members_of(said: pl.DataFrame, kind: SubjectKind, *, is_lasting: bool) -> pl.DataFrame:
    """A row a prediction, in the order of the chain: ``cluster``, its place, and with durations what they rest on.

    Args:
        said: Predictions as ``queries_trials.whole`` gives them.
        kind: Of the decision's subjects.
        is_lasting: Whether a threshold depends on how long something takes.
    """
    rows = said.select(cluster(kind), *PLACE, *(_rests_on(kind) if is_lasting else ()))
    return rows.with_columns(lasting(rows)) if is_lasting else rows


def grown(
    members: pl.DataFrame, added: pl.DataFrame, seen: pl.DataFrame, kind: SubjectKind, *, is_lasting: bool
) -> tuple[pl.DataFrame, pl.Series]:
    """The members with what came since, and the clusters in which a mean moved because of it.

    Args:
        members: As they were.
        added: New predictions.
        seen: Earlier ones of whose outcomes more was said.
        kind: Of the decision's subjects.
        is_lasting: As it was for ``members``.
    """
    if not is_lasting:
        return pl.concat([members, members_of(added, kind, is_lasting=False)]), members["cluster"].clear()
    before = members.rename({"duration_ms": "was"}).update(
        seen.select(*PLACE, "cost"), on=PLACE, how="left", include_nulls=True
    )
    new = added.select(cluster(kind), *PLACE, *_rests_on(kind)).with_columns(NO_DURATION.alias("was"))
    rows = pl.concat([before, new])
    rows = rows.with_columns(lasting(rows))
    moved = rows.filter(pl.col("was").ne_missing(pl.col("duration_ms")))["cluster"]
    return rows.drop("was"), moved


def of_clusters(members: pl.DataFrame, clusters: pl.Series) -> pl.DataFrame:
    """The members of some clusters."""
    return members.join(clusters.unique().to_frame("cluster"), on="cluster", how="semi", maintain_order="left")


def with_durations(said: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Predictions with the ``duration_ms`` that their members know; null where no threshold depends on it."""
    if "duration_ms" not in members.columns:
        return said.with_columns(NO_DURATION)
    return said.join(members.select(*PLACE, "duration_ms"), on=PLACE, how="left", maintain_order="left")


def _rests_on(kind: SubjectKind) -> tuple[pl.Expr, ...]:
    return same(kind), pl.col("predicted_at"), pl.col("cost")
