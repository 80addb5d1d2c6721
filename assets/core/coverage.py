"""The map from tests to the files they execute."""

import dagster as dg

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_RESULTS
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES, RAW_COVERAGE_TEST_FILES
from weaver_forge.links.coverage import core_coverage

_READS = (RAW_COVERAGE_TEST_FILES, CORE_CI_RUNS, CORE_CI_TEST_RESULTS, RAW_GIT_COMMITS)


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    frame = core_coverage(*(warehouse.read(table) for table in _READS))
    return {
        CORE_COVERAGE_TEST_FILES.name: {
            "rows_written": warehouse.replace(CORE_COVERAGE_TEST_FILES, frame),
            "tests_without_a_report": frame.filter((frame["kind"] == "test") & ~frame["is_known_test"]).height,
        }
    }


assets = [table_assets("core_coverage", (CORE_COVERAGE_TEST_FILES,), _write, deps=[table.name for table in _READS])]
