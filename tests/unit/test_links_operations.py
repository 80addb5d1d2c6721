"""What the reports on a deployment or an incident say together, in whatever order they came, and when it was known."""

import itertools
import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.tables.operations import (
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_INCIDENTS_INCIDENTS,
    RAW_DEPLOYMENTS_EVENTS,
    RAW_INCIDENTS_EVENTS,
)
from weaver_forge.decode import deployments, incidents
from weaver_forge.decode.envelope import sealed
from weaver_forge.links.operations import core_deployments, core_incidents

ORDERS = list(itertools.permutations(range(3)))
STARTED, DECLARED, LATER = datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, 20), datetime(2026, 3, 1, 11)


def iso(at: datetime) -> str:
    return f"{at.isoformat()}Z"


def deployed(*documents: dict[str, Any]) -> pl.DataFrame:
    data = "\n".join(json.dumps(document) for document in documents).encode()
    return core_deployments(deployments.decode([Frame("d", data)]).tables[RAW_DEPLOYMENTS_EVENTS.name])


def hurt(*documents: dict[str, Any]) -> pl.DataFrame:
    data = "\n".join(json.dumps(document) for document in documents).encode()
    return core_incidents(incidents.decode([Frame("i", data)]).tables[RAW_INCIDENTS_EVENTS.name])


def event(kind: str, at: datetime, event_id: str = "", **custom: str) -> dict[str, Any]:
    content = {"environment": {"id": "prod"}, "artifactId": f"pkg:oci/cart@{custom.pop('artifact', '1.0')}"}
    context = {
        "id": event_id or f"{kind}-{at}",
        "source": "/ci",
        "type": f"dev.cdevents.{kind}.0.2.0",
        "timestamp": iso(at),
    }
    return {"context": context, "subject": {"id": "cart", "content": content}, "customData": custom}


def test_a_deployment_is_known_from_its_start_and_its_rollback_later() -> None:
    core = deployed(
        {
            "deployment_id": "d1",
            "service_key": "shop/cart/prod",
            "version": "1.2",
            "started_at": iso(STARTED),
            "finished_at": iso(DECLARED),
            "rolled_back_at": iso(LATER),
        }
    )

    assert core.columns == list(CORE_DEPLOYMENTS_DEPLOYMENTS.column_names)
    assert core["known_at"].to_list() == [STARTED]
    assert core["rolled_back_at"].to_list() == [LATER]


def test_an_incident_is_known_from_its_declaration_not_from_its_beginning() -> None:
    core = hurt(
        {"incident_id": "i1", "service_key": "shop/cart/prod", "started_at": iso(STARTED), "declared_at": iso(DECLARED)}
    )

    assert core.columns == list(CORE_INCIDENTS_INCIDENTS.column_names)
    assert core["known_at"].to_list() == [DECLARED]


def test_what_a_receiver_got_is_known_from_then_on() -> None:
    body = {"deployment_id": "d", "service_key": "a/b/c", "version": "1", "started_at": iso(STARTED)}
    line = sealed("argocd", "record", "x", LATER, json.dumps(body).encode())

    core = core_deployments(deployments.decode([Frame("d", line)]).tables[RAW_DEPLOYMENTS_EVENTS.name])

    assert core["known_at"].to_list() == [LATER]


@pytest.mark.parametrize("order", ORDERS)
def test_reports_on_one_incident_say_the_same_in_any_order(order: tuple[int, ...]) -> None:
    """CDEvents' end of an incident does not say when it began: the other reports do."""
    told = [
        event("incident.detected", STARTED),
        event("incident.reported", DECLARED),
        event("incident.resolved", LATER),
    ]

    (row,) = hurt(*(told[place] for place in order)).rows(named=True)

    assert (row["started_at"], row["resolved_at"], row["known_at"]) == (STARTED, LATER, STARTED)


def test_an_end_whose_beginning_was_never_told_makes_no_incident() -> None:
    assert hurt(event("incident.resolved", LATER)).is_empty()


def test_an_incident_opened_again_is_open() -> None:
    def told(kind: str, status: str, at: datetime) -> dict[str, Any]:
        data = {"id": "Q1", "type": "incident", "status": status, "created_at": iso(STARTED), "title": "slow"}
        return {"event": {"id": kind, "event_type": f"incident.{kind}", "occurred_at": iso(at), "data": data}}

    both = [told("resolved", "resolved", DECLARED), told("reopened", "triggered", LATER)]

    assert hurt(*both)["resolved_at"].to_list() == [None]
    assert hurt(*reversed(both))["resolved_at"].to_list() == [None]
    assert hurt(both[0])["resolved_at"].to_list() == [DECLARED]


@pytest.mark.parametrize("order", ORDERS)
def test_a_rollback_is_told_to_the_deployment_that_it_undid(order: tuple[int, ...]) -> None:
    told = [
        event("service.deployed", STARTED, artifact="1.0"),
        event("service.upgraded", DECLARED, artifact="1.1"),
        event("service.rolledback", LATER, artifact="1.0"),
    ]

    core = deployed(*(told[place] for place in order))

    assert core.select("version", "status", "rolled_back_at").rows() == [
        ("1.0", "succeeded", None),
        ("1.1", "rolled_back", LATER),
        ("1.0", "succeeded", None),
    ]


def test_a_rollback_of_one_service_is_none_of_another() -> None:
    other = event("service.deployed", STARTED)
    other["subject"]["id"] = "prices"

    core = deployed(other, event("service.rolledback", LATER))

    assert core["rolled_back_at"].to_list() == [None, None]


def test_removed_and_published_are_no_deployments() -> None:
    assert deployed(event("service.removed", STARTED), event("service.published", LATER)).is_empty()


def test_our_own_forecasts_are_no_incidents() -> None:
    """An alert that we raised must not become the evidence that we were right."""
    alerts = [
        {
            "status": "firing",
            "labels": {"service": "cart", "source": source},
            "startsAt": iso(STARTED + timedelta(minutes=number)),
            "fingerprint": f"f{number}",
        }
        for number, source in enumerate(("weaver-forge", "prometheus"))
    ]

    core = hurt({"alerts": alerts, "groupLabels": {}, "version": "4"})

    assert core["started_at"].to_list() == [STARTED + timedelta(minutes=1)]
