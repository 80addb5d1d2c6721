"""Deployments -> ``raw_deployments__events``: reports of many tools, and JSON lines in a shape of our own.

Known are GitHub, GitLab, CDEvents, Flux and Argo CD (a module each), as webhooks and as saved payloads. For any other
deploy tool one object a line::

    {"deployment_id": "d-17", "service_key": "shop/cart/production", "version": "1.4.2",
     "repo_id": "github.com/acme/shop", "revision": "1f29c4...", "status": "succeeded",
     "started_at": "2026-03-01T12:00:00Z", "finished_at": "2026-03-01T12:04:00Z", "rolled_back_at": null,
     "action": "deploy"}

Needed are ``deployment_id``, ``version``, ``started_at`` and the service: ``service_key``, or ``service`` as
``{"namespace", "name", "environment"}``. ``environment`` is that of the service where it is not given, else
production. ``status`` is succeeded, failed or rolled_back; ``rolled_back_at`` makes it rolled_back. ``action`` is
deploy where it is not given, or rollback: back to this version, so that the deployment before it was undone. Times are
ISO 8601; without a zone they are UTC. A record reported again replaces the earlier report. It is complete in itself,
so ``state`` and ``source`` cannot be given; keys that no record has are left out and said.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS
from weaver_forge.decode import argocd, cdevents, flux, github_deployments, gitlab_deployments
from weaver_forge.decode.operation_reports import decode_reports
from weaver_forge.decode.records import Service, Unknown, key_of, noted, read_record, utc

_READERS = (
    github_deployments.deployments,
    gitlab_deployments.deployments,
    cdevents.deployments,
    flux.deployments,
    argocd.deployments,
)


class Deployment(msgspec.Struct, frozen=True):
    """What a line of our own must look like."""

    deployment_id: str
    version: str
    started_at: datetime
    service_key: str | None = None
    service: Service | None = None
    environment: str | None = None
    repo_id: str | None = None
    revision: str | None = None
    status: Literal["succeeded", "failed", "rolled_back"] | None = None
    finished_at: datetime | None = None
    rolled_back_at: datetime | None = None
    action: Literal["deploy", "rollback"] | None = None


def decode(frames: Iterable[Frame]) -> Batch:
    """Read reports on deployments; a bad one is rejected alone."""
    unknown: Unknown = {}
    own = partial(read_record, shape=Deployment, row=_row, unknown=unknown)
    wanted = "GitHub, GitLab, CDEvents service.*, Flux, Argo CD, or an object with deployment_id"
    return noted(decode_reports(frames, RAW_DEPLOYMENTS_EVENTS, (*_READERS, own), wanted=wanted), unknown)


def _row(record: Deployment) -> dict[str, Any]:
    key = key_of(record.service_key, record.service)
    if record.status == "rolled_back" and record.rolled_back_at is None:
        raise ValueError("status is rolled_back but rolled_back_at is not given: when it became known is needed")
    return {
        "deployment_id": record.deployment_id,
        "state": "record",
        "action": record.action or "deploy",
        "source": "records",
        "service_key": key,
        "environment": record.environment or key.rpartition("/")[2] or "production",
        "version": record.version,
        "repo_id": record.repo_id,
        "revision": record.revision,
        "status": "rolled_back" if record.rolled_back_at else record.status or "succeeded",
        "started_at": utc(record.started_at),
        "finished_at": utc(record.finished_at),
        "rolled_back_at": utc(record.rolled_back_at),
    }
