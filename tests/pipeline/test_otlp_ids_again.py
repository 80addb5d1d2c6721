"""Spans whose ids are stored with another start are left out, and that is said."""

import sys
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from assets.raw import otlp
from assets.raw.intake import Inputs, take_in
from assets.resources import Deployment
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

T0 = 1_767_600_000_000_000_000
DAY_NS = 86_400 * 10**9


def traces(numbers: range, *, start: int = T0) -> bytes:
    data = TracesData()
    scope = data.resource_spans.add().scope_spans.add()
    for number in numbers:
        span = scope.spans.add(name="GET /", kind=2, start_time_unix_nano=start, end_time_unix_nano=start + 1000)
        span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
    body = data.SerializeToString()
    return len(body).to_bytes(4, "big") + body


def take(root: Path, content: bytes, name: str) -> tuple[dict[str, object], list[str]]:
    (root / name).write_bytes(content)
    settings = Settings(root=root, python=Path(sys.executable), decisions={})
    deployment = Deployment(settings, (), Warehouse(settings.warehouse, settings.lake))
    deployment.warehouse.migrate([RAW_INGEST_INPUTS, RAW_INGEST_REJECTED])
    return dict(take_in(otlp.SOURCE, Inputs(paths=[str(root / name)]), deployment)), deployment.notes


def test_ids_with_another_start_are_counted_and_said(tmp_path: Path) -> None:
    """In one message, in one file, and a year after they were stored."""
    at_once = traces(range(1, 4)) + traces(range(2, 5), start=T0 + DAY_NS) + traces(range(1, 4))

    first, said_first = take(tmp_path, at_once, "a.pb")
    later, said_later = take(tmp_path, traces(range(1, 6), start=T0 + 365 * DAY_NS), "b.pb")
    again, said_again = take(tmp_path, traces(range(1, 4)), "c.pb")

    assert [(x["rows_new"], x["rows_differing"]) for x in (first, later, again)] == [(4, 2), (1, 4), (0, 0)]
    assert said_first == [f"{tmp_path / 'a.pb'}: 2 spans have the ids of other spans and other starts: left out"]
    assert said_later == [f"{tmp_path / 'b.pb'}: 4 spans have the ids of other spans and other starts: left out"]
    assert said_again == []


def test_one_span_is_one_span(tmp_path: Path) -> None:
    _, said = take(tmp_path, traces(range(1, 2)) + traces(range(1, 2), start=T0 + DAY_NS), "a.pb")

    assert said == [f"{tmp_path / 'a.pb'}: 1 span has the ids of another span and another start: left out"]
