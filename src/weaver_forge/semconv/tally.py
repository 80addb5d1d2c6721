"""Telemetry in bulk -> counts: which attributes with which kind of value each service sent on which day, how often.

Rows in, a few hundred rows out: a rule is asked later (``bulk``) once a distinct combination, never once a row, and
counts of parts of a day add up. Stored attribute values are text, so the type of a value is known only as far as
its text shows (``shape``): ``abc`` is no int, but a string ``200`` cannot be told from the int.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from weaver_forge.semconv.classes import classed
from weaver_forge.semconv.registry import Registry
from weaver_forge.semconv.renaming import Renaming
from weaver_forge.semconv.upgrade import FILLED_BY, PROMOTED, additions, exploded

OWNER = ["service_key", "day_at", "signal", "signal_class"]
TALLY: Mapping[str, Any] = {
    "service_key": pl.String,
    "day_at": pl.Datetime("us"),
    "signal": pl.String,
    "signal_class": pl.String,
    "key": pl.String,
    "detail": pl.String,
    "is_said": pl.Boolean,
    "example": pl.String,
    "n": pl.Int64,
}
"""Columns of a tally of attributes.

``detail`` is an enum's value, or the shape of a typed one; empty else. ``is_said`` is false for a current name that an
old one stands for. A row without ``key`` counts the samples themselves.
"""

MAX_ENUM = 100
"""Characters of an enum's value that are kept; defined ones are shorter."""

_RESOURCE = {
    "service.name": ("service_name", "unknown_service"),
    "service.namespace": ("service_namespace", ""),
    "service.version": ("service_version", ""),
    "deployment.environment.name": ("deployment_environment_name", ""),
}
"""Resource attribute -> the column it stands in, and what that says when it is absent."""

_BETWEEN, _WITHIN = "\x1e", "\x1f"
"""ASCII's own separators: no attribute is named with them."""

_ENVIRONMENT = "deployment.environment.name"
_OLD_ENVIRONMENT = _BETWEEN + "deployment.environment" + _WITHIN
"""The old name fills the column too and stays in the map; then the current one was not said."""


def tally_spans(spans: pl.DataFrame, registry: Registry, renaming: Renaming) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the attributes of rows of ``raw_otlp__spans``.

    Args:
        spans: The rows.
        registry: What is defined.
        renaming: Its rename table.

    Returns:
        The tally, and a row (service, day, signal_class): ``n_spans``, ``n_synthetic``, ``n_upgraded``.
    """
    grouped = _grouped(spans, "start_unix_ns", "span", pl.col("name"), kind=pl.col("kind"))
    pairs = grouped.pairs(registry)
    added = additions(grouped.keys(keep=("kind",)), renaming, kind="kind")
    known = grouped.keys()
    classes = classed(grouped.groups, pl.concat([known, added]))
    groups = grouped.groups.with_columns(classes, is_upgraded=pl.col("row").is_in(added["row"].unique().implode()))
    n = pl.col("n")
    signals = groups.group_by("service_key", "day_at", "signal_class").agg(
        n.sum().alias("n_spans"),
        n.filter("is_synthetic").sum().alias("n_synthetic"),
        n.filter("is_upgraded").sum().alias("n_upgraded"),
    )
    return _tally(groups, pairs, added), signals


def tally_points(points: pl.DataFrame, registry: Registry, renaming: Renaming) -> pl.DataFrame:
    """Count the attributes of rows of ``raw_otlp__metric_points``; the class of a point is its metric's name."""
    name = pl.col("metric_name")
    grouped = _grouped(points, "time_unix_ns", "metric", name, signal_class=name)
    added = additions(grouped.keys(keep=("signal_class",)), renaming, metric="signal_class")
    return _tally(grouped.groups, grouped.pairs(registry), added)


def tally_logs(records: pl.DataFrame, registry: Registry, renaming: Renaming) -> pl.DataFrame:
    """Count the attributes of rows of ``raw_otlp__log_records``; the class of a record is its event's name."""
    name = pl.col("event_name").fill_null("")
    grouped = _grouped(records, "time_unix_ns", "log", name, signal_class=name)
    return _tally(grouped.groups, grouped.pairs(registry), additions(grouped.keys(), renaming))


def tally_resources(rows: pl.DataFrame, time: str) -> pl.DataFrame:
    """What resources say: one row a (service, day, key, value), however many signals carried it.

    Args:
        rows: Of any raw OTLP table.
        time: The column with nanoseconds since 1970.
    """
    field = pl.element().struct.field
    pair = pl.concat_str(field("key"), field("value").fill_null(""), separator=_WITHIN)
    columns = [column for column, _ in _RESOURCE.values()]
    said = pl.col("resource_attributes").list.eval(pair).list.join(_BETWEEN)
    distinct = rows.select(*_owner(time), *columns, said.alias("said")).unique()
    parts = []
    for key, (column, absent) in _RESOURCE.items():
        there = distinct.filter(pl.col(column).is_not_null() & (pl.col(column) != absent))
        if key == _ENVIRONMENT:
            there = there.filter(~(_BETWEEN + pl.col("said")).str.contains(_OLD_ENVIRONMENT, literal=True))
        parts.append(there.select("service_key", "day_at", key=pl.lit(key), value=pl.col(column)))
    halves = pl.col("said").str.split_exact(_WITHIN, 1).struct.rename_fields(["key", "value"])
    rest = (
        distinct.filter(pl.col("said").str.len_bytes() > 0)
        .with_columns(pl.col("said").str.split(_BETWEEN))
        .explode("said")
    )
    parts.append(rest.select("service_key", "day_at", halves).unnest("said"))
    return pl.concat(parts).unique()


def resource_tally(resources: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """The tally of distinct resource attributes; each counts once."""
    rows = resources.unique().with_row_index("row")
    constants = {"signal": pl.lit("resource"), "signal_class": pl.lit(""), "example": pl.lit("")}
    owners = rows.select("row", "service_key", "day_at", n=pl.lit(1, dtype=pl.Int64), **constants)
    pairs = _detailed(rows.select("row", "key", "value"), registry).with_columns(n=pl.lit(1, dtype=pl.Int64))
    return _tally(owners, pairs, None).filter(pl.col("key").is_not_null())


@dataclass(frozen=True, slots=True)
class _Grouped:
    """Rows grouped by owner and by the set of attribute names they have: few groups, whatever the rows.

    Args:
        rows: The rows.
        groups: ``row`` (number of the group), owner, ``keys``, ``example``, ``n``.
        group: The group of each row.
    """

    rows: pl.DataFrame
    groups: pl.DataFrame
    group: pl.Series

    def keys(self, keep: tuple[str, ...] = ()) -> pl.DataFrame:
        """``row``, ``key``, ``value`` (unknown here, so that no value is held back) of every group."""
        some = self.groups.filter(pl.col("keys").str.len_bytes() > 0).select(
            "row", *keep, pl.col("keys").str.split(_BETWEEN)
        )
        pairs = some.explode("keys").rename({"keys": "key"}).unique(maintain_order=True)
        return pairs.with_columns(value=pl.lit(None, dtype=pl.String)).select("row", *keep, "key", "value")

    def pairs(self, registry: Registry) -> pl.DataFrame:
        """``row``, ``key``, ``detail``, ``n``: values are looked at only where a rule asks for them."""
        known = self.keys()
        ways = _ways(known["key"], registry)
        asked = [*ways["enum"], *ways["typed"]]
        counts = known.filter(~pl.col("key").is_in(asked)).join(self.groups.select("row", "n"), on="row")
        in_map = self._of_group(exploded(self.rows).filter(pl.col("key").is_in(asked)))
        columns = [key for key, name in PROMOTED.items() if key in asked and name in self.rows.columns]
        promoted = [self._of_group(_promoted(self.rows, key)) for key in columns]
        said = [pairs.join(known, on=["row", "key"], how="semi") for pairs in promoted]
        valued = pl.concat([in_map, *said])
        detailed = _detailed(valued, registry).group_by("row", "key", "detail").agg(pl.len().cast(pl.Int64).alias("n"))
        return pl.concat([counts.select("row", "key", pl.lit("").alias("detail"), "n"), detailed])

    def _of_group(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.with_columns(row=self.group.gather(pairs["row"]))


def _grouped(rows: pl.DataFrame, time: str, signal: str, example: pl.Expr, **by: pl.Expr) -> _Grouped:
    names = pl.col("attributes").list.eval(pl.element().struct.field("key")).list.join(_BETWEEN).fill_null("")
    more = [
        pl.when(_is_said(key)).then(pl.lit(_BETWEEN + key)).otherwise(pl.lit(""))
        for key, column in PROMOTED.items()
        if column in rows.columns
    ]
    keys = pl.concat_str("names", *more).str.strip_chars_start(_BETWEEN)
    base = rows.with_columns(names=names).select(*_owner(time), **by, keys=keys, example=example)
    on = ["service_key", "day_at", *by, "keys"]
    groups = (
        base.group_by(on, maintain_order=True)
        .agg(pl.col("example").first(), pl.len().cast(pl.Int64).alias("n"))
        .with_row_index("row")
        .with_columns(signal=pl.lit(signal))
    )
    joined = base.join(groups.select("row", *on), on=on, how="left", nulls_equal=True, maintain_order="left")
    return _Grouped(rows, groups, joined["row"])


def _is_said(key: str) -> pl.Expr:
    """Whether a promoted attribute was sent under its own name, with the names in the map as column ``names``.

    A column that an old name fills was not; of a sender of both names only the old one is seen, since both have one
    value as a rule.
    """
    there = pl.col(PROMOTED[key]).is_not_null()
    if key not in FILLED_BY:
        return there
    around = pl.concat_str(pl.lit(_BETWEEN), "names", pl.lit(_BETWEEN))
    return there & ~around.str.contains(_BETWEEN + FILLED_BY[key] + _BETWEEN, literal=True)


def added_up(tallies: list[pl.DataFrame]) -> pl.DataFrame:
    """The tally of the whole from tallies of parts."""
    if not tallies:
        return pl.DataFrame(schema=TALLY)
    by = [name for name in TALLY if name not in {"n", "example"}]
    return pl.concat(tallies).group_by(by).agg(pl.col("example").max(), pl.col("n").sum()).select(*TALLY)


def signals_added_up(signals: list[pl.DataFrame]) -> pl.DataFrame:
    """The span classes of the whole from those of parts."""
    by: dict[str, Any] = {"service_key": pl.String, "day_at": pl.Datetime("us"), "signal_class": pl.String}
    counts: dict[str, Any] = dict.fromkeys(("n_spans", "n_synthetic", "n_upgraded"), pl.Int64)
    rows = pl.concat([pl.DataFrame(schema={**by, **counts}), *signals])
    return rows.group_by(*by).agg(pl.col(name).sum() for name in counts).sort(*by)


def shape(value: pl.Expr) -> pl.Expr:
    """What the text of a value looks like: int, double, boolean, array or string."""
    return (
        pl.when(value.str.contains(r"^-?\d+$"))
        .then(pl.lit("int"))
        .when(value.str.contains(r"^-?(\d+\.?\d*([eE][+-]?\d+)?|NaN|Infinity)$"))
        .then(pl.lit("double"))
        .when(value.is_in(["true", "false"]))
        .then(pl.lit("boolean"))
        .when(value.str.starts_with("["))
        .then(pl.lit("array"))
        .otherwise(pl.lit("string"))
    )


_DAY_NS = 86_400_000_000_000


def _owner(time: str) -> tuple[pl.Expr, pl.Expr]:
    day = (pl.col(time) // _DAY_NS * (_DAY_NS // 1000)).cast(pl.Datetime("us"))
    key = pl.concat_str("service_namespace", "service_name", "deployment_environment_name", separator="/")
    return key.alias("service_key"), day.alias("day_at")


def _promoted(spans: pl.DataFrame, key: str) -> pl.DataFrame:
    """One promoted column as exploded attributes."""
    row = pl.int_range(pl.len(), dtype=pl.UInt32).alias("row")
    value = pl.col(PROMOTED[key]).cast(pl.String).alias("value")
    return spans.select(row, pl.lit(key).alias("key"), value).drop_nulls("value")


def _tally(groups: pl.DataFrame, pairs: pl.DataFrame, added: pl.DataFrame | None) -> pl.DataFrame:
    """Counts of groups -> a tally: the attributes, what old ones stand for, and the samples themselves."""
    owners = groups.select("row", *OWNER, "example")
    weights = groups.select("row", "n")
    parts = [pairs.with_columns(is_said=pl.lit(value=True))]
    if added is not None:
        stands = added.join(weights, on="row").with_columns(detail=pl.lit(""), is_said=pl.lit(value=False))
        parts.append(stands.select("row", "key", "detail", "n", "is_said"))
    none = pl.lit(None, dtype=pl.String)
    whole = weights.with_columns(key=none, detail=pl.lit(""), is_said=pl.lit(value=True))
    parts.append(whole)
    columns = ["row", "key", "detail", "n", "is_said"]
    return added_up([pl.concat(part.select(columns) for part in parts).join(owners, on="row").select(*TALLY)])


def _detailed(pairs: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """``row``, ``key``, ``detail`` of exploded attributes: values only as far as a rule will ask for them."""
    ways = _ways(pairs["key"].unique(), registry)
    is_enum, is_typed = pl.col("key").is_in(ways["enum"]), pl.col("key").is_in(ways["typed"])
    value = pl.col("value")
    parts = [
        pairs.filter(~(is_enum | is_typed)).with_columns(detail=pl.lit("")),
        pairs.filter(is_enum).with_columns(detail=value.fill_null("").str.head(MAX_ENUM)),
        pairs.filter(is_typed & value.is_not_null()).with_columns(detail=shape(value)),
        pairs.filter(is_typed & value.is_null()).with_columns(detail=pl.lit("")),
    ]
    return pl.concat(part.select("row", "key", "detail") for part in parts)


def _ways(keys: pl.Series, registry: Registry) -> dict[str, list[str]]:
    """Of distinct names those whose values are asked for: of an enum, or of a type that text can belie."""
    ways: dict[str, list[str]] = {"enum": [], "typed": []}
    for key in keys.unique():
        attribute = registry.find(key) if key is not None else None
        if attribute is None:
            continue
        if attribute.type == "enum":
            ways["enum"].append(key)
        elif attribute.value_type not in {"string", "any", "any[]", "enum"}:
            ways["typed"].append(key)
    return ways
