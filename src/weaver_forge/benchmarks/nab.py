"""Labelled single-metric series (``timestamp, value`` and a file of windows) -> points and incidents of ``anomaly``.

Put formats of series with labelled stretches here. A labelled stretch becomes an incident of its series.
"""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited, each
from weaver_forge.benchmarks.series import points_of
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    CORE_SERVICE_POINTS,
    CORE_TRACE_EDGES,
)
from weaver_forge.errors import WeaverForgeError

_COLUMNS = frozenset({"timestamp", "value"})
_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "VARCHAR": pl.String,
    "TIMESTAMP": pl.Datetime("us"),
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
}

Stretches = list[tuple[str, str]]


def read(files: Mapping[str, bytes], problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Recognise series and the JSON that labels them; files of other formats are left alone.

    A JSON object from series names to lists of ``[start, end]`` labels the csv files whose paths end in these
    names. Several that label the same series give several sets.

    Args:
        files: Path below the given folder (with slashes) -> bytes.
        problems: Where a file that has the format and cannot be read is told; else it is raised.
    """
    series = {name: data for name, data in files.items() if delimited.header(data) == _COLUMNS}

    def labelled(name: str) -> list[BenchmarkData]:
        labels = _stretches(files[name]) or {}
        chosen = {label: path for label in labels if (path := _path(label, series)) is not None}
        return (
            [_labelled(name, labels, {label: (path, series[path]) for label, path in chosen.items()})] if chosen else []
        )

    return each([name for name in sorted(files) if series and name.endswith(".json")], labelled, problems)


def _stretches(data: bytes) -> dict[str, Stretches] | None:
    """The labels of a JSON file, or None if it is something else."""
    try:
        content: Any = json.loads(data)
    except ValueError:
        return None
    if not isinstance(content, dict) or not content:
        return None
    pairs = [pair for stretches in content.values() if isinstance(stretches, list) for pair in stretches]
    shaped = all(isinstance(stretches, list) for stretches in content.values()) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, str) for end in pair) for pair in pairs
    )
    if not shaped or not pairs:
        return None
    return {str(name): [(start, end) for start, end in stretches] for name, stretches in content.items()}


def _path(label: str, series: Mapping[str, bytes]) -> str | None:
    matching = [path for path in series if path == label or path.endswith("/" + label)]
    return min(matching, key=lambda path: (len(path), path)) if matching else None


def _labelled(name: str, labels: Mapping[str, Stretches], series: Mapping[str, tuple[str, bytes]]) -> BenchmarkData:
    frames = []
    for label, (path, data) in sorted(series.items()):
        rows = delimited.read(path, data, sorted(_COLUMNS))
        given = rows.select(pl.lit(label).alias("series_id"), ds="timestamp", y="value")
        frames.append(points_of(given, path))
    incidents = [
        (f"{label}#{number}", label, "unknown", "labelled", start, end)
        for label in sorted(series)
        for number, (start, end) in enumerate(labels[label])
    ]
    columns = ["incident_id", "service_key", "severity", "title", "started_at", "resolved_at"]
    rows = pl.DataFrame(incidents, schema=dict.fromkeys(columns, pl.String), orient="row").with_columns(
        pl.col("started_at", "resolved_at").str.to_datetime(time_unit="us")
    )
    absent = set(CORE_INCIDENTS_INCIDENTS.column_names) - {*columns, "known_at"}
    known = rows.with_columns(
        pl.col("resolved_at").alias("known_at"), *(pl.lit(None, dtype=pl.String).alias(c) for c in absent)
    )
    return BenchmarkData(
        decision="anomaly",
        entity="windows",
        set=name.removesuffix(".json"),
        format="labelled series (timestamp, value; windows as JSON)",
        tables={
            CORE_SERVICE_POINTS.name: pl.concat(frames),
            CORE_INCIDENTS_INCIDENTS.name: known.select(CORE_INCIDENTS_INCIDENTS.column_names),
            CORE_TRACE_EDGES.name: _empty(CORE_TRACE_EDGES),
            CORE_DEPLOYMENTS_DEPLOYMENTS.name: _empty(CORE_DEPLOYMENTS_DEPLOYMENTS),
        },
        protocols=("cross_fold",),
        notes=(
            "one metric a series: evidence from errors, latency and neighbours is absent",
            "a labelled stretch is wide and the anomaly a moment in it: window-wise measures stay near the base rate",
        ),
    )


def _empty(table: Table) -> pl.DataFrame:
    return pl.DataFrame(schema={column.name: _TYPES[column.type] for column in table.columns})
