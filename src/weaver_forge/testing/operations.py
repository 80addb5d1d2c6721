"""Simulated production: which version ran when, which deployment hurt, and what the incident reports say.

Values and their simulation; how they show in spans is in ``traffic``, how they are written in ``organisation``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from weaver_forge.testing.changes_made import Bug
from weaver_forge.testing.ci import Run
from weaver_forge.testing.history import History
from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.topology import callers, services

FIRST_VERSION = "0.9.0"
"""What ran before the first deployment of the history."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a commit to a service. ``bug`` is set when it brought a bug into production that hurts."""

    deployment_id: str
    service: str
    number: int
    version: str
    started_at: datetime
    finished_at: datetime
    is_failed: bool = False
    rolled_back_at: datetime | None = None
    bug: Bug | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it was, with the culprit whether or not anybody found it.

    Args:
        service: The one that was reported as hurt: the culprit or one upstream of it.
        mode: errors or latency.
        strength: Added probability of an error, or factor on the latency, at the culprit.
        reviewed_at: When the cause becomes known to the organisation.
        bug: The cause; None for trouble of the infrastructure.
    """

    incident_id: str
    service: str
    culprit: str
    mode: str
    strength: float
    started_at: datetime
    declared_at: datetime
    resolved_at: datetime
    reviewed_at: datetime
    bug: Bug | None = None
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Production:
    """Everything that happened in production, in the order of time."""

    deployments: tuple[Deployment, ...]
    incidents: tuple[Incident, ...]

    def versions(self, service: str, starts_at: datetime) -> list[tuple[datetime, str]]:
        """(since, version) of a service, from the start of the history on."""
        timeline = [(starts_at, FIRST_VERSION)]
        for deployment in self.deployments:
            if deployment.service != service or deployment.is_failed:
                continue
            before = timeline[-1][1]
            timeline.append((deployment.finished_at, deployment.version))
            if deployment.rolled_back_at is not None:
                timeline.append((deployment.rolled_back_at, before))
        return timeline


def operate(plan: OrganisationPlan, history: History, runs: tuple[Run, ...]) -> Production:
    """Deploy what the runs let through, and have the incidents that follow from it."""
    rng = plan.rng("operations")
    deployments: list[Deployment] = []
    incidents: list[Incident] = []
    for service in services(plan.services):
        made, hurt = _deploy(plan, history, service.name, _candidates(service.name, history, runs, rng), rng)
        deployments += made
        incidents += hurt
    incidents += _infrastructure(plan, incidents, rng)
    deployments.sort(key=lambda deployment: (deployment.started_at, deployment.service))
    incidents.sort(key=lambda incident: incident.started_at)
    return Production(tuple(deployments), tuple(incidents))


def _candidates(
    service: str, history: History, runs: tuple[Run, ...], rng: np.random.Generator
) -> list[tuple[datetime, int]]:
    """When somebody wants to deploy which commit: after its own changes nearly always, after others' now and then."""
    found = []
    for run in runs:
        wish = 0.95 if service in history.changes[run.number].services else 0.2
        lag = timedelta(seconds=int(rng.integers(240, 2100)))
        if rng.random() < wish and run.event == "push" and service not in run.broken_services:
            found.append((run.ended_at + lag, run.number))
    return sorted(found)


def _deploy(
    plan: OrganisationPlan,
    history: History,
    service: str,
    candidates: list[tuple[datetime, int]],
    rng: np.random.Generator,
) -> tuple[list[Deployment], list[Incident]]:
    fixed_by = history.fixed_by
    harmful = [bug for bug in history.bugs if bug.service == service and bug.hits_production]
    current, free_from = -1, plan.starts_at
    known: list[Bug] = []
    deployments: list[Deployment] = []
    incidents: list[Incident] = []
    for at, number in candidates:
        present = [bug for bug in harmful if bug.number <= number < fixed_by.get(bug.number, number + 1)]
        # Nobody deploys an older commit, during an incident, or a bug that is already known.
        if number <= current or at < free_from or any(bug in known for bug in present):
            continue
        finished = at + timedelta(seconds=int(rng.integers(60, 240)))
        if finished >= plan.ends_at:
            break
        deployment_id = f"{service}-{number}-{at:%Y%m%d%H%M}"
        version = f"1.{number}.0"
        if rng.random() < 0.01:
            deployments.append(Deployment(deployment_id, service, number, version, at, finished, is_failed=True))
            continue
        if not present:
            deployments.append(Deployment(deployment_id, service, number, version, at, finished))
            current, free_from = number, finished
            continue
        bug = present[-1]
        onset = finished + timedelta(seconds=int(rng.integers(120, 4500)))
        incident = _incident(plan, f"INC-{service}-{number}", bug, service, onset, deployment_id, rng)
        if incident.resolved_at >= plan.ends_at:
            break
        undone = incident.resolved_at - timedelta(seconds=int(rng.integers(60, 240)))
        deployments.append(
            Deployment(deployment_id, service, number, version, at, finished, rolled_back_at=undone, bug=bug)
        )
        incidents.append(incident)
        known += present
        free_from = incident.resolved_at
    return deployments, incidents


def _incident(
    plan: OrganisationPlan,
    incident_id: str,
    bug: Bug | None,
    culprit: str,
    onset: datetime,
    deployment_id: str | None,
    rng: np.random.Generator,
) -> Incident:
    upstream = sorted(_upstream(culprit, callers(plan.services)))
    is_elsewhere = bool(upstream) and rng.random() < 0.45
    mode = bug.mode if bug else ("errors" if rng.random() < 0.5 else "latency")
    strength = bug.strength if bug else float(rng.uniform(0.3, 0.6) if mode == "errors" else rng.uniform(4.0, 8.0))
    resolved = onset + timedelta(seconds=int(rng.integers(30, 90)) * 60 + int(rng.integers(60)))
    return Incident(
        incident_id=incident_id,
        service=upstream[int(rng.integers(len(upstream)))] if is_elsewhere else culprit,
        culprit=culprit,
        mode=mode,
        strength=strength,
        started_at=onset,
        declared_at=onset + timedelta(seconds=int(rng.integers(300, 1500))),
        resolved_at=resolved,
        reviewed_at=resolved + timedelta(seconds=int(rng.integers(3 * 3600, 30 * 3600))),
        bug=bug,
        deployment_id=deployment_id,
    )


def _infrastructure(plan: OrganisationPlan, others: list[Incident], rng: np.random.Generator) -> list[Incident]:
    """Incidents without a deployment, at least three hours from any other so that their cause is not in doubt."""
    found: list[Incident] = []
    distance = timedelta(hours=3)
    names = [service.name for service in services(plan.services)]
    for number in range(plan.infrastructure_incidents):
        for _ in range(200):
            onset = plan.starts_at + timedelta(seconds=int(rng.integers(86_400, plan.days * 86_400 - 7200)))
            if all(abs(onset - other.started_at) > distance for other in (*others, *found)):
                culprit = names[int(rng.integers(len(names)))]
                found.append(_incident(plan, f"INC-infra-{number + 1}", None, culprit, onset, None, rng))
                break
    return found


def _upstream(service: str, calling: dict[str, set[str]]) -> set[str]:
    """Everybody who waits for this service, directly or through others."""
    found: set[str] = set()
    waiting = [service]
    while waiting:
        new = calling[waiting.pop()] - found
        found |= new
        waiting += new
    return found
