"""Alertmanager's webhook (version 4, which Grafana's alerting writes too): an alert is an incident.

One incident is a fingerprint (its labels) that began at one time; firing and resolved are two reports on it. Its end
is year 1 while it fires. What our own rules raise (label ``source: weaver-forge``) is a forecast: it is stored with
that source, so that no prediction can become the evidence for itself.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from weaver_forge.contracts.tables.operations import OUR_ALERTS
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import service_of, severity_of
from weaver_forge.decode.operation_reports import Found, Row, Unfit, Unused, checked, needed, order_of


class _Alert(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an alert."""

    status: str
    labels: dict[str, str]
    starts_at: str
    fingerprint: str
    ends_at: str = ""
    annotations: dict[str, str] = {}


def incidents(item: Envelope) -> Found | None:
    """Read one notification; None where it is not of Alertmanager."""
    alerts = item.body.get("alerts")
    if not isinstance(alerts, list) or "groupLabels" not in item.body:
        return None
    return _alerts(alerts, int(item.body.get("truncatedAlerts") or 0) if _is_number(item.body) else 0)


def _alerts(alerts: list[Any], truncated: int) -> Iterator[Row | Unfit | Unused]:
    if truncated:
        yield Unfit(f"{truncated} alerts were cut off by the sender: set max_alerts of its webhook to 0")
    for raw in alerts:
        try:
            yield _row(checked(raw, _Alert))
        except (Unfit, Unused) as reason:
            yield reason


def _row(alert: _Alert) -> Row:
    labels, notes = alert.labels, alert.annotations
    if not alert.fingerprint:
        raise Unfit("fingerprint is empty: which alert it is cannot be told")
    if labels.get("severity", "").lower() == "none":
        raise Unused("an alert of severity none, which fires for ever to show that alerts arrive")
    started = needed(alert.starts_at, "startsAt")
    resolved = _end(alert, started)
    at = resolved or started
    return {
        "incident_id": f"alertmanager:{alert.fingerprint}@{started.isoformat()}Z",
        "source": OUR_ALERTS if labels.get("source") == OUR_ALERTS else "alertmanager",
        "state": "resolved" if resolved else "open",
        "service_key": service_of(labels, notes),
        "severity": severity_of(labels.get("severity"), labels.get("priority")),
        "title": notes.get("summary") or notes.get("description") or labels.get("alertname", ""),
        "started_at": started,
        "declared_at": started,
        "resolved_at": resolved,
        "reported_at": at,
        "report_order": order_of(at),
    }


def _end(alert: _Alert, started: datetime) -> datetime | None:
    if alert.status == "firing":
        return None
    if alert.status != "resolved":
        raise Unfit(f"status {alert.status[:40]!r} is neither firing nor resolved")
    resolved = needed(alert.ends_at, "endsAt of a resolved alert")
    if resolved < started:
        raise Unfit("endsAt is before startsAt")
    return resolved


def _is_number(body: dict[str, Any]) -> bool:
    value = body.get("truncatedAlerts")
    return isinstance(value, int) and not isinstance(value, bool)
