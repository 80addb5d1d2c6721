"""Changes, the files they touch, and the fixes that blame them."""

import dagster as dg

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.changes import core_changes
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_BLAMES,
    CORE_CHANGES_CHANGES,
    CORE_CHANGES_FILES,
    RAW_GIT_BLAMES,
    RAW_GIT_COMMITS,
    RAW_GIT_FILE_CHANGES,
)


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    frames = core_changes(
        warehouse.read(RAW_GIT_COMMITS), warehouse.read(RAW_GIT_FILE_CHANGES), warehouse.read(RAW_GIT_BLAMES)
    )
    return {name: {"rows_written": warehouse.replace(BY_NAME[name], frame)} for name, frame in frames.items()}


assets = [
    table_assets(
        "core_changes",
        (CORE_CHANGES_CHANGES, CORE_CHANGES_FILES, CORE_CHANGES_BLAMES),
        _write,
        deps=(RAW_GIT_COMMITS.name, RAW_GIT_FILE_CHANGES.name, RAW_GIT_BLAMES.name),
    )
]
