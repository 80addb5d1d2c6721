"""Attribute maps under current names: for each old name a span has, the current one beside it.

Vectorised: rules are asked once a distinct key (and kind, and metric), never once a row. Nothing is dropped or
overwritten: originals stay, a current name that is there already holds, and a value that must not be carried over
(see ``renaming``) leaves the old attribute alone.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from weaver_forge.semconv.renaming import LATER, Renaming, Target

PROMOTED: Mapping[str, str] = {
    "http.request.method": "http_request_method",
    "http.response.status_code": "http_response_status_code",
    "http.route": "http_route",
    "rpc.method": "rpc_method",
    "db.system.name": "db_system_name",
    "server.address": "server_address",
    "error.type": "error_type",
}
"""Attributes of ``raw_otlp__spans`` that stand in columns of their own, not in the map."""

FILLED_BY: Mapping[str, str] = {
    "http.request.method": "http.method",
    "http.response.status_code": "http.status_code",
    "db.system.name": "db.system",
    "server.address": "net.peer.name",
}
"""Promoted attribute -> the old name whose value fills its column too, while the old name stays in the map."""

_PAIR = pl.Struct({"key": pl.String, "value": pl.String})


def exploded(frame: pl.DataFrame, column: str = "attributes", keep: tuple[str, ...] = ()) -> pl.DataFrame:
    """One row an attribute: ``row`` (its position in the frame), ``key``, ``value`` and the columns to keep."""
    pairs = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), *keep, pl.col(column).cast(pl.List(_PAIR))
    )
    return pairs.filter(pl.col(column).list.len() > 0).explode(column).unnest(column)


def additions(
    pairs: pl.DataFrame, renaming: Renaming, *, kind: str | None = None, metric: str | None = None
) -> pl.DataFrame:
    """The current attributes that exploded ones stand for: ``row``, ``key``, ``value``; none that is there already.

    Args:
        pairs: Of :func:`exploded`.
        renaming: The rename table.
        kind: Column with the OTLP span kind.
        metric: Column with the metric's name.
    """
    said = [column for column in (kind, metric) if column]
    rules = _rules(pairs.select("key", *said).unique(), renaming, kind, metric)
    if rules.is_empty():
        return pairs.select("row", "key", "value").clear()
    old = pairs.join(rules, on=["key", *said], how="inner", nulls_equal=True)
    carried = _values(old, renaming, kind, metric)
    taken = pairs.join(rules.select(pl.col("new").alias("key")).unique(), on="key", how="semi")
    fresh = carried.join(taken, left_on=["row", "new"], right_on=["row", "key"], how="anti")
    first = fresh.sort("row", "new", "gives_way", "key").unique(["row", "new"], keep="first", maintain_order=True)
    return first.select("row", pl.col("new").alias("key"), "value")


def upgraded(
    frame: pl.DataFrame,
    renaming: Renaming,
    *,
    column: str = "attributes",
    kind: str | None = None,
    metric: str | None = None,
    promoted: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """The frame with the current attributes added to its map.

    Args:
        frame: Spans, points, records, or anything with a map (a list of key and value).
        renaming: The rename table.
        column: The map.
        kind: Column with the OTLP span kind, for spans.
        metric: Column with the metric's name, for points.
        promoted: Attribute -> column, where a value outside the map means that the attribute is there.
    """
    added = additions(exploded(frame, column, tuple(filter(None, (kind, metric)))), renaming, kind=kind, metric=metric)
    for key, name in (promoted or {}).items():
        if name in frame.columns:
            filled = frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), name).drop_nulls(name)
            added = added.join(filled.select("row", pl.lit(key).alias("key")), on=["row", "key"], how="anti")
    if added.is_empty():
        return frame
    lists = added.group_by("row", maintain_order=True).agg(pl.struct("key", "value").alias("_added"))
    rows = frame.with_row_index("_row").join(lists, left_on="_row", right_on="row", how="left", maintain_order="left")
    both = pl.concat_list(pl.col(column).cast(pl.List(_PAIR)), pl.col("_added").fill_null([]))
    return rows.with_columns(pl.coalesce(both, "_added").alias(column)).select(frame.columns)


def _rules(distinct: pl.DataFrame, renaming: Renaming, kind: str | None, metric: str | None) -> pl.DataFrame:
    """Of distinct keys (and kinds, metrics) those that have a current name, with it."""
    found = []
    for row in distinct.iter_rows(named=True):
        target = _target(row, renaming, kind, metric)
        if target is not None:
            found.append({**row, "new": target.key, "gives_way": row["key"] in LATER})
    return pl.DataFrame(found, schema={**distinct.schema, "new": pl.String, "gives_way": pl.Boolean})


def _values(old: pl.DataFrame, renaming: Renaming, kind: str | None, metric: str | None) -> pl.DataFrame:
    """The rows with their value as the current attribute writes it; rows whose value must not be carried are out."""
    said = [column for column in (kind, metric) if column]
    changes: list[tuple[str, str, str, str | None]] = []
    for row in old.select("key", "new", *said).unique().iter_rows(named=True):
        target = _target(row, renaming, kind, metric)
        if target is not None:
            changes += [(row["key"], target.key, before, after) for before, after in target.values.items()]
    if not changes:
        return old
    table = pl.DataFrame(
        sorted(set(changes), key=str),
        schema={"key": pl.String, "new": pl.String, "value": pl.String, "after": pl.String},
        orient="row",
    ).with_columns(pl.lit(value=True).alias("changes"))
    joined = old.join(table, on=["key", "new", "value"], how="left")
    kept = joined.filter(pl.col("changes").is_null() | pl.col("after").is_not_null())
    return kept.with_columns(pl.coalesce("after", "value").alias("value")).drop("after", "changes")


def _target(row: Mapping[str, Any], renaming: Renaming, kind: str | None, metric: str | None) -> Target | None:
    return renaming.target(row["key"], kind=row[kind] if kind else None, metric=row[metric] if metric else None)
