"""What is true about a simulated organisation: the answers, for tests and for showing prediction against truth.

The pipeline never reads any of it. Instants are naive UTC; ``truth.json`` has them as ISO text with Z.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from weaver_forge.errors import MissingInput
from weaver_forge.testing.billing import LEAK_PER_DAY, leaking_resource
from weaver_forge.testing.cases import Case
from weaver_forge.testing.ci import truly_failing
from weaver_forge.testing.history import History
from weaver_forge.testing.operations import Production
from weaver_forge.testing.plan import ENVIRONMENT, NAMESPACE, REPO_ID, OrganisationPlan, iso
from weaver_forge.testing.topology import routes, services, walk
from weaver_forge.testing.traffic import BASE_ERROR, GROWTH_PER_DAY, holidays, rates


@dataclass(frozen=True, slots=True)
class TrueChange:
    """A commit: whether it broke something, how likely that was, what repaired it."""

    revision: str
    committed_at: datetime
    service_keys: tuple[str, ...]
    probability: float
    is_bug_inducing: bool
    is_caught_by_tests: bool
    hits_production: bool
    fixed_by: str | None


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """An incident with its real culprit and window; ``cause_*`` are None for trouble of the infrastructure."""

    incident_id: str
    service_key: str
    cause_service_key: str
    cause_revision: str | None
    cause_deployment_id: str | None
    mode: str
    strength: float
    started_at: datetime
    declared_at: datetime
    resolved_at: datetime


@dataclass(frozen=True, slots=True)
class TrueDeployment:
    """A deployment that brought a harmful bug into production."""

    deployment_id: str
    service_key: str
    version: str
    revision: str
    started_at: datetime
    rolled_back_at: datetime


@dataclass(frozen=True, slots=True)
class Truth:
    """The answers of a simulated organisation.

    Args:
        changes: Every commit in order.
        failing_tests: Revision -> tests that really fail on it; revisions without any are absent.
        flaky_tests: Tests that fail at random on any revision.
        tests: Every test case.
        leak: resource_id, since and growth_per_day_ratio of the cost leak.
        traffic: Parameters of the expected rates: routes with weights, peaks and services, growth, holidays and
            expected requests a minute of the first day at its own peak. ``traffic.entry_rates`` computes the rest.
    """

    seed: int
    starts_at: datetime
    ends_at: datetime
    repo_id: str
    changes: tuple[TrueChange, ...]
    failing_tests: Mapping[str, tuple[str, ...]]
    flaky_tests: tuple[str, ...]
    tests: tuple[str, ...]
    incidents: tuple[TrueIncident, ...]
    bad_deployments: tuple[TrueDeployment, ...]
    leak: Mapping[str, Any]
    traffic: Mapping[str, Any]

    @property
    def bug_inducing(self) -> tuple[str, ...]:
        """Revisions that broke something."""
        return tuple(change.revision for change in self.changes if change.is_bug_inducing)

    def as_json(self) -> str:
        """The text of ``truth.json``."""
        return json.dumps(asdict(self), default=_text, indent=1) + "\n"


def read_truth(folder: Path) -> Truth:
    """Read ``truth.json`` of a simulated organisation.

    Raises:
        MissingInput: If there is none.
    """
    path = folder / "truth.json"
    if not path.is_file():
        raise MissingInput("no truth.json here", where=str(folder), do="Name a folder that write_organisation made")
    data = json.loads(path.read_text(encoding="utf-8"))
    whole = _instants(data)
    for name, kind in (("changes", TrueChange), ("incidents", TrueIncident), ("bad_deployments", TrueDeployment)):
        whole[name] = tuple(kind(**_instants(row)) for row in data[name])
    whole["failing_tests"] = {key: tuple(value) for key, value in data["failing_tests"].items()}
    whole["traffic"] = data["traffic"]
    return Truth(**whole)


def truth_of(
    plan: OrganisationPlan,
    history: History,
    cases: tuple[Case, ...],
    production: Production,
    revisions: tuple[str, ...],
) -> Truth:
    """Collect what the simulation knows."""
    keys = {service.name: service.key for service in services(plan.services)}
    fixed_by = history.fixed_by
    changes = tuple(
        TrueChange(
            revision=revisions[change.number],
            committed_at=change.at,
            service_keys=tuple(keys[name] for name in change.services),
            probability=round(change.probability, 6),
            is_bug_inducing=change.bug is not None,
            is_caught_by_tests=bool(change.bug and change.bug.failing),
            hits_production=bool(change.bug and change.bug.hits_production),
            fixed_by=revisions[fixed_by[change.number]] if change.number in fixed_by else None,
        )
        for change in history.changes
    )
    incidents = tuple(
        TrueIncident(
            incident.incident_id,
            keys[incident.service],
            keys[incident.culprit],
            revisions[incident.bug.number] if incident.bug else None,
            incident.deployment_id,
            incident.mode,
            round(incident.strength, 4),
            incident.started_at,
            incident.declared_at,
            incident.resolved_at,
        )
        for incident in production.incidents
    )
    bad = tuple(
        TrueDeployment(d.deployment_id, keys[d.service], d.version, revisions[d.number], d.started_at, d.rolled_back_at)
        for d in production.deployments
        if d.rolled_back_at is not None
    )
    failing = {revisions[n]: tuple(sorted(tests)) for n, tests in enumerate(truly_failing(history)) if tests}
    return Truth(
        seed=plan.seed,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        repo_id=REPO_ID,
        changes=changes,
        failing_tests=failing,
        flaky_tests=tuple(case.test_id for case in cases if case.is_flaky),
        tests=tuple(case.test_id for case in cases),
        incidents=incidents,
        bad_deployments=bad,
        leak=_leak(plan),
        traffic=_traffic(plan),
    )


def _leak(plan: OrganisationPlan) -> dict[str, Any]:
    since = datetime.fromordinal(plan.start.toordinal() + plan.leak_day)
    return {"resource_id": leaking_resource(plan), "since": since, "growth_per_day_ratio": LEAK_PER_DAY}


def _traffic(plan: OrganisationPlan) -> dict[str, Any]:
    peaks = rates(plan, 0).max(axis=1)
    return {
        "base_error_probability": BASE_ERROR,
        "growth_per_day_ratio": GROWTH_PER_DAY,
        "holidays": list(holidays(plan)),
        "routes": [
            {
                "name": route.name,
                "weight": route.weight,
                "peak_hour": route.peak_hour,
                "services": [f"{NAMESPACE}/{call.service}/{ENVIRONMENT}" for call in walk(route.root)],
                "first_day_peak_per_minute": round(float(peak), 6),
            }
            for route, peak in zip(routes(plan.services), peaks, strict=True)
        ],
    }


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{value!r} has no place in truth.json")


def _instants(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: datetime.fromisoformat(v).replace(tzinfo=None)
            if v and (k.endswith("_at") or k == "since")
            else _instants(v)
            for k, v in value.items()
        }
    return tuple(value) if isinstance(value, list) else value
