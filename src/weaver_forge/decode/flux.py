"""Events of Flux's notification-controller (``generic`` and ``generic-hmac`` providers) as deployments.

A Kustomization or HelmRelease is one service: its labels say so in ``metadata`` (an Alert's ``eventMetadata`` adds
any), else its own name and namespace. Flux keeps reporting what has not changed: of reports on one revision the first
holds.
"""

import re
from typing import Any

import msgspec

from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import commit_of, key_of_parts, service_of, version_in_ref, version_of
from weaver_forge.decode.operation_reports import Found, Unfit, Unused, checked, needed, order_of

_KINDS = ("Kustomization", "HelmRelease")
_ENDED = re.compile(r"(Reconciliation|Install|Upgrade|Rollback|Remediation)(Succeeded|Failed)")
_FAILED = frozenset({"BuildFailed", "HealthCheckFailed", "ArtifactFailed", "DriftDetectionFailed", "PruneFailed"})


class _Object(msgspec.Struct, frozen=True):
    """The object that an event is about."""

    kind: str
    name: str
    namespace: str = ""


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an event."""

    involved_object: _Object
    severity: str
    timestamp: str
    reason: str = ""
    message: str = ""
    metadata: dict[str, Any] | None = None


def deployments(item: Envelope) -> Found | None:
    """Read one event; None where it is not of Flux."""
    if not isinstance(item.body.get("involvedObject"), dict) or "reason" not in item.body:
        return None
    event = checked(item.body, _Event)
    about = event.involved_object
    if about.kind not in _KINDS:
        raise Unused(f"Flux event of a {about.kind[:40]}, which deploys nothing")
    state, status, action = _outcome(event.reason, event.severity)
    said = {key.rpartition("/")[2]: value for key, value in (event.metadata or {}).items()} | (event.metadata or {})
    revision = str(said.get("revision") or "")
    if not revision:
        raise Unfit("metadata has no revision: which version was deployed is not said")
    at = needed(event.timestamp, "timestamp")
    identity = f"flux:{about.kind}/{about.namespace}/{about.name}@{revision}"
    return [
        {
            # A rollback goes back to a revision that has its own deployment already.
            "deployment_id": identity if action == "deploy" else f"{identity}!{at.isoformat()}",
            "source": "flux",
            "action": action,
            "state": state,
            "service_key": _service(said, about),
            "environment": service_of(said).rpartition("/")[2] or "production",
            "version": version_of(said) or _version(revision),
            "repo_id": repo_id_from_remote(str(said.get("repository") or "")),
            "revision": commit_of(revision),
            "status": status,
            "started_at": at if state == "running" else None,
            "finished_at": at if state == "ended" else None,
            "reported_at": at,
            "report_order": order_of(at, first_holds=True),
        }
    ]


def _outcome(reason: str, severity: str) -> tuple[str, str, str]:
    """State, status and action of a reason."""
    if reason in {"Progressing", "ProgressingWithRetry"}:
        return "running", "running", "deploy"
    if match := _ENDED.fullmatch(reason):
        action = "rollback" if match[1] == "Rollback" else "deploy"
        # A failed upgrade says so itself; that its remedy failed as well is no deployment.
        if match[1] in {"Rollback", "Remediation"} and match[2] == "Failed":
            raise Unused(f"Flux reason {reason}: nothing was deployed")
        return "ended", match[2].lower(), action
    if reason in _FAILED or (severity == "error" and reason.endswith("Failed")):
        return "ended", "failed", "deploy"
    raise Unused(f"Flux reason {reason[:60]!r} says neither that a deployment began nor how it ended")


def _service(said: dict[str, Any], about: _Object) -> str:
    key = service_of(said)
    namespace, name, environment = key.split("/")
    return key if name else key_of_parts(namespace or about.namespace, about.name, environment)


def _version(revision: str) -> str:
    """A revision as a version: ``v1.2.3@sha1:...`` is 1.2.3's, ``main@sha1:<commit>`` the commit, a chart's its own."""
    ref, _, digest = revision.partition("@")
    return version_in_ref(ref) or commit_of(digest) or revision
