"""Marts of metrics and logs that came in any order are those of what came at once, and nothing else is recomputed."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.core import logs, metrics
from assets.core.traces import MARTS, compute
from weaver_forge.contracts.tables.log_marts import CORE_LOG_MINUTES, CORE_LOG_TEMPLATES
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metric_marts import (
    CORE_METRIC_POINTS,
    CORE_METRIC_SERIES,
    CORE_SERVICE_RESOURCE_USE,
)
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import CORE_SERVICE_POINTS
from weaver_forge.contracts.tables.traces import CORE_TRACE_FILE_MINUTES, CORE_TRACE_FILE_VERSIONS
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages
from weaver_forge.warehouse import Warehouse, touched

START = datetime(2026, 3, 1)
END = START + timedelta(days=2)
START_NS = 1_772_323_200 * 10**9


def opened(folder: Path) -> Warehouse:
    warehouse = Warehouse(folder / "warehouse.duckdb", folder / "lake")
    warehouse.migrate([*metrics.TABLES, *logs.TABLES, *MARTS, CORE_TRACE_FILE_MINUTES, CORE_TRACE_FILE_VERSIONS])
    return warehouse


def message(key: str, inner: str, items: str, rows: list[dict[str, Any]]) -> Message:
    name = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    document = {key: [{"resource": {"attributes": name}, inner: [{items: rows}]}]}
    return Message("line 1", json.dumps(document).encode(), "json")


def cpu_points(rng: np.random.Generator) -> pl.DataFrame:
    """CPU time of a process that restarts, over midnight, with gaps."""
    seconds = np.sort(rng.choice(2 * 3_600 // 10, 400, replace=False)) * 10 + 23 * 3_600 + 7
    values = np.cumsum(rng.uniform(0, 20, 400)) % 500
    points = [
        {"timeUnixNano": str(START_NS + int(at) * 10**9), "asDouble": float(value)}
        for at, value in zip(seconds, values, strict=True)
    ]
    total = {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}
    rows = [{"name": "process.cpu.time", "unit": "s", "sum": total}]
    batch = decode_metric_messages([message("resourceMetrics", "scopeMetrics", "metrics", rows)], "a")
    return batch.tables[RAW_OTLP_METRIC_POINTS.name]


def records(rng: np.random.Generator) -> pl.DataFrame:
    """Two statements, one of them in JSON."""
    rows = []
    for number in range(300):
        line = f"user {number} logged in" if number % 3 else json.dumps({"message": f"paid {number} EUR", "n": number})
        at = START_NS + int(rng.integers(80_000, 90_000)) * 10**9
        rows.append({"timeUnixNano": str(at), "severityNumber": 9, "body": {"stringValue": line}})
    batch = decode_log_messages([message("resourceLogs", "scopeLogs", "logRecords", rows)], "a")
    return batch.tables[RAW_OTLP_LOG_RECORDS.name]


def test_metrics_in_pieces_are_those_of_all_at_once(tmp_path: Path) -> None:
    """Late points change what they must: also the increase of the point after them."""
    rng = np.random.default_rng(1)
    whole = cpu_points(rng)
    at_once, in_pieces = opened(tmp_path / "a"), opened(tmp_path / "b")
    at_once.append(RAW_OTLP_METRIC_POINTS, whole)
    metrics.compute(at_once, START, END)

    for part in np.array_split(rng.permutation(whole.height), 4):
        in_pieces.append(RAW_OTLP_METRIC_POINTS, whole[part])
        metrics.compute(in_pieces, START, END)

    for table in (CORE_METRIC_SERIES, CORE_METRIC_POINTS, CORE_SERVICE_RESOURCE_USE):
        one, other = (w.read(table).sort(table.key) for w in (at_once, in_pieces))
        assert one.height
        assert one.equals(other), table.name


def test_only_touched_minutes_are_recomputed(tmp_path: Path) -> None:
    """Nothing new, nothing computed; a point more, its minute and those compared with it."""
    warehouse = opened(tmp_path)
    points = cpu_points(np.random.default_rng(2))
    warehouse.append(RAW_OTLP_METRIC_POINTS, points[:-1])
    first = metrics.compute(warehouse, START, END)

    nothing = metrics.compute(warehouse, START, END)
    warehouse.append(RAW_OTLP_METRIC_POINTS, points[-1:])
    one_more = metrics.compute(warehouse, START, END)

    assert first[CORE_METRIC_POINTS.name] > 90
    assert set(nothing.values()) == {0}
    assert 1 <= one_more[CORE_METRIC_POINTS.name] <= 3


def test_resource_use_is_among_the_points_that_models_read(tmp_path: Path) -> None:
    """Days that changed have their points computed anew; then nothing is pending."""
    warehouse = opened(tmp_path)
    warehouse.append(RAW_OTLP_METRIC_POINTS, cpu_points(np.random.default_rng(3)))
    metrics.compute(warehouse, START, END)
    with warehouse.connect(read_only=True) as con:
        pending = touched.pending_days(con, START, END)

    compute(warehouse, START, END)

    assert len(pending) == 2
    points, used = warehouse.read(CORE_SERVICE_POINTS), warehouse.read(CORE_SERVICE_RESOURCE_USE)
    assert set(points["metric"]) == {"cpu_cores"}
    assert points.height == used["cpu_cores"].drop_nulls().len()
    with warehouse.connect(read_only=True) as con:
        assert touched.pending_days(con, START, END) == []


def test_logs_in_pieces_have_the_counts_of_all_at_once(tmp_path: Path) -> None:
    """And the templates stay those that were found first."""
    rng = np.random.default_rng(4)
    whole = records(rng)
    at_once, in_pieces = opened(tmp_path / "a"), opened(tmp_path / "b")
    at_once.append(RAW_OTLP_LOG_RECORDS, whole)
    logs.compute(at_once, START, END)

    for part in np.array_split(rng.permutation(whole.height), 3):
        in_pieces.append(RAW_OTLP_LOG_RECORDS, whole[part])
        logs.compute(in_pieces, START, END)

    templates = in_pieces.read(CORE_LOG_TEMPLATES)
    assert dict(templates.select("template", "n_records").iter_rows()) == {
        "user <*> logged in": 200,
        "paid <*> EUR": 100,
    }
    assert in_pieces.read(CORE_LOG_MINUTES).equals(at_once.read(CORE_LOG_MINUTES))
    assert set(logs.compute(in_pieces, START, END).values()) == {0}
