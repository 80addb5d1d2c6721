"""Metric points by the minute: increases without restarts' lies, gaps that stay gaps, quantiles of buckets."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.metric_marts import (
    CORE_METRIC_POINTS,
    CORE_METRIC_SERIES,
    CORE_SERVICE_RESOURCE_USE,
)
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import CORE_SERVICE_POINTS
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_metrics import decode_metric_messages
from weaver_forge.warehouse import metric_marts
from weaver_forge.warehouse.conform import conform
from weaver_forge.warehouse.lake import with_maps
from weaver_forge.warehouse.naming import quoted
from weaver_forge.warehouse.resource_use import resource_points, resource_use

ZERO = datetime(2026, 1, 2, 3, 0)
ZERO_NS = 1_767_322_800_000_000_000
END = ZERO + timedelta(hours=2)


def ns(seconds: float) -> int:
    return ZERO_NS + round(seconds * 1e9)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def metric(name: str = "m", unit: str = "", resource: dict[str, str] | None = None, **data: Any) -> dict[str, Any]:
    said = {"service.name": "shop"} if resource is None else resource
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in said.items()]
    scopes = [{"metrics": [{"name": name, "unit": unit, **data}]}]
    return {"resource": {"attributes": attributes}, "scopeMetrics": scopes}


def load(con: duckdb.DuckDBPyConnection, folder: Path, *metrics: dict[str, Any]) -> None:
    data = json.dumps({"resourceMetrics": list(metrics)}).encode()
    batch = decode_metric_messages([Message("line 1", data, "json")], "a")
    assert not batch.rejected
    path = folder / "points.parquet"
    with_maps(RAW_OTLP_METRIC_POINTS, batch.tables[RAW_OTLP_METRIC_POINTS.name]).write_parquet(path)
    con.execute(f"create or replace view {RAW_OTLP_METRIC_POINTS.name} as from read_parquet('{path}')")


def total(*points: tuple[float, float, float], temporality: int = 2, **more: Any) -> dict[str, Any]:
    """A sum of (start, time, value) in seconds since ZERO; a negative start is none."""
    rows = [
        {"startTimeUnixNano": ns(start) if start >= 0 else 0, "timeUnixNano": ns(time), "asDouble": value}
        for start, time, value in points
    ]
    return {"sum": {"dataPoints": rows, "aggregationTemporality": temporality, "isMonotonic": True, **more}}


def by_minute(con: duckdb.DuckDBPyConnection, *columns: str) -> list[tuple[Any, ...]]:
    frame = conform(CORE_METRIC_POINTS, metric_marts.points(con, ZERO, END))
    minutes = ((pl.col("minute_at") - ZERO).dt.total_minutes()).alias("minute")
    return frame.select(minutes, *columns).rows()


def test_a_cumulative_sum_becomes_what_was_added(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The first point counts from its start, the next ones from the point before."""
    load(con, tmp_path, metric(**total((0, 60, 5), (0, 120, 5), (0, 180, 12))))

    found = by_minute(con, "increase", "interval_s", "n_resets")

    assert found == [(0, 5.0, 60.0, 0), (1, 0.0, 60.0, 0), (2, 7.0, 60.0, 0)]


@pytest.mark.parametrize("start", [130, -1])
def test_a_restart_counts_from_zero_and_is_never_negative(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, start: float
) -> None:
    """Whether the start time says it or the value that fell."""
    first = 0 if start >= 0 else -1
    load(con, tmp_path, metric(**total((first, 60, 100), (first, 120, 110), (start, 180, 4), (start, 240, 6))))

    found = dict(row[:2] for row in by_minute(con, "increase"))
    resets = [n for _, n in by_minute(con, "n_resets")]

    assert [found[minute] for minute in (1, 2, 3)] == [10.0, 4.0, 2.0]
    assert resets == [0, 0, 1, 0]


def test_a_restart_that_outgrew_the_old_value_is_found_by_its_start(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The value alone would say that eleven were added."""
    load(con, tmp_path, metric(**total((0, 60, 4), (70, 120, 15))))

    assert by_minute(con, "increase")[1] == (1, 15.0)


def test_a_gap_is_a_gap(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """What was added over an hour belongs to no minute; and a first point without a start says no increase."""
    load(con, tmp_path, metric(**total((-1, 60, 4), (-1, 3660, 1000), (-1, 3720, 1001))))

    assert by_minute(con, "increase") == [(0, None), (60, None), (61, 1.0)]


def test_large_integers_lose_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Above 2 ** 53 doubles would say that nothing was added."""
    data = total((0, 60, 0), (0, 120, 0))
    for point, value in zip(data["sum"]["dataPoints"], (2**60, 2**60 + 1), strict=True):
        point.pop("asDouble")
        point["asInt"] = str(value)
    load(con, tmp_path, metric(**data))

    assert by_minute(con, "increase")[1] == (1, 1.0)


def test_delta_sums_are_added_up(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Six exports of ten seconds each are a minute."""
    points = [(10 * n, 10 * n + 10, 2.0) for n in range(12)]
    load(con, tmp_path, metric(**total(*points, temporality=1)))

    assert by_minute(con, "increase", "interval_s") == [(0, 12.0, 60.0), (1, 12.0, 60.0)]


def test_levels_are_last_mean_and_largest(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A gauge, and a sum that goes up and down; NaN and a point without a value are no points."""
    rows = [{"timeUnixNano": ns(t), "asDouble": v} for t, v in ((0, 1.0), (20, 5.0), (40, 3.0), (50, "NaN"))]
    ended = {"timeUnixNano": ns(70), "flags": 1}
    queue = total((0, 10, 7), (0, 30, 3), isMonotonic=False)
    load(con, tmp_path, metric("gauge", gauge={"dataPoints": [*rows, ended]}), metric("queue", **queue))

    found = by_minute(con, "metric_name", "n_points", "value_last", "value_mean", "value_max", "increase")

    assert sorted(row[1:] for row in found) == [("gauge", 3, 3.0, 3.0, 5.0, None), ("queue", 2, 3.0, 5.0, 7.0, None)]


def histogram(*points: tuple[float, list[int]], temporality: int = 2, **more: Any) -> dict[str, Any]:
    rows = [
        {
            "startTimeUnixNano": ns(0 if temporality == 2 else time - 60),
            "timeUnixNano": ns(time),
            "count": sum(counts),
            "sum": 1.0 * sum(counts),
            "bucketCounts": counts,
            "explicitBounds": [10.0, 20.0, 40.0],
            **more,
        }
        for time, counts in points
    ]
    return {"histogram": {"dataPoints": rows, "aggregationTemporality": temporality}}


def test_quantiles_of_a_cumulative_histogram_are_of_the_minute_alone(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The second minute's ten observations all lie between 20 and 40."""
    load(con, tmp_path, metric(**histogram((60, [10, 0, 0, 0]), (120, [10, 0, 10, 0]), (180, [10, 0, 10, 0]))))

    found = by_minute(con, "n_observations", "sum_value", "value_p50", "value_p95")

    assert found == [(0, 10, 10.0, 5.0, 9.5), (1, 10, 10.0, 30.0, 39.0), (2, 0, 0.0, None, None)]


def test_open_buckets_end_at_a_bound_or_at_what_was_seen(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Never at infinity: with the largest observation of the minute known, that is the end."""
    seen = {"min": 41, "max": 61}
    load(con, tmp_path, metric("plain", **histogram((60, [0, 0, 0, 4]), temporality=1)))
    without = by_minute(con, "value_p50", "value_p99")
    load(con, tmp_path, metric("seen", **histogram((60, [0, 0, 0, 4]), temporality=1, **seen)))

    assert without == [(0, 40.0, 40.0)]
    ((_, median, high),) = by_minute(con, "value_p50", "value_p99")
    assert 41 <= median <= high <= 61


def exponential(values: np.ndarray[Any, Any], scale: int) -> dict[str, Any]:
    """Buckets of an exponential histogram, by the definition."""
    base = 2.0 ** (2.0**-scale)
    sides = {}
    for name, side in (("positive", values[values > 0]), ("negative", -values[values < 0])):
        index = np.ceil(np.log(side) / np.log(base)).astype(int) - 1
        first = int(index.min()) if side.size else 0
        counts = np.bincount(index - first).tolist() if side.size else []
        sides[name] = {"offset": first, "bucketCounts": counts}
    zeros = int((values == 0).sum())
    return {"count": len(values), "sum": float(values.sum()), "scale": scale, "zeroCount": zeros, **sides}


@pytest.mark.parametrize("scale", [0, 3, 6])
def test_quantiles_of_an_exponential_histogram_are_as_exact_as_its_scale(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, scale: int
) -> None:
    """Within a factor of the base of the true quantile."""
    values = np.random.default_rng(1).lognormal(3, 1, 5000)
    point = {"startTimeUnixNano": ns(0), "timeUnixNano": ns(60), **exponential(values, scale)}
    load(con, tmp_path, metric(exponentialHistogram={"dataPoints": [point], "aggregationTemporality": 1}))

    ((_, *found),) = by_minute(con, "value_p50", "value_p95", "value_p99")

    base = 2.0 ** (2.0**-scale)
    for quantile, value in zip((0.5, 0.95, 0.99), found, strict=True):
        true = float(np.quantile(values, quantile))
        assert true / base <= value <= true * base


def test_cumulative_exponential_histograms_of_other_scales_are_compared(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The writer halves its resolution when the range grows; the minute's observations stay the minute's."""
    rng = np.random.default_rng(2)
    early, late = rng.lognormal(0, 0.1, 500), -rng.lognormal(6, 0.1, 500)
    points = [
        {"startTimeUnixNano": ns(0), "timeUnixNano": ns(60), **exponential(early, 5)},
        {"startTimeUnixNano": ns(0), "timeUnixNano": ns(120), **exponential(np.concatenate((early, late)), 3)},
    ]
    load(con, tmp_path, metric(exponentialHistogram={"dataPoints": points, "aggregationTemporality": 2}))

    found = by_minute(con, "n_observations", "value_p50")

    assert [n for _, n, _ in found] == [500, 500]
    assert found[0][2] == pytest.approx(float(np.median(early)), rel=0.03)
    assert found[1][2] == pytest.approx(float(np.median(late)), rel=0.1)


def test_summaries_keep_the_quantiles_that_they_say(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Those that they do not say are unknown."""
    quantiles = [{"quantile": 0.5, "value": 7.0}, {"quantile": 0.99, "value": 9.0}]
    row = {"startTimeUnixNano": ns(0), "timeUnixNano": ns(60), "count": 3, "sum": 21.0, "quantileValues": quantiles}
    load(con, tmp_path, metric(summary={"dataPoints": [row]}))

    found = by_minute(con, "n_observations", "sum_value", "value_p50", "value_p95", "value_p99")

    assert found == [(0, 3, 21.0, 7.0, None, 9.0)]


def test_a_range_computed_in_pieces_says_the_same(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """So that only touched minutes need to be computed anew."""
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(1, 7000, 150))
    values = np.cumsum(rng.integers(0, 9, 150)) % 200
    points = [(-1, float(time), float(value)) for time, value in zip(times, values, strict=True)]
    load(con, tmp_path, metric(**total(*points)))
    whole = metric_marts.points(con, ZERO, END)

    pieces = [
        metric_marts.points(con, ZERO + timedelta(minutes=n), ZERO + timedelta(minutes=n + 7)) for n in range(0, 120, 7)
    ]

    assert pl.concat(pieces).filter(pl.col("minute_at") < END).equals(whole)
    assert (whole["increase"].drop_nulls() >= 0).all()


def test_a_container_measured_from_outside_belongs_to_its_workload(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Agents of Kubernetes know no service.name; the conventions then take the deployment's."""
    resource = {"k8s.deployment.name": "cart", "k8s.namespace.name": "shop", "k8s.pod.name": "cart-1"}
    gauge = {"dataPoints": [{"timeUnixNano": ns(0), "asDouble": 1.0}]}
    load(con, tmp_path, metric("k8s.pod.memory.usage", resource=resource, gauge=gauge))

    found = conform(CORE_METRIC_SERIES, metric_marts.series(con, ZERO, END))

    assert found["service_key"].to_list() == ["shop/cart/"]


def state(point: dict[str, Any], key: str, value: str) -> dict[str, Any]:
    return {**point, "attributes": [{"key": key, "value": {"stringValue": value}}]}


def columns(table: Table) -> str:
    """Maps as maps, which polars gives as lists of their entries."""
    return ", ".join(
        f"map_from_entries({c.name}) as {c.name}" if c.type.startswith("MAP") else quoted(c.name) for c in table.columns
    )


def used(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    for table, frame in (
        (CORE_METRIC_POINTS, metric_marts.points(con, ZERO, END)),
        (CORE_METRIC_SERIES, metric_marts.series(con, ZERO, END)),
    ):
        con.register("frame", frame)
        maps = ", ".join(f"map_from_entries({c.name}) as {c.name}" for c in table.columns if c.type.startswith("MAP"))
        con.execute(
            f"create or replace table {table.name} as select * {f'replace ({maps})' if maps else ''} from frame"
        )
        con.unregister("frame")
    frame = conform(CORE_SERVICE_RESOURCE_USE, resource_use(con, ZERO, END))
    con.register(CORE_SERVICE_RESOURCE_USE.name, frame)
    (row,) = frame.filter(pl.col("minute_at") == ZERO).iter_rows(named=True)
    return row


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        ("process.cpu.time", "process.memory.usage"),
        ("process.runtime.cpython.cpu_time", "process.memory.physical_usage"),
    ],
)
def test_use_is_read_under_current_and_old_names(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, cpu: str, memory: str
) -> None:
    """Two instances and both modes of the CPU are added up; the host's figures are not, for the process spoke."""
    loaded = []
    for instance in ("a", "b"):
        resource = {"service.name": "shop", "service.instance.id": instance}
        busy = total((0, 60, 30.0))
        (point,) = busy["sum"]["dataPoints"]
        busy["sum"]["dataPoints"] = [state(point, "cpu.mode", "user"), state(point, "cpu.mode", "system")]
        level = {"dataPoints": [{"timeUnixNano": ns(30), "asInt": "1000"}]}
        loaded += [metric(cpu, "s", resource, **busy), metric(memory, "By", resource, gauge=level)]
        loaded += [metric("system.memory.usage", "By", resource, gauge=level)]
    load(con, tmp_path, *loaded)

    row = used(con)

    assert row["n_instances"] == 2
    assert row["cpu_cores"] == pytest.approx(2.0)
    assert row["memory_bytes"] == pytest.approx(2000.0)
    assert row["cpu_ratio"] is None


def test_idle_time_is_no_use_and_cpus_are_averaged(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A host of two CPUs, one fully busy: half."""
    rows = []
    for cpu, busy in (("cpu0", 1.0), ("cpu1", 0.0)):
        for mode, value in (("user", busy), ("idle", 1 - busy)):
            pairs = {"cpu": cpu, "state": mode}
            attributes = [{"key": key, "value": {"stringValue": text}} for key, text in pairs.items()]
            rows.append({"timeUnixNano": ns(10), "asDouble": value, "attributes": attributes})
    percent = {"dataPoints": [{"timeUnixNano": ns(10), "asDouble": 25.0}]}
    load(
        con,
        tmp_path,
        metric("system.cpu.utilization", "1", gauge={"dataPoints": rows}),
        metric("container.memory.percent", "%", gauge=percent),
    )

    row = used(con)

    assert row["cpu_ratio"] == pytest.approx(0.5)
    assert row["memory_ratio"] == pytest.approx(0.25)
    points = conform(CORE_SERVICE_POINTS, resource_points(con, ZERO, END))
    assert points["metric"].to_list() == ["cpu_ratio", "memory_ratio"]
