"""Deployments of GitHub: ``deployment`` and ``deployment_status`` webhooks, and saved answers of the REST API.

Read are the two payloads, a deployment of ``/deployments`` (alone, in a list, or with its ``statuses`` beside), and a
status of ``/deployments/{id}/statuses``. A status of the REST API says neither commit nor service: ``links`` joins it
to its deployment, whichever comes first.

The service is named by the deployment's own ``payload`` (see ``labels``): a repository may hold many. Its version is
that of the payload, else a ref that is a version number, else the commit.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import commit_of, service_of, version_in_ref, version_of
from weaver_forge.decode.operation_reports import Found, Row, Unfit, Unused, checked, needed, order_of

_API = re.compile(r"https?://(?P<host>[^/]+)/(?:api/v3/)?repos/(?P<name>[^/]+/[^/]+)/deployments/(?P<id>\d+)")
_STATES = {
    "in_progress": ("running", "running"),
    "success": ("ended", "succeeded"),
    "failure": ("ended", "failed"),
    "error": ("ended", "failed"),
}


class _Deployment(msgspec.Struct, frozen=True):
    """What is read of a deployment."""

    id: int
    url: str
    sha: str
    ref: str
    environment: str
    created_at: str
    payload: Any = None
    statuses: list[Any] = []


class _Status(msgspec.Struct, frozen=True):
    """What is read of a status."""

    state: str
    created_at: str
    environment: str = ""
    deployment_url: str = ""


def deployments(item: Envelope) -> Found | None:
    """Read one payload or answer; None where it is not of GitHub's deployments."""
    body = item.body
    if "workflow_job" in body:
        return None  # of a job that deploys, which GitHub reports by itself as well
    if isinstance(body.get("deployment"), dict) and isinstance(body.get("repository"), dict):
        return _webhook(body)
    if "statuses_url" in body and "sha" in body:
        return _with_statuses(checked(body, _Deployment))
    if "deployment_url" in body and "state" in body:
        return [_reported(None, checked(body, _Status))]
    return None


def _webhook(body: dict[str, Any]) -> Found:
    deployment = checked(body["deployment"], _Deployment)
    if body.get("deployment_status") is None:
        return [_created(deployment)]
    return [_reported(deployment, checked(body["deployment_status"], _Status))]


def _with_statuses(deployment: _Deployment) -> Iterator[Row | Unfit | Unused]:
    yield _created(deployment)
    for status in deployment.statuses:
        try:
            yield _reported(deployment, checked(status, _Status))
        except (Unfit, Unused) as reason:
            yield reason


def _created(deployment: _Deployment) -> Row:
    """Asked for, and perhaps waiting for a person: not begun."""
    at = needed(deployment.created_at, "deployment.created_at")
    return _row(deployment, deployment.url, deployment.environment, at) | {
        "state": "created",
        "status": "running",
        "started_at": None,
        "finished_at": None,
    }


def _reported(deployment: _Deployment | None, status: _Status) -> Row:
    if status.state not in _STATES:
        # inactive: a later one took its place, which says nothing of how this one went.
        raise Unused(f"GitHub deployment status {status.state[:40]!r} says neither that it began nor how it ended")
    at = needed(status.created_at, "deployment_status.created_at")
    state, outcome = _STATES[status.state]
    asked = needed(deployment.created_at, "deployment.created_at") if deployment else None
    url = deployment.url if deployment else status.deployment_url
    environment = status.environment or (deployment.environment if deployment else "")
    return _row(deployment, url, environment, at) | {
        "state": state,
        "status": outcome,
        "started_at": at if state == "running" else asked,
        "finished_at": at if state == "ended" else None,
    }


def _row(deployment: _Deployment | None, url: str, environment: str, at: datetime) -> dict[str, Any]:
    match = _API.match(url)
    if match is None:
        raise Unfit(f"url {url[:200]!r} names no deployment of a repository")
    host = match["host"].lower()
    repo_id = repo_id_from_remote(f"https://{'github.com' if host == 'api.github.com' else host}/{match['name']}")
    said = _payload(deployment.payload) if deployment else {}
    ref, sha = (deployment.ref, deployment.sha) if deployment else ("", "")
    return {
        "deployment_id": f"github:{repo_id}#{match['id']}",
        "source": "github",
        "action": "deploy",
        "service_key": service_of(said, environment=environment),
        "environment": environment or "production",
        "version": version_of(said) or version_in_ref(ref) or sha,
        "repo_id": repo_id,
        "revision": commit_of(sha),
        "reported_at": at,
        "report_order": order_of(at),
        "rolled_back_at": None,
    }


def _payload(payload: Any) -> dict[str, Any]:
    """The deployment's own payload: an object, or the text of one."""
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return {}
    return payload if isinstance(payload, dict) else {}
