"""Marts of metrics that came in any order are those of what came at once, and nothing else is recomputed.

Of logs that holds for their counts; templates depend on the order of their lines, within the limits stated here.
"""

import json
from datetime import datetime, timedelta
from itertools import pairwise
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


def ambiguous_records(rng: np.random.Generator) -> pl.DataFrame:
    """Statements whose grouping depends on which line comes first: names beside words, values as first words."""
    names = ("alice", "bob", "carol", "dave")
    texts = (
        *("{name} joined the room of {other} now", "{name} left the room of {other} now", "{name} left the room now"),
        *("job{n} of {name} took a slot", "job{n} of {name} gave up a slot"),
    )
    rows = []
    for number in range(400):
        name, other = rng.choice(names, 2)
        line = str(rng.choice(texts)).format(name=name, other=other, n=number)
        at = START_NS + int(rng.integers(85_000, 87_000)) * 10**9 + number
        rows.append({"timeUnixNano": str(at), "severityNumber": 9, "body": {"stringValue": line}})
    batch = decode_log_messages([message("resourceLogs", "scopeLogs", "logRecords", rows)], "a")
    return batch.tables[RAW_OTLP_LOG_RECORDS.name].sort("time_unix_ns")


def stored(warehouse: Warehouse) -> list[pl.DataFrame]:
    return [warehouse.read(table).sort(table.key) for table in (CORE_LOG_TEMPLATES, CORE_LOG_MINUTES)]


def test_an_empty_warehouse_over_a_lake_mines_the_same_templates_whatever_order_its_files_came_in(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(6)
    whole = ambiguous_records(rng)
    one, other = opened(tmp_path / "a"), opened(tmp_path / "b")
    one.append(RAW_OTLP_LOG_RECORDS, whole)
    for part in np.array_split(rng.permutation(whole.height), 3):
        other.append(RAW_OTLP_LOG_RECORDS, whole[part])

    for warehouse in (one, other):
        logs.compute(warehouse, START, END)

    assert all(a.equals(b) for a, b in zip(stored(one), stored(other), strict=True))


def test_whole_minutes_in_the_order_of_time_give_the_templates_of_all_at_once(tmp_path: Path) -> None:
    whole = ambiguous_records(np.random.default_rng(7))
    minute = pl.col("time_unix_ns") // (60 * 10**9)
    at_once, in_order = opened(tmp_path / "a"), opened(tmp_path / "b")
    at_once.append(RAW_OTLP_LOG_RECORDS, whole)
    logs.compute(at_once, START, END)

    for part in np.array_split(whole.select(minute).to_series().unique().sort().to_numpy(), 5):
        in_order.append(RAW_OTLP_LOG_RECORDS, whole.filter(minute.is_in(part.tolist())))
        logs.compute(in_order, START, END)

    assert at_once.read(CORE_LOG_TEMPLATES).height > 3
    assert all(a.equals(b) for a, b in zip(stored(at_once), stored(in_order), strict=True))


def test_late_lines_leave_the_records_of_a_minute_exact_and_every_id_where_it_was(tmp_path: Path) -> None:
    """Which template counts them depends on what was known when they came; how many there are does not."""
    rng = np.random.default_rng(8)
    whole = ambiguous_records(rng)
    at_once, late = opened(tmp_path / "a"), opened(tmp_path / "b")
    at_once.append(RAW_OTLP_LOG_RECORDS, whole)
    logs.compute(at_once, START, END)

    ids: list[set[str]] = [set()]
    for part in np.array_split(rng.permutation(whole.height), 4):
        late.append(RAW_OTLP_LOG_RECORDS, whole[part])
        logs.compute(late, START, END)
        ids.append(set(late.read(CORE_LOG_TEMPLATES)["template_id"]))

    by = ["service_key", "minute_at", "severity"]
    totals = [
        warehouse.read(CORE_LOG_MINUTES).group_by(by).agg(pl.col("n_records").sum()).sort(by)
        for warehouse in (at_once, late)
    ]
    assert totals[0].equals(totals[1])
    assert all(earlier <= later for earlier, later in pairwise(ids))
