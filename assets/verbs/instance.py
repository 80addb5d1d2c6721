"""The Dagster instance of a deployment, for runs in this process, and what keeps the libraries quiet."""

import os

import dagster as dg

from weaver_forge.settings import Settings


def instance(settings: Settings) -> dg.DagsterInstance:
    """Open the instance in ``dagster_home``; without a dagster.yaml there, an ephemeral one.

    Dagster itself reads DAGSTER_HOME when a run starts, so it is set here; it must be absolute.
    """
    if not (settings.dagster_home / "dagster.yaml").is_file():
        # Given a folder, because the temporary one it would make is left to the garbage collector, which warns.
        return dg.DagsterInstance.ephemeral(tempdir=str(settings.dagster_home))
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)  # noqa: TID251 - Dagster's own contract
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - the same
    return dg.DagsterInstance.get()
