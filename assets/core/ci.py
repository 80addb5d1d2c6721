"""CI runs, jobs, test results and verdicts, with every report linked to its run and revision."""

import dagster as dg

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.dtypes import from_columns
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    CORE_CI_JOBS,
    CORE_CI_PIPELINE_SPANS,
    CORE_CI_RUN_ERRORS,
    CORE_CI_RUNS,
    CORE_CI_SPAN_FILES,
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
from weaver_forge.warehouse.pipeline_spans import pipeline_spans, with_pipelines

_READS = (RAW_TEST_RESULTS, RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS, RAW_GIT_COMMITS)
_MORE = (RAW_GITLAB_PIPELINES, RAW_GITLAB_JOBS, CORE_CI_PIPELINE_SPANS)


def _search(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    """Search files of the lake that have come since the last time for spans of pipelines."""
    warehouse = deployment.warehouse
    searched = set(warehouse.read(CORE_CI_SPAN_FILES)["file"])
    new = [path for path in warehouse.spans.files() if path.name not in searched]
    found = with_pipelines(new)
    with warehouse.connect() as con:
        spans = pipeline_spans(con, found)
    warehouse.replace(CORE_CI_PIPELINE_SPANS, spans)
    # Last: a crash before this only means searching them again.
    names, have = [path.name for path in new], [path in found for path in new]
    warehouse.append(CORE_CI_SPAN_FILES, from_columns(CORE_CI_SPAN_FILES, {"file": names, "has_pipelines": have}))
    return {
        CORE_CI_PIPELINE_SPANS.name: {"rows_written": spans.height},
        CORE_CI_SPAN_FILES.name: {"rows_written": len(new)},
    }


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
    table_assets("core_ci_spans", (CORE_CI_PIPELINE_SPANS, CORE_CI_SPAN_FILES), _search, deps=(RAW_OTLP_SPANS.name,)),
    table_assets(
        "core_ci",
        (CORE_CI_RUNS, CORE_CI_JOBS, CORE_CI_TEST_RESULTS, CORE_CI_TEST_VERDICTS, CORE_CI_RUN_ERRORS),
        _write,
        deps=[table.name for table in (*_READS, *_MORE)],
    ),
]
