"""Deployments, incidents and charges as our subjects."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.cost import CORE_COST_CHARGES, RAW_FOCUS_CHARGES
from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    RAW_DEPLOYMENTS_EVENTS,
    RAW_INCIDENTS_EVENTS,
)
from weaver_forge.links.cost import core_cost
from weaver_forge.links.operations import core_deployments, core_incidents


def _rebuilt(raw: Table, core: Table, make: Callable[[pl.DataFrame], pl.DataFrame]) -> dg.AssetsDefinition:
    def write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
        rows = deployment.warehouse.replace(core, make(deployment.warehouse.read(raw)))
        return {core.name: {"rows_written": rows}}

    return table_assets(f"core_{core.source}", (core,), write, deps=(raw.name,))


assets = [
    _rebuilt(RAW_DEPLOYMENTS_EVENTS, CORE_DEPLOYMENTS_DEPLOYMENTS, core_deployments),
    _rebuilt(RAW_INCIDENTS_EVENTS, CORE_INCIDENTS_INCIDENTS, core_incidents),
    _rebuilt(RAW_FOCUS_CHARGES, CORE_COST_CHARGES, core_cost),
]
