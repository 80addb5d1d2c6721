"""Points of one chunk, gathered column by column -> rows of ``raw_otlp__metric_points``, for both encodings.

Put here what a metric point must be to be stored, and what identifies its series. How the columns are read from
protobuf or JSON is in ``otlp_metrics_protobuf`` and ``otlp_metrics_json``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.dtypes import empty, schema, shaped
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.decode.otlp_framing import Message, shown
from weaver_forge.decode.otlp_signals import (
    Numbering,
    Origins,
    Owner,
    Reader,
    Sets,
    digest,
    first_reasons,
    read_origins,
    read_sets,
    reasons_by_code,
    text_or_null,
)

NO_RECORDED_VALUE = 1
"""Flag of a point that says that its series has ended here."""

_TEMPORALITY = {1: "delta", 2: "cumulative"}
_TYPES = schema(RAW_OTLP_METRIC_POINTS)


FAMILY = {
    "gauge": "number",
    "sum": "number",
    "histogram": "histogram",
    "exponential_histogram": "exponential",
    "summary": "summary",
}
"""Type of a metric -> the shape that its points have."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a message, as it stands there; texts are bytes that may not be UTF-8.

    Args:
        owner: Raw resource and raw scope.
        type: A key of :data:`FAMILY`; empty when the metric has no data of a known type.
        temporality: OTLP's number; None for gauges and summaries.
        is_monotonic: None for all but sums.
    """

    owner: Owner
    name: bytes
    unit: bytes
    description: bytes
    type: str
    temporality: int | None
    is_monotonic: bool | None


@dataclass(slots=True)
class Common:
    """Fields that points of all types have, one entry a point.

    Args:
        attributes: Raw attributes.
        start: UInt64; null where it is no 64-bit integer. So is ``time``.
        exemplars: JSON text or null.
    """

    attributes: list[tuple[bytes, ...]]
    start: pl.Series
    time: pl.Series
    flags: list[int]
    exemplars: list[str | None]


@dataclass(slots=True)
class Points:
    """Points of one family; every sequence has one entry a point.

    Args:
        metric: Position of the point's metric in the chunk.
        number: Position of the point within its metric.
        data: The contract's data columns; unsigned integers are not yet cast.
        piece: Makes of a point a message of its own, for the quarantine.
        reasons: Point -> why it cannot be read.
    """

    metric: list[int]
    number: list[int]
    common: Common
    data: dict[str, pl.Series]
    piece: Callable[[int], bytes]
    reasons: dict[int, str]


def assemble(
    metrics: Sequence[tuple[Metric, Message]], families: Sequence[Points], reader: Reader, name: str
) -> tuple[pl.DataFrame, list[Rejected]]:
    """Make the contract's rows of one chunk, and a Rejected for every point that cannot be one.

    Args:
        metrics: Every metric of the chunk with the message it is from.
        families: All points, a family each.
        reader: How the encoding reads raw pieces.
        name: The file, for messages.
    """
    owners, heads, sets = Numbering(), Numbering(), Numbering()
    head_of = pl.Series(heads.codes(_head(metric, owners) for metric, _ in metrics), dtype=pl.UInt32)
    descriptions = text_or_null([metric.description for metric, _ in metrics])
    kept: list[pl.DataFrame] = []
    rejected: list[Rejected] = []
    frames = [_frame(points, sets) for points in families]
    origins, read = read_origins(list(owners), reader), read_sets(list(sets), reader)
    about = _heads(heads)
    for points, own in zip(families, frames, strict=True):
        head = head_of.gather(own["metric"]).alias("head")
        frame = own.with_columns(
            head, descriptions.gather(own["metric"]).alias("description"), *about[head].get_columns()
        )
        reasons = _reasons(points, frame, origins, read)
        rejected += [_rejected(metrics, points, row, reason, name) for row, reason in sorted(reasons.items())]
        kept.append(frame.filter(~pl.int_range(pl.len()).is_in(list(reasons))) if reasons else frame)
    if not kept:
        return empty(RAW_OTLP_METRIC_POINTS), rejected
    rows = pl.concat(kept, how="diagonal").sort("metric", "number")
    return shaped(
        RAW_OTLP_METRIC_POINTS,
        rows.with_columns(
            _series_ids(rows, about, origins, read.digests),
            read.maps.gather(rows["set"]).alias("attributes"),
            *origins.frame[rows["origin"]].get_columns(),
        ),
    ), rejected


def _head(metric: Metric, owners: Numbering) -> tuple[int, bytes, bytes, str, int | None, bool | None]:
    return (
        owners[metric.owner], metric.name, metric.unit, metric.type, metric.temporality, metric.is_monotonic
    )  # fmt: skip


def _heads(heads: Numbering) -> pl.DataFrame:
    """What distinct heads say, one row each; a name or unit that is not UTF-8 is null."""
    columns: list[tuple[Any, ...]] = list(zip(*heads, strict=True)) or [()] * 6
    origin, name, unit, kind, temporality, is_monotonic = columns
    known = [t if t is None else _TEMPORALITY.get(t, "unspecified") for t in temporality]
    return pl.DataFrame(
        {
            "origin": pl.Series(origin, dtype=pl.UInt32),
            "metric_name": text_or_null(name),
            "unit": text_or_null(unit),
            "metric_type": pl.Series(kind, dtype=pl.String),
            "temporality": pl.Series(known, dtype=pl.String),
            "is_monotonic": pl.Series(is_monotonic, dtype=pl.Boolean),
        }
    )


def _frame(points: Points, sets: Numbering) -> pl.DataFrame:
    """The columns that the points themselves say; nothing is taken from a point without a recorded value."""
    common = points.common
    has_value = pl.Series([not flags & NO_RECORDED_VALUE for flags in common.flags], dtype=pl.Boolean)
    data = {column: values.cast(_TYPES[column], strict=False) for column, values in points.data.items()}
    return pl.DataFrame(
        {
            "metric": pl.Series(points.metric, dtype=pl.UInt32),
            "number": pl.Series(points.number, dtype=pl.UInt32),
            "set": pl.Series(sets.codes(common.attributes), dtype=pl.UInt32),
            "start_unix_ns": common.start.cast(pl.Int64, strict=False),
            "time_unix_ns": common.time.cast(pl.Int64, strict=False),
            "has_value": has_value,
            "exemplars": pl.Series(common.exemplars, dtype=pl.String),
            **data,
        }
    ).with_columns(pl.when("has_value").then(column).alias(column) for column in data)


def _reasons(points: Points, frame: pl.DataFrame, origins: Origins, sets: Sets) -> dict[int, str]:
    """Row -> why it is refused; the first reason found holds."""
    common = points.common
    reasons = first_reasons(
        [
            ("the metric's name or unit is not UTF-8", frame["metric_name"].is_null() | frame["unit"].is_null()),
            ("the metric has no name", frame["metric_name"].str.len_bytes().eq(0).fill_null(value=False)),
            ("its description is not UTF-8", frame["description"].is_null()),
            ("a time is not an integer of nanoseconds", common.start.is_null() | common.time.is_null()),
            ("a time is beyond the year 2262", frame["start_unix_ns"].is_null() | frame["time_unix_ns"].is_null()),
            ("the point has no time", (frame["time_unix_ns"] == 0).fill_null(value=False)),
        ]
    )
    found = [
        points.reasons,
        dict(reasons_by_code(frame["origin"], origins.reasons)),
        dict(reasons_by_code(frame["set"], sets.reasons)),
        first_reasons((reason, frame["has_value"] & mask) for reason, mask in _broken(frame)),
    ]
    for more in found:
        reasons = more | reasons
    return reasons


def _broken(frame: pl.DataFrame) -> list[tuple[str, pl.Series]]:
    """Masks of points whose data contradict themselves, by the family that the frame has columns of."""
    columns = set(frame.columns)
    found: list[tuple[str, pl.Series]] = []
    if "value_int" in columns:
        neither = frame["value_int"].is_null() & frame["value_double"].is_null()
        found.append(("the point has no value, and no flag that says so", neither))
    if "n_observations" in columns:
        found.append(("its count is not an integer of 63 bits", frame["n_observations"].is_null()))
    if "zero_count" in columns:
        found.append(("its count of zeros is not an integer of 63 bits", frame["zero_count"].is_null()))
    if "bucket_counts" in columns:
        counts, bounds = frame["bucket_counts"], frame["explicit_bounds"]
        fits = (counts.list.len() == bounds.list.len() + 1) | ((counts.list.len() == 0) & (bounds.list.len() == 0))
        found.append(("it has not one bucket more than bounds", ~fits))
        shrinks = bounds.list.eval(~(pl.element().diff().fill_null(1) > 0)).list.any().fill_null(value=False)
        found.append(("its bounds do not grow", shrinks))
    for column in ("bucket_counts", "positive_counts", "negative_counts"):
        if column in columns:
            nulls = frame[column].list.eval(pl.element().is_null()).list.any().fill_null(value=False)
            found.append(("a bucket's count is not an integer of 63 bits", nulls))
    return found


def _series_ids(rows: pl.DataFrame, heads: pl.DataFrame, origins: Origins, set_digests: list[str]) -> pl.Series:
    """The series of each row; one hash for each distinct pair of head and set."""
    said = ("metric_name", "unit", "metric_type", "temporality", "is_monotonic")
    parts = [(origins.digests[origin], *rest) for origin, *rest in heads.select("origin", *said).iter_rows()]
    pairs = rows.select("head", "set").unique(maintain_order=True)
    ids = [digest((*parts[head], set_digests[code])) for head, code in pairs.iter_rows()]
    joined = rows.select("head", "set").join(
        pairs.with_columns(pl.Series("series_id", ids, dtype=pl.String)), on=["head", "set"], maintain_order="left"
    )
    return joined["series_id"]


def _rejected(metrics: Sequence[tuple[Metric, Message]], points: Points, row: int, reason: str, name: str) -> Rejected:
    metric, message = metrics[points.metric[row]]
    position = f"{message.position}, metric {shown(metric.name)[:200]}, point {points.number[row]}"
    data = points.piece(row)
    return Rejected(name, position, reason, shown(data), data, message.offset)
