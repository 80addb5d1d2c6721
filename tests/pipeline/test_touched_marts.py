"""Marts of spans that came in any order are those of spans that came at once."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.core.traces import MARTS, compute, show_and_count
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.metric_marts import CORE_SERVICE_RESOURCE_USE
from weaver_forge.contracts.tables.operations import CORE_TRACE_EDGES, CORE_TRACE_RED_MINUTES, RAW_OTLP_SPANS
from weaver_forge.contracts.tables.traces import (
    CORE_TRACE_DAYS,
    CORE_TRACE_FILE_MINUTES,
    CORE_TRACE_FILE_VERSIONS,
    CORE_TRACE_MINUTES,
)
from weaver_forge.warehouse import Lake, Warehouse, touched
from weaver_forge.warehouse.lake import LakeFile
from weaver_forge.warehouse.lake_upkeep import compact
from weaver_forge.warehouse.marts import PARENT_REACH

START = datetime(2026, 3, 1)
END = START + timedelta(days=10)
START_NS = 1_772_323_200 * 10**9
COMPARED = [table for table in MARTS if table != CORE_TRACE_DAYS]


def spans(rng: np.random.Generator, n_traces: int) -> pl.DataFrame:
    """Traces of three spans in four stretches of ten days: some without kinds, some of services seen once."""
    rows = []
    for trace in range(n_traces):
        at = int(rng.choice([0, 20, 24, 200])) * 3_600 + int(rng.integers(0, 3_600))
        kindless = rng.random() < 0.3
        for number in range(3):
            service = f"s{rng.integers(0, 4)}" if trace % 50 else f"rare{trace}"
            start = START_NS + (at + number * int(rng.integers(0, 4_000))) * 10**9
            rows.append({
                "trace_id": f"{trace:032x}", "span_id": f"{trace * 10 + number:016x}",
                "parent_span_id": f"{trace * 10 + number - 1:016x}" if number else None,
                "name": f"op{number}", "kind": 0 if kindless else 2, "start_unix_ns": start,
                "end_unix_ns": start + int(rng.integers(1, 10**9)), "status_code": int(rng.integers(0, 3)),
                "status_message": "", "service_namespace": "shop", "service_name": service,
                "service_version": f"v{trace % 7}",
                "deployment_environment_name": "prod", "attributes": [], "resource_attributes": [],
            })  # fmt: skip
    return from_rows(RAW_OTLP_SPANS, rows)


def opened(folder: Path) -> Warehouse:
    warehouse = Warehouse(folder / "warehouse.duckdb", folder / "lake")
    warehouse.migrate([*MARTS, CORE_TRACE_FILE_MINUTES, CORE_TRACE_FILE_VERSIONS, CORE_SERVICE_RESOURCE_USE])
    return warehouse


def settle(warehouse: Warehouse) -> int:
    """Compute until nothing is pending; returns the rounds it took."""
    for round_ in range(9):
        with warehouse.connect(read_only=True) as con:
            if not touched.pending_days(con, START, END):
                return round_
        compute(warehouse, START, END)
    raise AssertionError("it does not come to rest")


def contents(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    return {table.name: warehouse.read(table).sort(table.key) for table in COMPARED}


@pytest.mark.parametrize("seed", range(2))
def test_spans_in_any_order_give_the_marts_of_all_at_once(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    all_spans = spans(rng, 300)
    at_once, in_parts = opened(tmp_path / "once"), opened(tmp_path / "parts")
    at_once.spans.append(all_spans)
    show_and_count(at_once)
    settle(at_once)

    for part in all_spans.sample(fraction=1.0, shuffle=True, seed=seed).iter_slices(300):
        in_parts.spans.append(part)
        show_and_count(in_parts)
        settle(in_parts)

    expected, found = contents(at_once), contents(in_parts)
    for name, frame in expected.items():
        assert frame.height > 0
        assert frame.equals(found[name]), name


def test_one_late_span_recomputes_its_minute_and_no_other(tmp_path: Path) -> None:
    warehouse = opened(tmp_path)
    all_spans = spans(np.random.default_rng(7), 200)
    warehouse.spans.append(all_spans.head(-1))
    show_and_count(warehouse)
    settle(warehouse)
    with warehouse.writing() as con:  # a mark that only a recomputation removes
        con.execute(f"update {CORE_TRACE_RED_MINUTES.name} set n_requests = -1")
        con.execute(f"update {CORE_TRACE_EDGES.name} set n_calls = -1")

    warehouse.spans.append(all_spans.tail(1))
    show_and_count(warehouse)
    with warehouse.connect(read_only=True) as con:
        pending = touched.SPANS.pending(con, START, END)
    compute(warehouse, START, END)

    assert pending.height == 1
    recomputed = warehouse.read(CORE_TRACE_RED_MINUTES, where="n_requests >= 0")
    assert set(recomputed["minute_at"]) <= set(pending["minute_at"])
    calls = warehouse.read(CORE_TRACE_EDGES, where="n_calls >= 0")
    of_the_day = (calls["hour_at"] - pending["minute_at"][0]).abs() <= PARENT_REACH + timedelta(hours=1)
    assert of_the_day.all()


def test_joining_files_touches_nothing(tmp_path: Path) -> None:
    warehouse = opened(tmp_path)
    for part in spans(np.random.default_rng(1), 90).iter_slices(90):
        warehouse.spans.append(part)
    show_and_count(warehouse)
    settle(warehouse)

    joined, into = compact(warehouse.spans, END)
    show_and_count(warehouse)

    with warehouse.connect(read_only=True) as con:
        assert touched.pending_days(con, START, END) == []
    assert joined > 0 < into
    assert warehouse.read(CORE_TRACE_MINUTES)["n_rows"].sum() == 270


def test_what_another_process_commits_meanwhile_is_computed_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spans(np.random.default_rng(1), 60)
    warehouse, at_once = opened(tmp_path / "a"), opened(tmp_path / "b")
    warehouse.spans.append(rows.head(90))
    at_once.spans.append(rows)
    look, late = Lake.ranges, [rows.tail(90)]

    def overtaken(lake: Lake, version: int | None = None) -> list[LakeFile]:
        found = look(lake, version)
        if late and lake is warehouse.spans:
            Warehouse(warehouse.path, tmp_path / "a" / "lake").spans.append(late.pop())
        return found

    monkeypatch.setattr(Lake, "ranges", overtaken)

    for each in (warehouse, warehouse, at_once):
        show_and_count(each)
        settle(each)

    assert not late
    for name, frame in contents(warehouse).items():
        assert_frame_equal(frame, contents(at_once)[name])
