"""The Dagster code location: which assets, jobs, schedules and sensors exist.

Put assembly here. Put an asset in assets/<layer>/<source>.py, arithmetic in models/,
and anything a hook needs in weaver_forge: the gate runs where Dagster is not installed.
"""

import dagster as dg

from assets.autonomy import autonomy_asset
from assets.core import (
    change_imports,
    change_semantics,
    changes,
    ci,
    coverage,
    entities,
    logs,
    metrics,
    operations,
    quarantines,
    semantics,
)
from assets.core.traces import trace_assets
from assets.decisions import decision_assets, decision_tables
from assets.jobs import jobs, schedules, sensors
from assets.publishing import overview_asset, snapshot_asset
from assets.raw import SOURCES
from assets.raw.intake import raw_assets
from assets.registry import load_specs
from assets.resources import Deployment, Emit, emit_nothing
from assets.spool import spool_asset
from weaver_forge import settings as settings_module
from weaver_forge.contracts.tables import ALL
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse


def open_deployment(settings: Settings, emit: Emit = emit_nothing) -> Deployment:
    """Load the specs and bring the warehouse to today's schema; takes its write lock for a moment."""
    deployment = load_deployment(settings, emit)
    tables = [*ALL, *(table for spec in deployment.specs for table in decision_tables(spec))]
    deployment.warehouse.migrate(tables)
    return deployment


def load_deployment(settings: Settings, emit: Emit = emit_nothing) -> Deployment:
    """Load the specs and touch no file: a code location is loaded while runs of other processes write."""
    settings.data.mkdir(parents=True, exist_ok=True)
    return Deployment(settings, load_specs(settings), Warehouse(settings.warehouse, settings.lake), emit)


def build_defs(deployment: Deployment) -> dg.Definitions:
    """All definitions over a deployment."""
    specs = deployment.specs
    all_jobs = jobs(specs)
    return dg.Definitions(
        assets=[
            *(raw_assets(source) for source in SOURCES),
            *changes.assets,
            *change_semantics.assets,
            *change_imports.assets,
            *ci.assets,
            *quarantines.assets,
            *coverage.assets,
            *operations.assets,
            *semantics.assets,
            *metrics.assets,
            *logs.assets,
            *entities.assets,
            *trace_assets(deployment.settings),
            *(asset for spec in specs for asset in decision_assets(spec)),
            spool_asset,
            autonomy_asset(specs),
            overview_asset,
            snapshot_asset(specs),
        ],
        jobs=list(all_jobs.values()),
        schedules=schedules(all_jobs),
        sensors=sensors(deployment.settings, deployment.warehouse, all_jobs),
        resources={"deployment": deployment},
        # In process: a step costs 0.1 to 0.3 s instead of 1 to 3 s, and one writer is all DuckDB allows anyway.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The deployment that this process stands in."""
    settings = settings_module.find()
    is_new = not settings.warehouse.is_file()
    return build_defs(open_deployment(settings) if is_new else load_deployment(settings))
