"""Findings by service and day over the lakes: only days that changed, or that other registries judged, are judged."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from assets.core.semantics import judge
from assets.resources import Deployment
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.contracts.tables.semconv import (
    CORE_SEMANTIC_DAYS,
    CORE_SEMANTIC_FINDINGS,
    CORE_SEMANTIC_QUALITY,
    CORE_SEMANTIC_SIGNALS,
)
from weaver_forge.semconv import bulk
from weaver_forge.settings import load
from weaver_forge.warehouse import Warehouse

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
OWNER = {
    "service_namespace": "shop",
    "service_name": "cart",
    "deployment_environment_name": "prod",
    "resource_attributes": [{"key": "host.name", "value": "h1"}],
}


def _ns(day: date) -> int:
    return int((datetime(day.year, day.month, day.day, 12) - datetime(1970, 1, 1)).total_seconds()) * 10**9


def _span(day: date, number: int, **attributes: str) -> dict[str, object]:
    return {
        **OWNER,
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "name": "GET /cart",
        "kind": 2,
        "start_unix_ns": _ns(day),
        "end_unix_ns": _ns(day) + 1,
        "status_code": 0,
        "status_message": "",
        "attributes": [{"key": key.replace("__", "."), "value": value} for key, value in attributes.items()],
    }


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    (tmp_path / "weaver-forge.toml").write_text("", encoding="utf-8")
    settings = load(tmp_path)
    made = Deployment(settings, (), Warehouse(settings.warehouse, settings.lake))
    made.warehouse.migrate([CORE_SEMANTIC_DAYS, CORE_SEMANTIC_FINDINGS, CORE_SEMANTIC_QUALITY, CORE_SEMANTIC_SIGNALS])
    return made


def _store(deployment: Deployment, *spans: dict[str, object]) -> None:
    deployment.warehouse.append(RAW_OTLP_SPANS, from_rows(RAW_OTLP_SPANS, spans))


def test_findings_quality_and_classes_of_a_day(deployment: Deployment) -> None:
    old = {"http__method": "GET", "url__path": "/", "url__scheme": "http", "server__port": "many"}
    _store(deployment, _span(FIRST, 1, **old), _span(FIRST, 2, **old, cart__size="3"))

    judge(deployment)

    findings = deployment.warehouse.read(CORE_SEMANTIC_FINDINGS)
    said = {(r["signal"], r["finding_id"], r["attribute"]): r["n"] for r in findings.iter_rows(named=True)}
    assert said["span", "deprecated", "http.method"] == 2
    assert said["span", "type_mismatch", "server.port"] == 2
    assert said["span", "missing_attribute", "cart.size"] == 1
    assert said["resource", "not_stable", "host.name"] == 1
    assert not [key for key in said if key[1] == "required_attribute_not_present"]
    quality = deployment.warehouse.read(CORE_SEMANTIC_QUALITY).row(0, named=True)
    n_samples = 9 + 4  # of the resource: host.name, service.name, service.namespace, deployment.environment.name
    assert (quality["service_key"], quality["n_samples"], quality["n_violations"]) == ("shop/cart/prod", n_samples, 4)
    assert quality["coverage"] == pytest.approx(12 / 13)
    assert quality["score"] == pytest.approx((1 - 4 / 13) * 12 / 13)
    assert quality["known_at"] == datetime(2026, 3, 2, 0, 1)
    signals = deployment.warehouse.read(CORE_SEMANTIC_SIGNALS).row(0, named=True)
    assert (signals["signal_class"], signals["n_spans"], signals["n_upgraded"]) == ("http_server", 2, 2)


def test_only_days_with_new_telemetry_are_judged_again(deployment: Deployment) -> None:
    _store(deployment, _span(FIRST, 1, url__path="/"), _span(SECOND, 2, url__path="/"))
    first = judge(deployment)
    again = judge(deployment)
    _store(deployment, _span(SECOND, 3, url__path="/"))
    third = judge(deployment)

    days = [said[CORE_SEMANTIC_DAYS.name]["days_judged"] for said in (first, again, third)]

    assert days == [2, 0, 1]
    assert deployment.warehouse.read(CORE_SEMANTIC_DAYS)["n_rows"].sort().to_list() == [1, 2]


def test_other_rules_judge_every_day_again(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    _store(deployment, _span(FIRST, 1, url__path="/"), _span(SECOND, 2, url__path="/"))
    judge(deployment)
    monkeypatch.setattr(bulk, "RULES", bulk.RULES + 1)

    said = judge(deployment)

    assert said[CORE_SEMANTIC_DAYS.name]["days_judged"] == 2


def test_a_registry_of_ones_own_judges_every_day_again(deployment: Deployment) -> None:
    _store(deployment, _span(FIRST, 1, cart__size="3"))
    judge(deployment)
    root = deployment.settings.root
    (root / "ours.yaml").write_text(
        "file_format: definition/2\nattributes:\n  - key: cart.size\n    type: int\n    stability: stable\n",
        encoding="utf-8",
    )
    (root / "weaver-forge.toml").write_text('[semconv]\nregistries = ["ours.yaml"]\n', encoding="utf-8")
    deployment.settings = load(root)

    said = judge(deployment)

    assert said[CORE_SEMANTIC_DAYS.name]["days_judged"] == 1
    findings = deployment.warehouse.read(CORE_SEMANTIC_FINDINGS)
    assert "missing_attribute" not in findings["finding_id"].to_list()
    assert deployment.warehouse.read(CORE_SEMANTIC_QUALITY)["coverage"].to_list() == [1.0]


def test_metrics_and_logs_are_judged_too(deployment: Deployment) -> None:
    point = {
        **OWNER,
        "series_id": "a" * 32,
        "start_unix_ns": 0,
        "time_unix_ns": _ns(FIRST),
        "metric_name": "http.server.request.duration",
        "metric_type": "gauge",
        "unit": "ms",
        "description": "",
        "has_value": True,
        "value_double": 1.0,
        "attributes": [{"key": "http.request.method", "value": "GET"}],
        "scope_name": "",
        "scope_version": "",
        "scope_attributes": [],
    }
    record = {
        **OWNER,
        "record_id": "b" * 32,
        "time_unix_ns": _ns(FIRST),
        "severity_number": 9,
        "severity_text": "INFO",
        "body": "",
        "is_structured": False,
        "event_name": "session.start",
        "attributes": [],
        "scope_name": "",
        "scope_version": "",
        "scope_attributes": [],
    }
    deployment.warehouse.metric_points.append(from_rows(RAW_OTLP_METRIC_POINTS, [point]))
    deployment.warehouse.log_records.append(from_rows(RAW_OTLP_LOG_RECORDS, [record]))

    judge(deployment)

    findings = deployment.warehouse.read(CORE_SEMANTIC_FINDINGS).filter(pl.col("signal") != "resource")
    said = set(findings.select("signal", "finding_id", "attribute").iter_rows())
    assert said >= {
        ("metric", "unit_mismatch", "http.server.request.duration"),
        ("metric", "unexpected_instrument", "http.server.request.duration"),
        ("metric", "required_attribute_not_present", "url.scheme"),
        ("log", "not_stable", "session.start"),
        ("log", "required_attribute_not_present", "session.id"),
    }


def test_no_telemetry_is_no_finding(deployment: Deployment) -> None:
    said = judge(deployment)

    assert said[CORE_SEMANTIC_DAYS.name] == {"rows_written": 0, "days_judged": 0}
