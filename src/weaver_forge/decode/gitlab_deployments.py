"""Deployments of GitLab: the deployment webhook, a report whenever its status changes.

A report says when the status changed and not when the deployment began: ``links`` joins those of one deployment. The
service is named nowhere (a project may hold many); the version is a ref that is a version number, else the commit.
"""

import msgspec

from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import commit_of, service_of, version_in_ref
from weaver_forge.decode.operation_reports import Found, Unfit, Unused, checked, needed, order_of

_STATES = {"running": ("running", "running"), "success": ("ended", "succeeded"), "failed": ("ended", "failed")}


class _Project(msgspec.Struct, frozen=True):
    """What is read of a project."""

    web_url: str


class _Deployment(msgspec.Struct, frozen=True):
    """What is read of the payload."""

    deployment_id: int
    status: str
    status_changed_at: str
    environment: str
    project: _Project
    ref: str = ""
    short_sha: str = ""
    commit_url: str = ""


def deployments(item: Envelope) -> Found | None:
    """Read one payload; None where it is not GitLab's deployment webhook."""
    if item.body.get("object_kind") != "deployment":
        return None
    said = checked(item.body, _Deployment)
    if said.status not in _STATES:
        raise Unused(f"GitLab deployment status {said.status[:40]!r} says neither that it began nor how it ended")
    repo_id = repo_id_from_remote(said.project.web_url)
    if repo_id is None:
        raise Unfit(f"project.web_url {said.project.web_url[:200]!r} names no project")
    at = needed(said.status_changed_at, "status_changed_at")
    state, outcome = _STATES[said.status]
    revision = commit_of(said.commit_url)
    return [
        {
            "deployment_id": f"gitlab:{repo_id}#{said.deployment_id}",
            "source": "gitlab",
            "action": "deploy",
            "state": state,
            "service_key": service_of({}, environment=said.environment),
            "environment": said.environment or "production",
            "version": version_in_ref(said.ref) or revision or said.short_sha,
            "repo_id": repo_id,
            "revision": revision,
            "status": outcome,
            "started_at": at if state == "running" else None,
            "finished_at": at if state == "ended" else None,
            "reported_at": at,
            "report_order": order_of(at),
        }
    ]
