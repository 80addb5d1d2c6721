"""CI runs, jobs, test results and verdicts, with every report linked to its run and revision."""

import dagster as dg

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    CORE_CI_JOBS,
    CORE_CI_RUNS,
    CORE_CI_TEST_RESULTS,
    CORE_CI_TEST_VERDICTS,
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_TEST_RESULTS,
)
from weaver_forge.links import core_ci

_READS = (RAW_TEST_RESULTS, RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS, RAW_GIT_COMMITS)


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    frames = core_ci(*(warehouse.read(table) for table in _READS))
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
        "core_ci",
        (CORE_CI_RUNS, CORE_CI_JOBS, CORE_CI_TEST_RESULTS, CORE_CI_TEST_VERDICTS),
        _write,
        deps=[table.name for table in _READS],
    )
]
