"""Incidents -> ``raw_incidents__events``: reports of many tools, and JSON lines in a shape of our own.

Known are Alertmanager, PagerDuty and CDEvents (a module each), as webhooks and as saved payloads. For any other
incident tool one object a line::

    {"incident_id": "i-4", "service_key": "shop/cart/production", "severity": "major", "title": "Carts time out",
     "started_at": "2026-03-01T12:10:00Z", "declared_at": "2026-03-01T12:16:00Z", "resolved_at": null,
     "cause_service_key": null, "cause_repo_id": null, "cause_revision": null}

Needed are ``incident_id``, ``started_at`` and the service: ``service_key``, or ``service`` as ``{"namespace",
"name", "environment"}``; the culprit likewise as ``cause_service_key`` or ``cause_service``. ``declared_at`` is
``started_at`` where it is not given. Times are ISO 8601; without a zone they are UTC. A record reported again
replaces the earlier report. It is complete in itself, so ``state`` and ``source`` cannot be given; keys that no record
has are left out and said.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.tables.operations import RAW_INCIDENTS_EVENTS
from weaver_forge.decode import alertmanager, cdevents, pagerduty
from weaver_forge.decode.operation_reports import decode_reports
from weaver_forge.decode.records import Service, Unknown, key_of, noted, read_record, utc

_READERS = (alertmanager.incidents, pagerduty.incidents, cdevents.incidents)


class Incident(msgspec.Struct, frozen=True):
    """What a line of our own must look like."""

    incident_id: str
    started_at: datetime
    service_key: str | None = None
    service: Service | None = None
    severity: Literal["critical", "major", "minor", "unknown"] | None = None
    title: str | None = None
    declared_at: datetime | None = None
    resolved_at: datetime | None = None
    cause_service_key: str | None = None
    cause_service: Service | None = None
    cause_repo_id: str | None = None
    cause_revision: str | None = None


def decode(frames: Iterable[Frame]) -> Batch:
    """Read reports on incidents; a bad one is rejected alone."""
    unknown: Unknown = {}
    own = partial(read_record, shape=Incident, row=_row, unknown=unknown)
    wanted = "Alertmanager, PagerDuty v3, CDEvents incident.*, or an object with incident_id"
    return noted(decode_reports(frames, RAW_INCIDENTS_EVENTS, (*_READERS, own), wanted=wanted), unknown)


def _row(record: Incident) -> dict[str, Any]:
    has_cause = record.cause_service_key is not None or record.cause_service is not None
    started, resolved = utc(record.started_at), utc(record.resolved_at)
    if started and resolved and resolved < started:
        raise ValueError("resolved_at is before started_at")
    return {
        "incident_id": record.incident_id,
        "state": "record",
        "source": "records",
        "service_key": key_of(record.service_key, record.service),
        "severity": record.severity or "unknown",
        "title": record.title or "",
        "started_at": started,
        "declared_at": utc(record.declared_at) or started,
        "resolved_at": resolved,
        "cause_service_key": key_of(record.cause_service_key, record.cause_service) if has_cause else None,
        "cause_repo_id": record.cause_repo_id,
        "cause_revision": record.cause_revision,
    }
