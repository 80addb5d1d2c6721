"""Past units in the orders of methods that were learnt before them: what the confidence curve is counted on.

Put here the wiring. The walk is ``models.walking``'s, what is counted of it ``hooks.selecting.past``'s, the figure
``curves``'.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.predicting import SEED
from assets.resources import Deployment, SpecTables
from assets.tables import Metadata, table_assets
from models.walking import walk
from weaver_forge.contracts.decision import (
    PAST_BASELINE,
    DecisionSpec,
    SubjectKind,
    feature_table,
    has_past,
    past_table,
)
from weaver_forge.contracts.table import Table
from weaver_forge.hooks.selecting.past import past_of, past_run
from weaver_forge.hooks.selecting.telling import curve_as_data


def past_tables(spec: DecisionSpec) -> list[Table]:
    """The tables of past units of a decision; none where hooks choose among no subjects."""
    return [past_table(spec, kind) for kind in spec.kinds if has_past(kind)]


def past_assets(spec: DecisionSpec, kind: SubjectKind) -> list[dg.AssetsDefinition]:
    """The asset that walks through a kind's past; none where hooks choose among no subjects."""
    if not has_past(kind):
        return []
    table, source = past_table(spec, kind), feature_table(spec, kind)

    def write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
        tables = SpecTables(deployment, spec.reads)
        features = deployment.warehouse.read(source)
        rows = walk(kind, tables, features, as_of=deployment.settings.now(), seed=SEED)
        deployment.warehouse.replace(table, rows)
        return {table.name: {"rows_written": rows.height, **_curves(rows.to_dicts())}}

    return [table_assets(table.name, (table,), write, deps=[source.name, *(read.name for read in spec.reads)])]


def _curves(rows: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The confidence curve of every order, over all repositories."""
    from assets import curves  # matplotlib takes its time

    names = [*sorted({row["order_name"] for row in rows} - {PAST_BASELINE}), PAST_BASELINE]
    orders = {
        name: curve_as_data(past_of([past_run(row) for row in rows if row["order_name"] == name], name))
        for name in names
    }
    return {"curve": dg.MetadataValue.md(f"![confidence curve]({curves.as_uri(orders)})")} if rows else {}
