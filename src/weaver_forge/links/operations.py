"""Deployments and incidents as reported -> core tables: when each fact became known.

Put here what joins or dates operational records. Reading the records is in ``decode``, their cost in
``links.cost``.
"""

import polars as pl

from weaver_forge.contracts.tables.operations import CORE_DEPLOYMENTS_DEPLOYMENTS, CORE_INCIDENTS_INCIDENTS


def core_deployments(raw: pl.DataFrame) -> pl.DataFrame:
    """One row a deployment of ``raw_deployments__events``.

    A deployment is known from its start. Its rollback is known only from ``rolled_back_at`` on, and so is a
    status of rolled_back: whoever looks at an earlier time must look at that column, not at the status.
    """
    known = raw.with_columns(known_at=pl.col("started_at"))
    return known.select(CORE_DEPLOYMENTS_DEPLOYMENTS.column_names)


def core_incidents(raw: pl.DataFrame) -> pl.DataFrame:
    """One row an incident of ``raw_incidents__events``; known from the time somebody declared it."""
    known = raw.with_columns(known_at=pl.col("declared_at"))
    return known.select(CORE_INCIDENTS_INCIDENTS.column_names)
