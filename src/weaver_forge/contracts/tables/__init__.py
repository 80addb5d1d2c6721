"""Every shared table, declared once as data. A decision's own tables are declared by its spec."""

from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables import (
    changes,
    ci,
    cost,
    coverage,
    entities,
    imports,
    ingest,
    log_marts,
    logs,
    metric_marts,
    metrics,
    operations,
    semconv,
    traces,
)

ALL: tuple[Table, ...] = tuple(
    value
    for module in (
        ingest,
        changes,
        imports,
        ci,
        coverage,
        operations,
        traces,
        metrics,
        metric_marts,
        logs,
        log_marts,
        entities,
        semconv,
        cost,
    )
    for value in vars(module).values()
    if isinstance(value, Table)
)

BY_NAME: dict[str, Table] = {table.name: table for table in ALL}
