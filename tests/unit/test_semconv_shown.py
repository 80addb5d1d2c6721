"""Where the semantic layer is seen: a feature of deployments, and the command that checks files."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from models.deploy_risk import SPEC
from weaver_forge.cli.app import run
from weaver_forge.contracts.dtypes import empty, from_rows
from weaver_forge.contracts.tables.operations import CORE_DEPLOYMENTS_DEPLOYMENTS
from weaver_forge.contracts.tables.semconv import CORE_SEMANTIC_QUALITY
from weaver_forge.errors import UsageError
from weaver_forge.semconv.digest import by_service, digests, folded

DAY = datetime(2026, 3, 1)


def _quality(day: datetime, score: float | None, service: str = "shop/cart/prod") -> dict[str, object]:
    return {
        "service_key": service,
        "day_at": day,
        "n_samples": 10,
        "n_violations": 1,
        "coverage": 0.5,
        "score": score,
        "known_at": day + timedelta(days=1, minutes=1),
    }


def test_a_deployment_knows_the_score_of_the_newest_day_that_had_ended() -> None:
    tables = {table.name: empty(table) for table in SPEC.reads}
    started = [DAY + timedelta(hours=12), DAY + timedelta(days=1, hours=12)]
    tables[CORE_DEPLOYMENTS_DEPLOYMENTS.name] = from_rows(
        CORE_DEPLOYMENTS_DEPLOYMENTS,
        [
            {
                "deployment_id": str(n),
                "service_key": "shop/cart/prod",
                "environment": "prod",
                "version": str(n),
                "started_at": at,
                "known_at": at,
            }
            for n, at in enumerate(started)
        ],
    )
    tables[CORE_SEMANTIC_QUALITY.name] = from_rows(
        CORE_SEMANTIC_QUALITY, [_quality(DAY, 0.75), _quality(DAY + timedelta(days=1), 0.25)]
    )
    kind = SPEC.kinds[1]

    features = kind.features(tables, kind.history(tables, DAY + timedelta(days=9)))

    assert features.sort("predicted_at")["telemetry_score"].to_list() == [None, 0.75]


def _trace(path: Path) -> Path:
    attributes = [
        {"key": "http.url", "value": {"stringValue": "http://shop/"}},
        {"key": "cart.size", "value": {"intValue": "3"}},
    ]
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "GET /",
        "kind": 3,
        "startTimeUnixNano": "1772366400000000000",
        "endTimeUnixNano": "1772366400000000001",
        "attributes": attributes,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_file_is_checked_without_a_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "cart.yaml").write_text(
        "file_format: definition/2\nattributes:\n  - {key: cart.size, type: int, stability: stable}\n", encoding="utf-8"
    )
    trace = str(_trace(tmp_path / "trace.json"))

    plain = run(["semconv", "check", trace, "--json"])
    alone = json.loads(capsys.readouterr().out)
    run(["semconv", "check", trace, "--registry", str(ours), "--json"])
    both = json.loads(capsys.readouterr().out)

    assert plain == 0
    assert {(f["finding_id"], f["attribute"]) for f in alone["findings"]} >= {
        ("deprecated", "http.url"),
        ("missing_attribute", "cart.size"),
    }
    assert alone["counts"]["violation"] == both["counts"]["violation"] + 1
    assert alone["quality"][0]["coverage"] < both["quality"][0]["coverage"]


def test_samples_of_weaver_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "samples.json"
    path.write_text('[{"attribute": {"name": "TaskId", "value": "1"}}]', encoding="utf-8")

    code = run(["semconv", "check", str(path), "--level", "violation"])

    said = capsys.readouterr().out
    assert code == 0
    assert "invalid_format" in said
    assert "2 violations (2 times), 1 improvement (1 times), 0 informations (0 times)" in said


def test_a_finding_of_many_services_is_one_line_and_one_row_a_service_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(_trace(tmp_path / "one.json").read_text(encoding="utf-8"))
    (tmp_path / "one.json").unlink()
    for number in range(30):
        name = {"key": "service.name", "value": {"stringValue": f"cart-{number}"}}
        document["resourceSpans"][0]["resource"]["attributes"] = [name]
        (tmp_path / f"{number}.json").write_text(json.dumps(document), encoding="utf-8")

    run(["semconv", "check", str(tmp_path)])
    said = capsys.readouterr().out
    run(["semconv", "check", str(tmp_path), "--json"])
    whole = json.loads(capsys.readouterr().out)

    about_size = [line for line in said.splitlines() if "'cart.size' does not exist" in line]
    assert len(about_size) == 1
    assert "30: /cart-0/, /cart-1/, ..." in about_size[0]
    assert "... and 20 services" in said
    assert said.rstrip().splitlines()[-1].startswith("30 services with 90 attributes: 2 violations (60 times)")
    assert "not stable" not in said  # what is deprecated is not stable either: not said twice
    assert sum(f["attribute"] == "cart.size" and f["level"] == "violation" for f in whole["findings"]) == 30


def test_findings_of_one_kind_are_folded_and_counted() -> None:
    rows = [
        {"service_key": "s", "signal": "span", "level": level, "finding_id": kind, "attribute": f"a{n}", "n": n + 1,
         "message": f"a{n}"}
        for level, kind, size in (("improvement", "not_stable", 3), ("violation", "missing_attribute", 9))
        for n in range(size)
    ]  # fmt: skip

    found = folded(digests(rows), 4)

    assert [(each.level, each.attribute, each.n) for each in found] == [
        ("violation", "a8", 9), ("violation", "a7", 8), ("violation", "a6", 7), ("violation", "a5", 6),
        ("violation", "", 15), ("improvement", "a2", 3), ("improvement", "a1", 2), ("improvement", "a0", 1),
    ]  # fmt: skip
    assert found[4].message == "5 more: a4, a3, a2, a1, a0"


def test_days_of_a_service_are_one_row_of_quality() -> None:
    days = [
        {"service_key": "b", "n_samples": 10, "n_violations": 2, "coverage": 0.5},
        {"service_key": "b", "n_samples": 30, "n_violations": 2, "coverage": 1.0},
        {"service_key": "a", "n_samples": 0, "n_violations": 0, "coverage": None},
    ]

    found = by_service(days)

    assert [row["service_key"] for row in found] == ["b", "a"]
    assert (found[0]["n_samples"], found[0]["n_undefined"], found[0]["coverage"]) == (40, 5, 0.875)
    assert found[0]["score"] == pytest.approx((1 - 4 / 40) * 0.875)
    assert found[1]["score"] is None


def test_nothing_to_check_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nothing to check"):
        run(["semconv", "check"])
