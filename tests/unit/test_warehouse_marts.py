"""What the marts say, on hand-made spans with answers counted by hand."""

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.metric_marts import CORE_SERVICE_RESOURCE_USE
from weaver_forge.contracts.tables.operations import (
    CORE_SERVICE_POINTS,
    CORE_TRACE_EDGES,
    CORE_TRACE_RED_MINUTES,
    CORE_TRACE_SPANS,
    RAW_OTLP_SPANS,
)
from weaver_forge.contracts.tables.traces import CORE_TRACE_OPERATION_MINUTES
from weaver_forge.decode import otlp
from weaver_forge.settings import test_data as outside_data
from weaver_forge.warehouse import marts
from weaver_forge.warehouse.span_view import span_view_sql

DAY = datetime(2026, 3, 1)
NEXT = DAY + timedelta(days=1)
DAY_NS = 1_772_323_200 * 10**9
SERVER, INTERNAL, CLIENT, CONSUMER = 2, 1, 3, 5


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield connection


def span(span_id: str, service: str, kind: int, **changes: Any) -> dict[str, Any]:
    start = DAY_NS + int(changes.pop("at_s", 0) * 10**9)
    row = dict.fromkeys(RAW_OTLP_SPANS.column_names) | {
        "trace_id": "t",
        "span_id": span_id,
        "name": "n",
        "kind": kind,
        "start_unix_ns": start,
        "end_unix_ns": start + int(changes.pop("ms", 10) * 10**6),
        "status_code": 0,
        "service_namespace": "shop",
        "service_name": service,
        "deployment_environment_name": "prod",
    }
    return row | changes


def lake(con: duckdb.DuckDBPyConnection, folder: Path, *files: list[dict[str, Any]]) -> None:
    """Write each list of spans to a file of its own and make the view over them."""
    paths = []
    for number, rows in enumerate(files):
        frame = pl.DataFrame(rows, schema=otlp.empty(RAW_OTLP_SPANS).schema)
        paths.append(folder / f"it's {number}.parquet")
        stored(con, frame, paths[-1])
    con.execute(f"create or replace view core_trace__spans as {span_view_sql(paths)}")


def stored(con: duckdb.DuckDBPyConnection, spans: pl.DataFrame, path: Path) -> None:
    """Write a file as the lake has it, its maps as maps."""
    con.register("spans", spans.to_arrow())
    maps = ", ".join(f"map_from_entries({name}) as {name}" for name in ("attributes", "resource_attributes"))
    quoted = str(path).replace("'", "''")
    con.execute(f"copy (select * replace ({maps}) from spans) to '{quoted}' (format parquet)")
    con.unregister("spans")


def red_table(con: duckdb.DuckDBPyConnection, rows: dict[str, list[Any]]) -> None:
    con.execute(CORE_TRACE_RED_MINUTES.ddl)
    con.execute(CORE_SERVICE_RESOURCE_USE.ddl)
    con.register("rows", pl.DataFrame(rows).to_arrow())
    con.execute(
        f"insert into {CORE_TRACE_RED_MINUTES.name} "
        "select service_key, minute_at, n, n_errors, 1, p95, 3, minute_at from rows"
    )


def holds(frame: pl.DataFrame, table: Table) -> bool:
    types = {"VARCHAR": pl.String, "BIGINT": pl.Int64, "DOUBLE": pl.Float64, "INTEGER": pl.Int32}
    types |= {"TIMESTAMP": pl.Datetime("us"), "BOOLEAN": pl.Boolean}
    return dict(frame.schema) == {column.name: types[column.type] for column in table.columns}


def test_the_view_has_the_contracts_columns_types_and_meanings(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = [
        span("a", "web", SERVER, at_s=61.5, ms=250, http_response_status_code=503, http_route="/x"),
        span("b", "web", CLIENT, http_response_status_code=503),
        span("c", "web", SERVER, http_response_status_code=404, deployment_environment_name=""),
        span("d", "web", INTERNAL, status_code=2, parent_span_id="a"),
    ]

    lake(con, tmp_path, rows)

    view = con.sql("from core_trace__spans order by span_id").pl()
    assert holds(view, CORE_TRACE_SPANS)
    assert view["service_key"].to_list() == ["shop/web/prod", "shop/web/prod", "shop/web/", "shop/web/prod"]
    assert view["is_error"].to_list() == [True, False, False, True]
    assert view["is_entry"].to_list() == [True, False, True, False]
    assert view["duration_ms"][0] == 250
    assert view["started_at"][0] == DAY + timedelta(seconds=61.5)


def test_the_view_says_what_the_conventions_say_now(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """An old name fills a raw column whatever the kind of the span; the peer of a server is its client."""

    def sent(span_id: str, kind: int, columns: dict[str, str], **attributes: str) -> dict[str, Any]:
        pairs = [{"key": key.replace("__", "."), "value": value} for key, value in attributes.items()]
        return span(span_id, "web", kind, attributes=pairs, **columns)

    peer = {"server_address": "other"}
    rows = [
        sent("a", CLIENT, peer, net__peer__name="other"),
        sent("b", SERVER, peer, net__peer__name="other", net__host__name="me"),
        sent("c", SERVER, {"server_address": "me"}, net__peer__name="other"),
        sent("d", INTERNAL, peer, net__peer__name="other"),
        sent("e", SERVER, {"server_address": "me"}, client__address="you"),
        sent("f", CLIENT, {"db_system_name": "mssql"}, db__system="mssql"),
        sent("g", CLIENT, {"db_system_name": "vertica"}, db__system="vertica"),
        sent("h", CLIENT, {"db_system_name": "mssql"}),
        sent("i", CLIENT, {"rpc_method": "Pay"}, rpc__service="shop.Till"),
        sent("j", CLIENT, {"rpc_method": "shop.Till/Pay"}, rpc__service="shop.Till"),
    ]

    lake(con, tmp_path, rows)

    columns = "span_id, server_address, client_address, db_system_name, rpc_method"
    view = con.sql(f"select {columns} from core_trace__spans order by span_id").fetchall()
    assert [row[1:3] for row in view[:5]] == [
        ("other", None), ("me", "other"), ("me", "other"), (None, None), ("me", "you")
    ]  # fmt: skip
    assert [row[3] for row in view[5:8]] == ["microsoft.sql_server", "vertica", "mssql"]
    assert [row[4] for row in view[8:]] == ["shop.Till/Pay", "shop.Till/Pay"]


def test_without_kinds_the_parent_decides_what_an_entry_is(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Roots, spans called from another service and spans whose parent is lost; the parent may be in any file."""
    first = [
        span("root", "web", 0),
        span("inner", "web", 0, parent_span_id="root"),
        span("called", "cart", 0, parent_span_id="root"),
        span("orphan", "cart", 0, parent_span_id="gone"),
    ]
    second = [
        span("inner2", "cart", 0, parent_span_id="called"),
        span("of_server", "pay", 0, parent_span_id="server"),
        span("elsewhere", "cart", 0, parent_span_id="called", trace_id="u"),
    ]
    third = [span("server", "pay", SERVER, parent_span_id="called"), span("job", "pay", INTERNAL)]

    lake(con, tmp_path, first, second, third)

    entries = con.sql("select span_id from core_trace__spans where is_entry order by span_id").pl()["span_id"]
    assert entries.to_list() == ["called", "elsewhere", "job", "orphan", "root", "server"]


def test_files_with_kinds_need_no_look_up(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    lake(con, tmp_path, [span("a", "web", SERVER)])

    assert "exists" not in span_view_sql(list(tmp_path.glob("*.parquet")))


def test_red_counts_entries_by_minute_with_exact_percentiles(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    requests = [span(f"r{n}", "web", SERVER, at_s=60 + n / 2, ms=n + 1) for n in range(100)]
    requests[7]["status_code"] = 2
    for request in requests[:20]:
        request["name"] = "list"
    others = [
        span("internal", "web", INTERNAL, at_s=60, parent_span_id="r1"),
        span("queue", "web", CONSUMER, at_s=3600),
        span("before", "web", SERVER, at_s=-1),
        span("after", "web", SERVER, at_s=86400),
    ]
    lake(con, tmp_path, requests, others)

    red, operations = marts.red_minutes(con, DAY, NEXT)

    assert holds(red, CORE_TRACE_RED_MINUTES)
    assert red["minute_at"].to_list() == [DAY + timedelta(minutes=1), DAY + timedelta(hours=1)]
    first = red.row(0, named=True)
    assert (first["n_requests"], first["n_errors"]) == (100, 1)
    assert first["duration_p50_ms"] == pytest.approx(50.5)
    assert first["duration_p95_ms"] == pytest.approx(95.05)
    assert first["duration_p99_ms"] == pytest.approx(99.01)
    assert first["known_at"] == DAY + timedelta(minutes=3)
    assert holds(operations, CORE_TRACE_OPERATION_MINUTES)
    counted = operations.select("operation", "minute_at", "n_requests", "n_errors", "duration_p50_ms").rows()
    assert counted == [
        ("list", DAY + timedelta(minutes=1), 20, 1, pytest.approx(10.5)),
        ("n", DAY + timedelta(minutes=1), 80, 0, pytest.approx(60.5)),
        ("n", DAY + timedelta(hours=1), 1, 0, 10),
    ]


def test_an_edge_is_a_call_between_two_services(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The caller may have begun before the day; calls within a service and without a known parent are none."""
    rows = [
        span("w", "web", SERVER, at_s=-30),
        span("c1", "cart", SERVER, parent_span_id="w", at_s=10, ms=100, status_code=2),
        span("c2", "cart", SERVER, parent_span_id="w", at_s=20, ms=200),
        span("c3", "cart", SERVER, parent_span_id="w", at_s=3600, ms=300),
        span("inside", "cart", CLIENT, parent_span_id="c1", at_s=11),
        span("lost", "pay", SERVER, parent_span_id="gone", at_s=11),
        span("other", "pay", SERVER, parent_span_id="w", trace_id="u", at_s=11),
    ]
    lake(con, tmp_path, rows)

    found = marts.edges(con, DAY, NEXT)

    assert holds(found, CORE_TRACE_EDGES)
    assert found.rows() == [
        ("shop/web/prod", "shop/cart/prod", DAY, 2, 1, pytest.approx(195), DAY + timedelta(hours=1, minutes=1)),
        (
            *("shop/web/prod", "shop/cart/prod", DAY + timedelta(hours=1), 1, 0, pytest.approx(300)),
            DAY + timedelta(hours=2, minutes=1),
        ),
    ]


def test_silence_of_one_service_is_zero_and_silence_of_all_is_a_gap(con: duckdb.DuckDBPyConnection) -> None:
    at = [DAY + timedelta(minutes=m) for m in (-10, 0, 1, 1, 9)]
    services = ["old", "a", "a", "b", "b"]
    red_table(
        con,
        {"service_key": services, "minute_at": at, "n": [9, 4, 2, 8, 5], "n_errors": [0, 1, 0, 2, 0], "p95": [1.0] * 5},
    )

    points = marts.service_points(con, DAY, NEXT)

    assert holds(points, CORE_SERVICE_POINTS)
    requests = points.filter(metric="requests")
    by_service = {
        service: {(t - DAY).seconds // 60: v for t, v in requests.filter(service_key=service)["at", "value"].rows()}
        for service in ("a", "b", "old")
    }
    assert by_service == {"a": {0: 4, 1: 2, 9: 0}, "b": {1: 8, 9: 5}, "old": {0: 0, 1: 0, 9: 0}}
    assert requests.filter(pl.col("value") == 0)["n"].to_list() == [0, 0, 0, 0]
    ratios = points.filter(metric="error_ratio")
    assert ratios["value"].to_list() == [0.25, 0, 0.25, 0]
    assert points.filter(metric="latency_p95_ms").height == 4
    assert set(points["step_s"]) == {60}
    assert (points["known_at"] - points["at"]).unique().to_list() == [timedelta(minutes=2)]


def test_a_short_silence_of_all_is_zero_and_known_only_after_it_has_ended(con: duckdb.DuckDBPyConnection) -> None:
    at = [DAY, DAY + timedelta(minutes=3), DAY + timedelta(minutes=9)]
    red_table(con, {"service_key": ["a"] * 3, "minute_at": at, "n": [1] * 3, "n_errors": [0] * 3, "p95": [1.0] * 3})

    requests = marts.service_points(con, DAY, NEXT).filter(metric="requests")

    minutes = {
        (t - DAY).seconds // 60: (v, (k - t).seconds // 60) for t, v, k in requests["at", "value", "known_at"].rows()
    }
    assert minutes == {0: (1, 2), 1: (0, 7), 2: (0, 7), 3: (1, 2), 9: (1, 2)}


def test_points_do_not_depend_on_how_days_are_cut(con: duckdb.DuckDBPyConnection) -> None:
    """A service first seen on the second day says nothing about the first, however the range is chosen."""
    at = [DAY, DAY + timedelta(hours=30), DAY + timedelta(days=8, minutes=1), DAY + timedelta(days=8)]
    red_table(
        con, {"service_key": ["a", "b", "b", "c"], "minute_at": at, "n": [1] * 4, "n_errors": [0] * 4, "p95": [1.0] * 4}
    )
    days = [DAY + timedelta(days=n) for n in range(10)]

    whole = marts.service_points(con, days[0], days[-1])

    cut = pl.concat([marts.service_points(con, day, day + timedelta(days=1)) for day in days[:-1]])
    assert whole.equals(cut.sort("service_key", "metric", "at"))
    assert "a" not in set(whole.filter(pl.col("at") >= days[8])["service_key"])
    assert "b" not in set(whole.filter(pl.col("at") < days[1])["service_key"])


def test_an_empty_range_gives_the_contracts_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    lake(con, tmp_path, [span("a", "web", SERVER)])
    con.execute(CORE_TRACE_RED_MINUTES.ddl)
    con.execute(CORE_SERVICE_RESOURCE_USE.ddl)

    after = NEXT, NEXT + timedelta(days=1)

    frames = [*marts.red_minutes(con, *after), marts.edges(con, *after), marts.service_points(con, *after)]

    tables = CORE_TRACE_RED_MINUTES, CORE_TRACE_OPERATION_MINUTES, CORE_TRACE_EDGES, CORE_SERVICE_POINTS
    for frame, table in zip(frames, tables, strict=True):
        assert frame.is_empty()
        assert holds(frame, table)


@pytest.mark.outside
def test_outside_spans_without_kinds_have_entries_and_edges(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A real system that records no span kinds: entries agree with a look-up made in polars."""
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    data = gzip.decompress((root / "otlp/nezha/normal_online-boutique_2022-08-23_traces.pb.gz").read_bytes())
    frame = otlp.decode([Frame("t", data)]).tables[RAW_OTLP_SPANS.name]
    frame = frame.unique(["trace_id", "span_id"])
    stored(con, frame, tmp_path / "a.parquet")
    con.execute(f"create view core_trace__spans as {span_view_sql([tmp_path / 'a.parquet'])}")
    parents = frame.select("trace_id", parent_span_id="span_id", parent_name="service_name")
    looked_up = frame.join(parents, on=["trace_id", "parent_span_id"], how="left")
    expected = looked_up.filter(pl.col("parent_name").ne_missing(pl.col("service_name")))

    red = marts.red_minutes(con, datetime(2022, 8, 1), datetime(2022, 9, 1)).services
    calls = marts.edges(con, datetime(2022, 8, 1), datetime(2022, 9, 1))

    assert set(frame["kind"]) == {0}
    assert red["n_requests"].sum() == expected.height
    assert calls["n_calls"].sum() == expected["parent_name"].is_not_null().sum()
