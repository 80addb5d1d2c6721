"""Argo CD: the history of an Application, as its API or ``kubectl get applications -o json`` gives it, as deployments.

What Argo CD's notifications post is a template of the user's own; ours posts a CDEvent (see ``cdevents``) whose
``deployment_id`` is the one made here, so that both ways give one deployment. An Application is one service: its
labels say so, else its own name and the namespace it deploys to.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.labels import commit_of, key_of_parts, service_of, version_in_ref
from weaver_forge.decode.operation_reports import Found, Row, Unfit, checked, instant, needed, order_of


class _Source(msgspec.Struct, frozen=True, rename="camel"):
    """Where manifests come from."""

    repo_url: str = msgspec.field(default="", name="repoURL")
    target_revision: str = ""
    chart: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    """Which Application it is."""

    name: str
    uid: str = ""
    namespace: str = ""
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None


class _Destination(msgspec.Struct, frozen=True):
    """Where it deploys to."""

    namespace: str = ""


class _Spec(msgspec.Struct, frozen=True):
    """What is read of the specification."""

    destination: _Destination = _Destination()


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One deployment of the history."""

    id: int
    deployed_at: str
    revision: str = ""
    revisions: list[str] = []
    deploy_started_at: str | None = None
    source: _Source = _Source()


class _Status(msgspec.Struct, frozen=True):
    """What is read of the status."""

    history: list[Any] = []


class _Application(msgspec.Struct, frozen=True):
    """What is read of an Application."""

    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()


def deployments(item: Envelope) -> Found | None:
    """Read one Application; None where it is none of Argo CD."""
    body = item.body
    is_one = body.get("kind") == "Application" and str(body.get("apiVersion", "")).startswith("argoproj.io/")
    # The API's own answers leave kind and apiVersion out.
    bare = isinstance(body.get("metadata"), dict) and isinstance(body.get("status"), dict) and "spec" in body
    if not (is_one or (bare and "sync" in body["status"])):
        return None
    application = checked(body, _Application)
    if not application.status.history:
        raise Unfit("the Application has no status.history: nothing of it was deployed")
    return _history(application)


def _history(application: _Application) -> Iterator[Row | Unfit]:
    for raw in application.status.history:
        try:
            yield _row(application, checked(raw, _Entry))
        except Unfit as reason:
            yield reason


def _row(application: _Application, entry: _Entry) -> Row:
    about = application.metadata
    finished = needed(entry.deployed_at, "deployedAt")
    started = instant(entry.deploy_started_at, "deployStartedAt") or finished
    if finished < started:
        raise Unfit("deployedAt is before deployStartedAt")
    said = (about.labels or {}, about.annotations or {})
    namespace, name, environment = service_of(*said).split("/")
    revision = entry.revision or next(iter(entry.revisions), "")
    return {
        "deployment_id": f"argocd:{about.uid or f'{about.namespace}/{about.name}'}#{entry.id}",
        "source": "argocd",
        "action": "deploy",
        "state": "ended",
        "service_key": key_of_parts(
            namespace or application.spec.destination.namespace, name or about.name, environment
        ),
        "environment": environment or "production",
        "version": version_in_ref(entry.source.target_revision) or revision,
        "repo_id": None if entry.source.chart else repo_id_from_remote(entry.source.repo_url),
        "revision": commit_of(revision),
        "status": "succeeded",
        "started_at": started,
        "finished_at": finished,
        "reported_at": finished,
        "report_order": order_of(finished),
    }
