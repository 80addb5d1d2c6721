"""Findings with Weaver's ids: on its own samples, on small ones made here, and counted in bulk."""

import json
import random
import time
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.decode.otlp import decode_messages
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.errors import SourceError
from weaver_forge.semconv.compile import documents
from weaver_forge.semconv.finding import LEVELS, Place
from weaver_forge.semconv.judging import Judging
from weaver_forge.semconv.reader import read
from weaver_forge.semconv.registry import Registry, shipped
from weaver_forge.semconv.renaming import Renaming
from weaver_forge.semconv.samples import check_samples, infer_type, read_samples
from weaver_forge.semconv.signals import metric_findings
from weaver_forge.semconv.upgrade import FILLED_BY, PROMOTED
from weaver_forge.settings import test_data as outside_data

LIVE_CHECK = "semconv/weaver_live_check/crates/weaver_live_check"


def _outside(path: str) -> Path:
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    return folder / path


def _said(name: str, registry: Registry) -> list[set[tuple[str, str]]]:
    """Per sample: finding ids with what they are about."""
    data = (_outside(LIVE_CHECK) / "data" / name).read_bytes()
    return [
        {(f.id, f.context.get("attribute_key") or f.signal_name) for f in sample.findings}
        for sample in check_samples(read_samples(name, data), registry)
    ]


@pytest.mark.outside
def test_the_ids_and_levels_are_weavers() -> None:
    registry = read(documents(_outside(LIVE_CHECK) / "model"))

    ids = [member.value for member in registry.attributes["weaver.finding.id"].members]
    levels = {member.value for member in registry.attributes["weaver.finding.level"].members}

    assert list(LEVELS) == ids
    assert len(ids) == 23
    assert set(LEVELS.values()) == levels


@pytest.mark.outside
def test_weavers_attribute_samples_give_their_findings() -> None:
    status, route = "http.response.status_code", "http.request.method.not.allowed"
    dashed, dotted = "http.request.header.content-type", "http.request.header.content.type"

    assert _said("attributes.json", shipped()) == [
        set(),
        {("type_mismatch", status)},
        set(),
        {("not_stable", "aws.s3.bucket")},
        {("missing_attribute", "task.id")},
        {("missing_attribute", "TaskId"), ("missing_namespace", "TaskId"), ("invalid_format", "TaskId")},
        {("not_stable", "host.arch"), ("undefined_enum_variant", "host.arch")},
        {("not_stable", "host.name")},
        {("type_mismatch", "exception.message")},
        {("not_stable", "aws.dynamodb.table_names")},
        {("undefined_enum_variant", "http.request.method")},
        {("missing_attribute", route), ("illegal_namespace", route), ("extends_namespace", route)},
        {("missing_attribute", "http.request.extension"), ("extends_namespace", "http.request.extension")},
        {("template_attribute", dashed), ("invalid_format", dashed)},
        {("template_attribute", dotted), ("type_mismatch", dotted)},
    ]


@pytest.mark.outside
def test_weavers_span_sample_is_checked_with_its_events_and_links() -> None:
    _, span = _said("span.json", shipped())

    assert span >= {
        ("type_mismatch", "http.response.status_code"),
        ("illegal_namespace", "aws.s3.bucket.name"),
        ("extends_namespace", "aws.s3.extension.name"),
        ("missing_attribute", "hello"),
        ("missing_namespace", "hello"),
    }


@pytest.mark.outside
def test_weavers_log_samples_are_events_by_their_name() -> None:
    start, unknown, other, nameless = _said("logs.json", shipped())

    assert ("required_attribute_not_present", "session.id") in start
    assert ("extends_namespace", "session.idd") in start
    assert ("missing_event", "session.test") in unknown
    assert other == {("missing_event", "example.event")}
    assert nameless == {("not_stable", "session.id")}


@pytest.mark.outside
def test_weavers_metric_samples_against_its_own_model() -> None:
    memory, rpc, *collector = _said("metrics.json", read(documents(_outside(LIVE_CHECK) / "data/model/metrics")))

    assert memory == {
        ("not_stable", "system.memory.usage"),
        ("recommended_attribute_not_present", "system.memory.state"),
        ("missing_attribute", "state"),
        ("missing_namespace", "state"),
        ("not_stable", "system.memory.state"),
        ("undefined_enum_variant", "system.memory.state"),
    }
    assert rpc == {("missing_metric", "rpc.client.duration")}
    assert [{identity for identity, _ in said} for said in collector] == [{"missing_metric"}] * 2


@pytest.mark.outside
def test_weavers_entity_samples_give_what_its_model_documents() -> None:
    registry = read(documents(_outside(LIVE_CHECK) / "data/model/entity_associations"))

    _, first, _, second, _, third = _said("entity_associations.json", registry)

    assert {identity for identity, _ in first} == {
        "entity_required_attribute_not_present",
        "entity_association_not_satisfied",
    }
    assert second == {("entity_required_attribute_not_present", "tenant.id")}
    assert third == {("entity_recommended_attribute_not_present", "container.name")}


@pytest.mark.outside
def test_a_process_metric_misses_what_its_entity_requires() -> None:
    _, metric = _said("metrics_with_res.json", shipped())

    assert ("entity_required_attribute_not_present", "process.pid") in metric


@pytest.mark.outside
def test_the_demos_own_registry_resolves_what_opentelemetrys_does_not() -> None:
    registry = read(documents(_outside("semconv/otel_demo/telemetry-schema")))
    both, only_otel = registry.over(shipped()), shipped()
    used = {"demo.order.amount", "demo.cart.items.count", "user.id", "messaging.kafka.producer.success"}

    assert len(registry.attributes) == 41
    assert {key for key in used if only_otel.find(key) is None} == used - {"user.id"}
    assert {key for key in used if both.find(key) is None} == {"messaging.kafka.producer.success"}


def test_instrument_and_unit_of_a_metric() -> None:
    found = {
        f.id: f for f in metric_findings(shipped(), "http.server.request.duration", "gauge", "ms", Place("metric"))
    }

    assert set(found) == {"unexpected_instrument", "unit_mismatch"}
    assert found["unit_mismatch"].context == {"unit": "ms", "expected": "s"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "boolean"), (1, "int"), (1.5, "double"), ("a", "string"), ([1, 2.5], "double[]"), ([], None), ({}, None),
     ([1, "a"], None), (None, None), ([None, True], "boolean[]")],
)  # fmt: skip
def test_types_of_json_values(value: object, kind: str | None) -> None:
    assert infer_type(value) == kind


def test_lines_of_attributes_are_samples_too() -> None:
    samples = read_samples("a.txt", b"http.request.method = GET\n\nTaskId\nserver.port=80\n")

    assert [body for _, body in samples] == [
        {"name": "http.request.method", "value": "GET"},
        {"name": "TaskId"},
        {"name": "server.port", "value": 80},
    ]


def test_mutated_samples_are_read_or_refused_and_never_crash() -> None:
    chance = random.Random(3)  # noqa: S311 - repeatable damage
    good = json.dumps([
        {"resource": {"attributes": [{"name": "service.name", "value": "a"}]}},
        {"metric": {"name": "cpu.time", "instrument": "gauge", "unit": "s", "data_points": [{"attributes": []}]}},
        {"span": {"name": "x", "attributes": [{"name": "a.b", "value": [1]}], "span_events": []}},
    ])  # fmt: skip
    refused = []
    for _ in range(500):
        at = chance.randrange(len(good))
        mutated = good[:at] + chance.choice(["", "1", "null", "[]", "{", '"']) + good[at + chance.randrange(12) :]
        try:
            list(check_samples(read_samples("m.json", mutated.encode()), shipped()))
        except SourceError as error:
            refused.append(error)

    assert len(refused) > 100
    assert all("m.json" in error.where for error in refused)


def _spans(n: int) -> pl.DataFrame:
    """Spans of ordinary instrumentation, old names and new: 16 attributes each, 20 services."""
    pairs = [
        ("http.method", "GET"), ("http.url", "http://x/1"), ("net.peer.name", "db"), ("net.peer.port", "80"),
        ("user_agent.original", "curl"), ("url.path", "/a"), ("url.scheme", "http"), ("thread.id", "7"),
        ("code.function", "f"), ("code.lineno", "12"), ("db.statement", "select 1"), ("enduser.id", "u"),
        ("network.peer.port", "many"), ("cart.size", "3"), ("cart.owner", "a"), ("messaging.operation", "publish"),
    ]  # fmt: skip
    attributes = [{"key": key, "value": value} for key, value in pairs]
    return pl.DataFrame({
        "name": ["GET /a", "GET /b"] * (n // 2),
        "kind": pl.Series([2, 3] * (n // 2), dtype=pl.Int32),
        "start_unix_ns": [1_772_366_400_000_000_000 + i for i in range(n)],
        "service_namespace": ["shop"] * n,
        "service_name": [f"s{i % 20}" for i in range(n)],
        "service_version": ["1"] * n,
        "deployment_environment_name": ["prod"] * n,
        "http_response_status_code": pl.Series([200] * n, dtype=pl.Int32),
        "attributes": [attributes] * n,
        "resource_attributes": [[{"key": "host.name", "value": f"h{i % 5}"}] for i in range(n)],
    })  # fmt: skip


def test_counts_in_bulk_are_those_of_one_after_the_other() -> None:
    registry, spans = shipped(), _spans(60)
    judging = Judging(registry, Renaming(registry))
    for piece in spans.iter_slices(25):
        judging.add_spans(piece)

    findings = judging.findings().filter(pl.col("service_key") == "shop/s0/prod")

    counts = {(r["finding_id"], r["attribute"]): r["n"] for r in findings.iter_rows(named=True)}
    assert findings["day_at"].unique().to_list() == [datetime(2026, 3, 1, 12).replace(hour=0)]
    assert counts["deprecated", "http.method"] == 3
    assert counts["missing_attribute", "cart.size"] == 3
    assert counts["type_mismatch", "network.peer.port"] == 3
    assert counts["not_stable", "host.name"] == 1
    assert ("type_mismatch", "thread.id") not in counts
    classes = judging.signals().group_by("signal_class").agg(pl.col("n_spans").sum()).sort("signal_class")
    assert classes.rows() == [("http_client", 30), ("http_server", 30)]


def test_an_old_name_that_fills_a_column_is_counted_once_and_as_the_old_name() -> None:
    """The promoted column is ours: its current name was not sent, and its value is no value of the current enum."""
    old = {"http.method": "GET", "http.status_code": 200, "db.system": "mssql", "net.peer.name": "db"}
    values = {str: "stringValue", int: "intValue"}
    pairs = [{"key": key, "value": {values[type(value)]: value}} for key, value in old.items()]
    span = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "q", "kind": 3, "attributes": pairs}
    environment = [{"key": "deployment.environment", "value": {"stringValue": "prod"}}]
    document = {"resourceSpans": [{"resource": {"attributes": environment}, "scopeSpans": [{"spans": [span]}]}]}
    spans = decode_messages([Message("line 1", json.dumps(document).encode(), "json")], "a").tables["raw_otlp__spans"]
    judging = Judging(shipped(), Renaming(shipped()))

    judging.add_spans(spans)

    assert {PROMOTED[new] for new, before in FILLED_BY.items() if before in old} == {
        column for column in PROMOTED.values() if spans[column][0] is not None
    }
    assert set(judging.findings()["attribute"]) == {*old, "deployment.environment"}
    assert judging.quality().select("n_samples", "n_violations", "score").rows() == [(5, 5, 0.0)]
    assert judging.signals().select("signal_class", "n_upgraded").rows() == [("db_client", 1)]


def test_an_undefined_attribute_costs_once_however_it_is_named() -> None:
    spans = _spans(2).with_columns(attributes=pl.lit([{"key": "TaskId", "value": "1"}]))
    judging = Judging(shipped(), Renaming(shipped()))

    judging.add_spans(spans)

    assert "invalid_format" in judging.findings()["finding_id"]
    assert judging.quality()["n_violations"].to_list() == [0, 0]


def test_what_a_class_of_spans_requires_is_counted_where_it_is_absent() -> None:
    registry = shipped()
    judging = Judging(registry, Renaming(registry))
    judging.add_spans(_spans(40))

    absent = judging.findings().filter(pl.col("finding_id") == "required_attribute_not_present")

    # Server address, port and full URL of the client spans stand there under their old names.
    assert absent.is_empty()


def test_a_score_without_samples_is_unknown_and_otherwise_between_0_and_1() -> None:
    registry = shipped()
    bare = _spans(2).with_columns(
        attributes=pl.lit([], dtype=pl.List(pl.Struct({"key": pl.String, "value": pl.String}))),
        resource_attributes=pl.lit([], dtype=pl.List(pl.Struct({"key": pl.String, "value": pl.String}))),
        http_response_status_code=pl.lit(None, dtype=pl.Int32),
        service_namespace=pl.lit(""),
        service_name=pl.lit("unknown_service"),
        service_version=pl.lit(None, dtype=pl.String),
        deployment_environment_name=pl.lit(""),
    )
    judging = Judging(registry, Renaming(registry))
    judging.add_spans(pl.concat([bare, _spans(2)]))

    scores = {row["service_key"]: row["score"] for row in judging.quality().iter_rows(named=True)}

    assert scores["/unknown_service/"] is None
    assert all(0 < scores[key] < 1 for key in ("shop/s0/prod", "shop/s1/prod"))


def test_bulk_costs_a_tenth_of_asking_the_rules_of_every_span() -> None:
    registry, spans = shipped(), _spans(4000)
    renaming = Renaming(registry)
    Judging(registry, renaming).add_spans(spans)  # what is built once is built

    started = time.process_time()
    judging = Judging(registry, renaming)
    judging.add_spans(pl.concat([spans] * 5))
    judging.findings()
    bulk = (time.process_time() - started) / (5 * spans.height)
    samples = [
        (
            "span",
            {"name": row["name"], "attributes": [{"name": p["key"], "value": p["value"]} for p in row["attributes"]]},
        )
        for row in spans.head(400).iter_rows(named=True)
    ]
    started = time.process_time()
    n = sum(len(sample.findings) for sample in check_samples(samples, registry))
    single = (time.process_time() - started) / len(samples)

    assert n > 0
    assert bulk < single / 10
