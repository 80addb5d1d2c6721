"""What decisions keep of the past: made anew before every publication, published where the history is still the same.

Put here when it is made and whether it holds. What is kept, and what it says, is the decision's own.
"""

import dagster as dg

from assets.resources import Deployment, SpecTables
from assets.tables import Metadata, table_assets
from assets.unchanged import note, noted, origin
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind
from weaver_forge.contracts.table import Table


def kept_names(spec: DecisionSpec) -> list[str]:
    """Names of the kept tables of a decision."""
    return [table.name for kind in spec.kinds if kind.keeping for table in kind.keeping.tables]


def kept_assets(spec: DecisionSpec, kind: SubjectKind) -> list[dg.AssetsDefinition]:
    """The asset that makes a kind's kept tables; none where it keeps nothing."""
    keeping = kind.keeping
    if keeping is None:
        return []
    reads = [read.name for read in spec.reads]

    def write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
        with deployment.warehouse.connect():  # held to the end: nobody writes what is being read
            made = keeping.keep(SpecTables(deployment, spec.reads), deployment.settings.now())
            said: dict[str, Metadata] = {}
            for table in keeping.tables:
                said[table.name] = {"rows_written": deployment.warehouse.replace(table, made[table.name])}
            note(deployment, _name(spec, kind), origin(deployment, reads, ()))
        return said

    return [table_assets(_name(spec, kind), keeping.tables, write, deps=reads)]


def holding(deployment: Deployment, spec: DecisionSpec) -> tuple[Table, ...]:
    """Kept tables of a decision whose history was not written to since, and was read by today's code."""
    found: list[Table] = []
    now = origin(deployment, [read.name for read in spec.reads], ())
    for kind in spec.kinds:
        if kind.keeping is not None and noted(deployment).get(_name(spec, kind)) == now:
            found += kind.keeping.tables
    return tuple(found)


def _name(spec: DecisionSpec, kind: SubjectKind) -> str:
    return f"kept_{spec.name}__{kind.entity}"
