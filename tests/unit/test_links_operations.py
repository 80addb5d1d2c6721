"""When operational records become known."""

from datetime import datetime

import polars as pl

from weaver_forge.contracts.tables.operations import CORE_DEPLOYMENTS_DEPLOYMENTS, CORE_INCIDENTS_INCIDENTS
from weaver_forge.links.operations import core_deployments, core_incidents

STARTED, DECLARED, LATER = datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, 20), datetime(2026, 3, 1, 11)


def test_a_deployment_is_known_from_its_start_and_its_rollback_later() -> None:
    raw = pl.DataFrame(
        {
            "deployment_id": ["d1"],
            "service_key": ["shop/cart/prod"],
            "environment": ["prod"],
            "version": ["1.2"],
            "repo_id": [None],
            "revision": ["abc"],
            "status": ["rolled_back"],
            "started_at": [STARTED],
            "finished_at": [DECLARED],
            "rolled_back_at": [LATER],
        }
    )

    core = core_deployments(raw)

    assert core.columns == list(CORE_DEPLOYMENTS_DEPLOYMENTS.column_names)
    assert core["known_at"].to_list() == [STARTED]
    assert core["rolled_back_at"].to_list() == [LATER]


def test_an_incident_is_known_from_its_declaration_not_from_its_beginning() -> None:
    raw = pl.DataFrame(
        {
            "incident_id": ["i1"],
            "service_key": ["shop/cart/prod"],
            "severity": ["major"],
            "title": ["slow"],
            "started_at": [STARTED],
            "declared_at": [DECLARED],
            "resolved_at": [None],
            "cause_service_key": [None],
            "cause_repo_id": [None],
            "cause_revision": [None],
        }
    )

    core = core_incidents(raw)

    assert core.columns == list(CORE_INCIDENTS_INCIDENTS.column_names)
    assert core["known_at"].to_list() == [DECLARED]
