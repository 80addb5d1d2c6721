"""Spans of CI pipelines are found in the lake without reading the others."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.ci import CORE_CI_PIPELINE_SPANS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.links.impact.runtime import code_of_tests
from weaver_forge.warehouse.conform import conform
from weaver_forge.warehouse.lake import Lake
from weaver_forge.warehouse.pipeline_spans import PREFIX, pipeline_spans, prefixes_in
from weaver_forge.warehouse.spans_of_tests import CODE, TEST, spans_of_tests


def span(number: int, resource: dict[str, str], **attributes: str) -> dict[str, Any]:
    return {
        "trace_id": f"{number:032x}", "span_id": f"{number:016x}", "name": "n", "kind": 1, "start_unix_ns": number,
        "end_unix_ns": number + 1, "status_code": 0, "status_message": "", "service_namespace": "",
        "service_name": "s", "deployment_environment_name": "",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
        "resource_attributes": [{"key": key, "value": value} for key, value in resource.items()],
    }  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "spans", RAW_OTLP_SPANS, "start_unix_ns")
    plain = [span(n, {"host.name": f"h{n}"}, **{"http.route": "/"}) for n in range(50)]
    run = span(100, {"cicd.pipeline.run.id": "7", "cicd.pipeline.run.status": "failure", "vcs.ref.head": "main"})
    task = span(101, {"cicd.pipeline.run.id": "7"}, **{"cicd.pipeline.task.run.result": "success"})
    made.append(from_rows(RAW_OTLP_SPANS, plain))
    made.append(from_rows(RAW_OTLP_SPANS, [span(60, {}), run, task]))
    return made


def test_only_files_with_an_attribute_of_a_pipeline_are_read(lake: Lake) -> None:
    first, second = lake.files()

    assert [prefixes_in(file, (PREFIX, "http.")) for file in (first, second)] == [{"http."}, {PREFIX}]


def test_spans_of_pipelines_come_with_old_and_new_names_read_as_one(lake: Lake) -> None:
    with duckdb.connect() as con:
        spans = pipeline_spans(con, lake.files())

    said = conform(CORE_CI_PIPELINE_SPANS, spans).sort("start_unix_ns")
    assert said.select("start_unix_ns", "run_id", "run_result", "task_result", "branch").rows() == [
        (100, "7", "failure", None, "main"),
        (101, "7", None, "success", None),
    ]


def test_code_that_ran_below_a_test_is_found_in_the_spans_of_another_service(tmp_path: Path) -> None:
    made = Lake(tmp_path / "spans", RAW_OTLP_SPANS, "start_unix_ns")
    trace = {"trace_id": f"{1:032x}"}
    test = span(1, {}, **{TEST: "tests.test_cart::test_total", "code.file.path": "tests/test_cart.py"}) | trace
    call = span(2, {}) | trace | {"parent_span_id": test["span_id"]}
    served = span(3, {}, **{"code.function.name": "pay.money.Money.round"}) | trace
    other = span(4, {}, **{"code.file.path": "/app/web/index.py"})
    made.append(from_rows(RAW_OTLP_SPANS, [test, call]))
    made.append(from_rows(RAW_OTLP_SPANS, [served | {"parent_span_id": call["span_id"]}, other]))

    with duckdb.connect() as con:
        found = code_of_tests(spans_of_tests(con, made.files()))

    assert [prefixes_in(file, (TEST, CODE)) for file in made.files()] == [{TEST, CODE}, {CODE}]
    assert found.select("test_id", "code_file", "code_function", "end_unix_ns").rows() == [
        ("tests.test_cart::test_total", "", "pay.money.Money.round", 2)
    ]


def test_no_files_give_no_spans() -> None:
    with duckdb.connect() as con:
        assert pipeline_spans(con, []).schema == conform(CORE_CI_PIPELINE_SPANS, pipeline_spans(con, [])).schema
