"""CI runs, jobs, test results and verdicts, with every report linked to its run and revision."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.dtypes import empty, from_columns, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    CORE_CI_JOBS,
    CORE_CI_PIPELINE_SPANS,
    CORE_CI_RUN_ERRORS,
    CORE_CI_RUNS,
    CORE_CI_SPAN_FILES,
    CORE_CI_TEST_CODE,
    CORE_CI_TEST_DURATIONS,
    CORE_CI_TEST_RESULTS,
    CORE_CI_TEST_VERDICTS,
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_GITLAB_JOBS,
    RAW_GITLAB_PIPELINES,
    RAW_TEST_RESULTS,
)
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.links import core_ci
from weaver_forge.links.impact.runtime import code_of_tests
from weaver_forge.warehouse.lake_files import LakeFile
from weaver_forge.warehouse.pipeline_spans import PREFIX, pipeline_spans, prefixes_in
from weaver_forge.warehouse.spans_of_tests import CODE, TEST, spans_of_tests

_READS = (RAW_TEST_RESULTS, RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS, RAW_GIT_COMMITS)
_MORE = (RAW_GITLAB_PIPELINES, RAW_GITLAB_JOBS, CORE_CI_PIPELINE_SPANS)

_LONGEST_TEST_NS = 3_600_000_000_000
"""What ran below a test began at most this long after it."""


def _search(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    """Search files of the lake that have come since the last time for spans of pipelines and of tests."""
    warehouse = deployment.warehouse
    known = warehouse.read(CORE_CI_SPAN_FILES)
    lake = warehouse.spans.ranges()
    searched = set(known["file"])
    new = [file for file in lake if file.path.name not in searched]
    has = {file.path.name: prefixes_in(file.path, (PREFIX, TEST, CODE)) for file in new}
    with warehouse.connect() as con:
        spans = pipeline_spans(con, [file.path for file in new if PREFIX in has[file.path.name]])
        code = _test_code(con, lake, known, has)
    warehouse.replace(CORE_CI_PIPELINE_SPANS, spans)
    n_code = warehouse.append(CORE_CI_TEST_CODE, code) if code.height else 0
    # Last: a crash before this only means searching them again.
    columns: dict[str, list[Any]] = {
        "file": list(has),
        "has_pipelines": [PREFIX in found for found in has.values()],
        "has_tests": [TEST in found for found in has.values()],
        "has_code": [CODE in found for found in has.values()],
    }
    warehouse.append(CORE_CI_SPAN_FILES, from_columns(CORE_CI_SPAN_FILES, columns))
    return {
        CORE_CI_PIPELINE_SPANS.name: {"rows_written": spans.height},
        CORE_CI_TEST_CODE.name: {"rows_written": n_code},
        CORE_CI_SPAN_FILES.name: {"rows_written": len(new)},
    }


def _test_code(
    con: duckdb.DuckDBPyConnection, lake: Sequence[LakeFile], known: pl.DataFrame, has: Mapping[str, frozenset[str]]
) -> pl.DataFrame:
    """Code that ran below tests, of the new files and of those of the same time: services report apart from tests."""
    tests = {name for name, found in has.items() if TEST in found}
    tests |= set(known.filter(pl.col("has_tests").fill_null(value=False))["file"])
    code = {name for name, found in has.items() if CODE in found}
    code |= set(known.filter(pl.col("has_code").fill_null(value=False))["file"])
    fresh = [file for file in lake if has.get(file.path.name, frozenset()) & {TEST, CODE}]
    if not fresh or not tests or not code:
        return empty(CORE_CI_TEST_CODE)
    around = [file for file in lake if file.path.name in tests | code and any(_overlap(file, new) for new in fresh)]
    found = code_of_tests(spans_of_tests(con, [file.path for file in around]))
    return shaped(CORE_CI_TEST_CODE, found.with_columns(known_at=pl.from_epoch(pl.col("end_unix_ns") // 1000, "us")))


def _overlap(some: LakeFile, other: LakeFile) -> bool:
    return (
        some.first_unix_ns <= other.last_unix_ns + _LONGEST_TEST_NS
        and other.first_unix_ns <= some.last_unix_ns + _LONGEST_TEST_NS
    )


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    pipelines, jobs, spans = (warehouse.read(table) for table in _MORE)
    frames = core_ci(
        *(warehouse.read(table) for table in _READS),
        raw_pipelines=pipelines,
        raw_gitlab_jobs=jobs,
        pipeline_spans=spans,
    )
    results = frames[CORE_CI_TEST_RESULTS.name]
    linked = results.height - results["revision"].null_count()
    said: dict[str, Metadata] = {}
    for name, frame in frames.items():
        said[name] = {"rows_written": warehouse.replace(BY_NAME[name], frame)}
    said[CORE_CI_TEST_RESULTS.name] = {
        **said[CORE_CI_TEST_RESULTS.name],
        "linked_to_a_revision": linked,
        "unlinked": results.height - linked,
    }
    return said


assets = [
    table_assets(
        "core_ci_spans",
        (CORE_CI_PIPELINE_SPANS, CORE_CI_TEST_CODE, CORE_CI_SPAN_FILES),
        _search,
        deps=(RAW_OTLP_SPANS.name,),
    ),
    table_assets(
        "core_ci",
        (
            CORE_CI_RUNS,
            CORE_CI_JOBS,
            CORE_CI_TEST_RESULTS,
            CORE_CI_TEST_VERDICTS,
            CORE_CI_TEST_DURATIONS,
            CORE_CI_RUN_ERRORS,
        ),
        _write,
        deps=[table.name for table in (*_READS, *_MORE)],
    ),
]
