"""The page on webhooks and the template that it hands out say what the code does."""

import json
import re
from datetime import datetime
from pathlib import Path

import yaml

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS
from weaver_forge.decode import deployments, labels
from weaver_forge.decode.envelope import SENDERS

DOCS = Path(__file__).parents[2] / "docs"
SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
VALUES = {
    ".app.metadata.uid": "u-1",
    "$entry.id": "7",
    ".app.metadata.namespace": "argocd",
    ".app.status.operationState.finishedAt": "2026-03-01T10:05:00Z",
    ".app.status.operationState.startedAt": "2026-03-01T10:00:00Z",
    ".app.metadata.name": "cart",
    'get $labels "environment"': "prod",
    'get $labels "service" | default .app.metadata.name': "cart",
    'get $labels "namespace" | default .app.spec.destination.namespace': "shop",
    'get $labels "version" | default .app.status.operationState.syncResult.revision': SHA,
    ".app.status.operationState.syncResult.revision": SHA,
    ".app.spec.source.repoURL": "https://github.com/acme/deploy.git",
}


def test_the_argo_cd_template_gives_the_deployment_of_the_history() -> None:
    """Filled in, it is a CDEvent that is read as the entry of status.history that it is about."""
    config = yaml.safe_load((DOCS / "integrations" / "argocd-notifications.yaml").read_text())["data"]
    body = yaml.safe_load(config["template.weaver-forge-deployed"])["webhook"]["weaver-forge"]["body"]
    filled = re.sub(r"\{\{- .*? \}\}", "", body)
    filled = re.sub(r"\{\{ (.*?) \}\}", lambda match: VALUES[match[1]], filled)

    batch = deployments.decode([Frame("argocd", json.dumps(json.loads(filled)).encode())])

    (row,) = batch.tables[RAW_DEPLOYMENTS_EVENTS.name].rows(named=True)
    assert (row["deployment_id"], row["service_key"], row["version"]) == ("argocd:u-1#7", "shop/cart/prod", SHA)
    assert (row["repo_id"], row["revision"]) == ("github.com/acme/deploy", SHA)
    assert (row["started_at"], row["finished_at"]) == (datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, 5))


def test_every_sender_and_every_label_is_on_the_page() -> None:
    page = (DOCS / "webhooks.md").read_text()

    assert [sender for sender in SENDERS if f"/webhooks/{sender}`" not in page] == []
    names = re.findall(r"``([a-z_./-]+)``", labels.__doc__ or "")
    assert [name for name in names if f"`{name}`" not in page] == []
