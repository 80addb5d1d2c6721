"""What the simulated organisation reports about deployments and incidents: one JSON object a line, a file a day.

A record is reported again when its state changes (rolled back, resolved, cause found); the newest line holds. So a
pipeline that takes in the days one after the other learns every fact when the organisation did.
"""

import json
from collections import defaultdict
from datetime import date, datetime
from operator import itemgetter
from typing import Any

from weaver_forge.testing.operations import Deployment, Incident, Production
from weaver_forge.testing.plan import ENVIRONMENT, REPO_ID, OrganisationPlan, iso
from weaver_forge.testing.topology import services

Record = dict[str, Any]


def deployment_files(
    plan: OrganisationPlan, production: Production, revisions: tuple[str, ...], until: datetime
) -> dict[date, str]:
    """Day -> text of its deployments file."""
    keys = {service.name: service.key for service in services(plan.services)}
    reports = []
    for deployment in production.deployments:
        first = _deployment(deployment, keys, revisions)
        reports.append((deployment.finished_at, deployment.deployment_id, first))
        if deployment.rolled_back_at is not None:
            undone = {**first, "status": "rolled_back", "rolled_back_at": iso(deployment.rolled_back_at)}
            reports.append((deployment.rolled_back_at, deployment.deployment_id, undone))
    return _by_day(reports, until)


def incident_files(
    plan: OrganisationPlan, production: Production, revisions: tuple[str, ...], until: datetime
) -> dict[date, str]:
    """Day -> text of its incidents file."""
    keys = {service.name: service.key for service in services(plan.services)}
    reports = []
    for incident in production.incidents:
        declared = _incident(incident, keys)
        resolved = {**declared, "resolved_at": iso(incident.resolved_at)}
        revision = revisions[incident.bug.number] if incident.bug else None
        reviewed = {
            **resolved,
            "cause_service_key": keys[incident.culprit],
            "cause_repo_id": REPO_ID if revision else None,
            "cause_revision": revision,
        }
        for at, record in (
            (incident.declared_at, declared),
            (incident.resolved_at, resolved),
            (incident.reviewed_at, reviewed),
        ):
            reports.append((at, incident.incident_id, record))
    return _by_day(reports, until)


def _deployment(deployment: Deployment, keys: dict[str, str], revisions: tuple[str, ...]) -> Record:
    return {
        "deployment_id": deployment.deployment_id,
        "service_key": keys[deployment.service],
        "environment": ENVIRONMENT,
        "version": deployment.version,
        "repo_id": REPO_ID,
        "revision": revisions[deployment.number],
        "status": "failed" if deployment.is_failed else "succeeded",
        "started_at": iso(deployment.started_at),
        "finished_at": iso(deployment.finished_at),
        "rolled_back_at": None,
    }


def _incident(incident: Incident, keys: dict[str, str]) -> Record:
    words = "too many errors" if incident.mode == "errors" else "slow answers"
    is_bad = incident.strength > (0.5 if incident.mode == "errors" else 6.0)
    return {
        "incident_id": incident.incident_id,
        "service_key": keys[incident.service],
        "severity": "critical" if is_bad else "major",
        "title": f"{incident.service}: {words}",
        "started_at": iso(incident.started_at),
        "declared_at": iso(incident.declared_at),
        "resolved_at": None,
        "cause_service_key": None,
        "cause_repo_id": None,
        "cause_revision": None,
    }


def _by_day(reports: list[tuple[datetime, str, Record]], until: datetime) -> dict[date, str]:
    """The newest state of every record that was reported on a day, in the order of first report."""
    days: dict[date, dict[str, Record]] = defaultdict(dict)
    for at, name, record in sorted(reports, key=itemgetter(0, 1)):
        if at < until:
            days[at.date()][name] = record
    return {day: "".join(json.dumps(r) + "\n" for r in records.values()) for day, records in sorted(days.items())}
