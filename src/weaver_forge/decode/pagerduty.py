"""PagerDuty webhooks, version 3: ``incident.*`` events as incidents.

An event carries the incident as it is then, so one report has it whole. The service is named by what PagerDuty calls
its service; namespace and environment are not said there.
"""

import msgspec

from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import key_of_parts, severity_of
from weaver_forge.decode.operation_reports import Found, Unfit, Unused, checked, instant, needed, order_of

_URGENCY = {"high": "major", "low": "minor"}
_OPEN = frozenset({"triggered", "acknowledged"})


class _Named(msgspec.Struct, frozen=True):
    """A reference with its words."""

    summary: str = ""


class _Incident(msgspec.Struct, frozen=True):
    """What is read of an incident."""

    id: str
    status: str
    created_at: str
    title: str = ""
    service: _Named | None = None
    priority: _Named | None = None
    urgency: str | None = None
    resolved_at: str | None = None


class _Event(msgspec.Struct, frozen=True):
    """What is read of an event; what its data is depends on that."""

    event_type: str
    occurred_at: str


def incidents(item: Envelope) -> Found | None:
    """Read one event; None where it is not of PagerDuty."""
    event = item.body.get("event")
    if not isinstance(event, dict) or not isinstance(event.get("event_type"), str):
        return None
    said = checked(event, _Event)
    if not said.event_type.startswith("incident."):
        raise Unused(f"PagerDuty event {said.event_type[:60]!r} is about no incident")
    data = event.get("data")
    if isinstance(data, dict) and data.get("type", "incident") != "incident":
        raise Unused(f"PagerDuty event {said.event_type[:60]!r} says nothing new of the incident itself")
    about = checked(data, _Incident)
    is_resolved = about.status == "resolved"
    if not is_resolved and about.status not in _OPEN:
        raise Unfit(f"status {about.status[:40]!r} is none of triggered, acknowledged, resolved")
    if is_resolved and said.event_type != "incident.resolved" and not about.resolved_at:
        raise Unused("a PagerDuty event after the end, which it does not date")
    at, started = needed(said.occurred_at, "occurred_at"), needed(about.created_at, "created_at")
    resolved = (instant(about.resolved_at, "resolved_at") or at) if is_resolved else None
    if resolved and resolved < started:
        raise Unfit("it was resolved before it was created")
    return [
        {
            "incident_id": f"pagerduty:{about.id}",
            "source": "pagerduty",
            "state": "resolved" if is_resolved else "open",
            "service_key": key_of_parts("", about.service.summary if about.service else "", ""),
            "severity": _severity(about),
            "title": about.title,
            "started_at": started,
            "declared_at": started,
            "resolved_at": resolved,
            "reported_at": at,
            "report_order": order_of(at),
        }
    ]


def _severity(about: _Incident) -> str:
    found = severity_of(about.priority.summary if about.priority else "")
    return found if found != "unknown" else _URGENCY.get(about.urgency or "", "unknown")
