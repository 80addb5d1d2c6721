"""Webhooks and saved payloads of deploy and incident tools: what each becomes, and what is refused or left out."""

import json
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.operations import RAW_INCIDENTS_EVENTS
from weaver_forge.decode import deployments, incidents
from weaver_forge.decode.envelope import sealed
from weaver_forge.settings import test_data as outside_data

SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
API = "https://api.github.com/repos/acme/shop"
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "Slow", "service": "cart", "namespace": "shop", "env": "prod", "severity": "page"},
    "annotations": {"summary": "carts are slow"},
    "startsAt": "2026-03-01T10:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "4936020a66f0b15b",
}
FLUX: dict[str, Any] = {
    "involvedObject": {"kind": "HelmRelease", "namespace": "shop", "name": "cart"},
    "severity": "info",
    "timestamp": "2026-03-01T10:00:00Z",
    "reason": "UpgradeSucceeded",
    "message": "Helm upgrade succeeded",
    "metadata": {"helm.toolkit.fluxcd.io/revision": "1.4.2"},
}
PAGE: dict[str, Any] = {
    "event": {
        "id": "e",
        "event_type": "incident.triggered",
        "occurred_at": "2026-03-01T10:00:05Z",
        "data": {
            "id": "Q1",
            "type": "incident",
            "status": "triggered",
            "created_at": "2026-03-01T10:00:00Z",
            "title": "errors",
            "service": {"summary": "checkout"},
            "priority": {"summary": "P1"},
            "urgency": "low",
        },
    }
}


def read(decode: Callable[[list[Frame]], Batch], *documents: Any) -> Batch:
    return decode([Frame("in.jsonl", "\n".join(json.dumps(document) for document in documents).encode())])


def deployed(*documents: Any) -> Batch:
    return read(deployments.decode, *documents)


def hurt(*documents: Any) -> Batch:
    return read(incidents.decode, *documents)


def rows(batch: Batch) -> list[dict[str, Any]]:
    (frame,) = batch.tables.values()
    return frame.rows(named=True)


def notification(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "4", "status": alerts[0]["status"], "alerts": list(alerts), "groupLabels": {}, **more}


def status(state: str, at: str = "2026-03-01T10:05:00Z", **deployment: Any) -> dict[str, Any]:
    asked = {
        "id": 7,
        "url": f"{API}/deployments/7",
        "sha": SHA,
        "ref": "main",
        "environment": "production",
        "created_at": "2026-03-01T10:00:00Z",
        "payload": {},
    }
    return {
        "repository": {"full_name": "acme/shop"},
        "deployment": asked | deployment,
        "deployment_status": {"state": state, "created_at": at, "environment": "production"},
    }


def test_an_alert_that_fires_and_resolves_is_one_incident_in_two_reports() -> None:
    ended = {**ALERT, "status": "resolved", "endsAt": "2026-03-01T10:30:00Z"}

    batch = hurt(notification(ended), notification(ALERT), notification(ALERT))

    assert batch.rejected == ()
    assert batch.tables[RAW_INCIDENTS_EVENTS.name].schema == schema(RAW_INCIDENTS_EVENTS)
    opened, resolved = rows(batch)
    assert opened["incident_id"] == resolved["incident_id"]
    assert (opened["state"], opened["resolved_at"]) == ("open", None)
    assert (resolved["state"], resolved["resolved_at"]) == ("resolved", datetime(2026, 3, 1, 10, 30))
    assert opened["started_at"] == resolved["started_at"] == datetime(2026, 3, 1, 10, 0, 0, 123456)
    assert (opened["service_key"], opened["severity"], opened["title"]) == (
        "shop/cart/prod",
        "critical",
        "carts are slow",
    )


def test_the_same_alert_fired_again_later_is_another_incident() -> None:
    batch = hurt(notification(ALERT), notification({**ALERT, "startsAt": "2026-03-02T10:00:00Z"}))

    assert len({row["incident_id"] for row in rows(batch)}) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"startsAt": "soon"}, "startsAt 'soon'"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "startsAt is missing"),
        ({"status": "resolved"}, "endsAt of a resolved alert is missing"),
        ({"status": "resolved", "endsAt": "2026-02-01T00:00:00Z"}, "endsAt is before startsAt"),
        ({"status": "pending"}, "neither firing nor resolved"),
        ({"fingerprint": ""}, "fingerprint is empty"),
        ({"labels": {"a": 1}}, "labels[]: a text is needed"),
    ],
)
def test_a_bad_alert_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    batch = hurt(notification({**ALERT, **change}, ALERT))

    assert len(rows(batch)) == 1
    assert reason in batch.rejected[0].reason


def test_an_alert_that_fires_for_ever_is_left_out_and_cut_off_ones_are_said() -> None:
    watchdog = {**ALERT, "labels": {"alertname": "Watchdog", "severity": "none"}}

    batch = hurt(notification(watchdog, truncatedAlerts=3))

    assert rows(batch) == []
    assert "severity none" in batch.notes[0]
    assert "3 alerts were cut off" in batch.rejected[0].reason


def test_what_names_no_service_is_stored_with_empty_parts_and_counted() -> None:
    nameless = {**ALERT, "fingerprint": "f", "labels": {"job": "node-exporter", "instance": "a"}}

    batch = hurt(notification(nameless, ALERT))

    assert rows(batch)[0]["service_key"] == "//"
    assert batch.notes[0].startswith("1 of the reports on incidents named no service")


def test_a_pagerduty_incident_is_read_whole() -> None:
    (row,) = rows(hurt(PAGE))

    assert (row["incident_id"], row["service_key"], row["severity"]) == ("pagerduty:Q1", "/checkout/", "critical")
    assert (row["started_at"], row["reported_at"]) == (datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, 0, 5))


def test_pagerduty_events_that_say_nothing_of_the_incident_are_left_out() -> None:
    pong = {"event": {"id": "e", "event_type": "pagey.ping", "occurred_at": "2026-03-01T10:00:05Z", "data": {}}}
    note = {"event": PAGE["event"] | {"event_type": "incident.annotated", "data": {"type": "incident_note", "id": "N"}}}

    batch = hurt(pong, note)

    assert (rows(batch), batch.rejected) == ([], ())
    assert len(batch.notes) == 2


@pytest.mark.parametrize(
    ("state", "stored", "outcome"),
    [
        ("in_progress", "running", "running"),
        ("success", "ended", "succeeded"),
        ("failure", "ended", "failed"),
        ("error", "ended", "failed"),
    ],
)
def test_github_statuses_are_states(state: str, stored: str, outcome: str) -> None:
    (row,) = rows(deployed(status(state)))

    assert (row["deployment_id"], row["repo_id"]) == ("github:github.com/acme/shop#7", "github.com/acme/shop")
    assert (row["state"], row["status"], row["version"], row["revision"]) == (stored, outcome, SHA, SHA)
    assert row["service_key"] == "//production"


@pytest.mark.parametrize("state", ["inactive", "queued", "pending", "waiting", "new in 2027"])
def test_github_statuses_that_say_neither_begin_nor_end_are_left_out_and_counted(state: str) -> None:
    batch = deployed(status(state))

    assert (rows(batch), batch.rejected) == ([], ())
    assert state in batch.notes[0]


@pytest.mark.parametrize(
    "payload", [{"service": "cart", "version": "1.4.2"}, '{"service": "cart", "version": "1.4.2"}']
)
def test_a_github_deployments_own_payload_names_service_and_version(payload: Any) -> None:
    (row,) = rows(deployed(status("success", payload=payload)))

    assert (row["service_key"], row["version"]) == ("/cart/production", "1.4.2")


def test_a_ref_that_is_a_version_number_is_the_version() -> None:
    batch = deployed(status("success", ref="refs/tags/v1.4.2"), status("success", ref="release/9", id=8))

    assert {row["version"] for row in rows(batch)} <= {"v1.4.2", SHA}


def test_saved_answers_of_githubs_api_give_what_webhooks_give() -> None:
    """Deployments with their statuses beside, and the two lists apart, say the same."""
    hook = status("success")
    asked = hook["deployment"] | {"statuses_url": f"{API}/deployments/7/statuses"}
    told = [hook["deployment_status"] | {"deployment_url": f"{API}/deployments/7"}]

    together = rows(deployed([asked | {"statuses": told}]))
    apart = rows(deployed([asked], told))

    assert [row["state"] for row in together] == ["created", "ended"]
    assert together[1] == rows(deployed(hook))[0]
    assert [(row["deployment_id"], row["state"]) for row in apart] == [
        (row["deployment_id"], row["state"]) for row in together
    ]
    assert not apart[1]["version"]


def test_an_older_delivery_that_comes_later_changes_nothing() -> None:
    """Two reports on one state: the newer stays, whichever came last."""
    newer, older = status("failure", "2026-03-01T10:09:00Z"), status("success", "2026-03-01T10:05:00Z")

    assert rows(deployed(newer, older)) == rows(deployed(older, newer))
    assert rows(deployed(newer, older))[0]["status"] == "failed"


def test_flux_says_the_same_again_and_the_first_time_holds() -> None:
    batch = deployed({**FLUX, "timestamp": "2026-03-01T11:00:00Z"}, FLUX, {**FLUX, "timestamp": "2026-03-01T12:00:00Z"})

    (row,) = rows(batch)
    assert (row["finished_at"], row["version"], row["service_key"]) == (datetime(2026, 3, 1, 10), "1.4.2", "shop/cart/")


@pytest.mark.parametrize(
    ("revision", "version", "commit"),
    [
        (f"main@sha1:{SHA}", SHA, SHA),
        (f"v1.4.2@sha1:{SHA}", "v1.4.2", SHA),
        ("6.5.4+abc", "6.5.4+abc", None),
        ("latest@sha256:" + "a" * 64, "a" * 64, "a" * 64),
    ],
)
def test_flux_revisions_are_versions(revision: str, version: str, commit: str | None) -> None:
    (row,) = rows(deployed({**FLUX, "metadata": {"revision": revision}}))

    assert (row["version"], row["revision"]) == (version, commit)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("ReconciliationSucceeded", ("ended", "succeeded", "deploy")),
        ("UpgradeFailed", ("ended", "failed", "deploy")),
        ("HealthCheckFailed", ("ended", "failed", "deploy")),
        ("Progressing", ("running", "running", "deploy")),
        ("RollbackSucceeded", ("ended", "succeeded", "rollback")),
        ("RollbackFailed", None),
        ("DependencyNotReady", None),
    ],
)
def test_flux_reasons_are_states(reason: str, kept: tuple[str, str, str] | None) -> None:
    batch = deployed({**FLUX, "reason": reason})

    assert [(row["state"], row["status"], row["action"]) for row in rows(batch)] == ([kept] if kept else [])
    assert bool(batch.notes) is (kept is None)


APPLICATION: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "cart", "uid": "u-1", "namespace": "argocd", "labels": {"env": "prod"}},
    "spec": {"destination": {"namespace": "shop"}},
    "status": {
        "sync": {},
        "history": [
            {
                "id": n,
                "revision": SHA,
                "deployStartedAt": f"2026-03-0{n}T09:59:00Z",
                "deployedAt": f"2026-03-0{n}T10:00:00Z",
                "source": {"repoURL": "https://github.com/acme/deploy.git", "targetRevision": "HEAD"},
            }
            for n in (1, 2)
        ],
    },
}


@pytest.mark.parametrize("listed", [False, True])
def test_an_argo_cd_history_is_its_deployments(listed: bool) -> None:
    batch = deployed({"kind": "ApplicationList", "items": [APPLICATION]} if listed else APPLICATION)

    assert [row["deployment_id"] for row in rows(batch)] == ["argocd:u-1#1", "argocd:u-1#2"]
    row = rows(batch)[0]
    assert (row["service_key"], row["version"], row["repo_id"]) == ("shop/cart/prod", SHA, "github.com/acme/deploy")


def test_a_cdevent_comes_bare_structured_and_as_an_envelope() -> None:
    context = {
        "id": "1",
        "source": "/ci",
        "type": "dev.cdevents.service.deployed.9.9.9-draft",
        "timestamp": "2026-03-01T10:00:00Z",
    }
    content = {"environment": {"id": "e1", "name": "prod"}, "artifactId": "pkg:oci/cart@sha256%3A0b31?tag=1.4.2"}
    event = {"context": context, "subject": {"id": "cart", "content": content}}
    cloud = {"specversion": "1.0", "id": "1", "source": "/ci", "type": context["type"], "data": event}
    line = sealed("cloudevents", context["type"], "1", datetime(2026, 3, 1, 11), json.dumps(event).encode())

    bare, structured, wrapped = (
        rows(deployed(event)),
        rows(deployed(cloud)),
        rows(deployments.decode([Frame("e", line)])),
    )

    assert bare == structured == [row | {"received_at": None} for row in wrapped]
    assert (bare[0]["service_key"], bare[0]["version"]) == ("/cart/prod", "1.4.2")
    assert wrapped[0]["received_at"] == datetime(2026, 3, 1, 11)


@pytest.mark.parametrize("document", [{"a": 1}, [1], "x", 3, None, [], {"alerts": []}])
def test_what_is_of_no_known_shape_is_refused(document: Any) -> None:
    for decode in (deployments.decode, incidents.decode):
        batch = read(decode, document)

        assert rows(batch) == []
        assert len(batch.rejected) == 1


GOOD = [status("success"), FLUX, APPLICATION, notification(ALERT), PAGE]


def mutated(document: Any, chance: random.Random) -> bytes:
    """A payload damaged as by a bad sender: a value of another type, a part gone, bytes flipped."""
    text = bytearray(json.dumps(document).encode())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        kind = chance.randrange(4)
        if kind == 0:
            text[at] = chance.randrange(256)
        elif kind == 1:
            del text[at : at + chance.randint(1, 40)]
        elif kind == 2:
            text[at:at] = chance.choice([b"null", b"[]", b"{}", b"-1", b"1e999", b"9" * 40, b'"\\ud800"', b"\x00"])
        else:
            value = chance.choice(['"startsAt":', '"created_at":', '"id":', '"labels":', '"history":', '"metadata":'])
            start = text.find(value.encode())
            if start >= 0:
                text[start + len(value) : start + len(value)] = chance.choice([b" 1,", b" null,", b' "x",', b" [[]],"])
    return bytes(text).replace(b"\n", b" ") or b"x"


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_payload_crashes_nothing_and_changes_no_other(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable damage
    lines = [mutated(document, chance) for document in GOOD]
    own = b'{"deployment_id": "d", "service_key": "a/b/c", "version": "1", "started_at": "2026-03-01T10:00:00Z"}'
    incident = b'{"incident_id": "i", "service_key": "a/b/c", "started_at": "2026-03-01T10:00:00Z"}'

    deploys = deployments.decode([Frame("m", b"\n".join([*lines, own]))])
    hurts = incidents.decode([Frame("m", b"\n".join([*lines, incident]))])

    for batch, name, key in ((deploys, "deployment_id", "d"), (hurts, "incident_id", "i")):
        (frame,) = batch.tables.values()
        assert frame.filter(pl.col(name) == key).height == 1


@pytest.mark.outside
def test_every_fixture_is_decoded_or_refused_with_its_reason() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    stored = {"deployments": 0, "incidents": 0}
    for name in ("github-webhooks", "gitlab-webhooks", "alertmanager", "cdevents", "pagerduty"):
        for path in sorted((root / "fixtures" / name).glob("*.json")):
            for source, decode in (("deployments", deployments.decode), ("incidents", incidents.decode)):
                batch = decode([Frame(path.name, path.read_bytes())])
                n_rows = sum(frame.height for frame in batch.tables.values())
                stored[source] += n_rows
                assert n_rows or batch.notes or batch.rejected, path
                assert all(piece.reason for piece in batch.rejected)
                assert n_rows == _expected(path, source), path

    assert stored == {"deployments": 12, "incidents": 7}


def _expected(path: Path, source: str) -> int:
    """By name alone: which fixtures are of which source."""
    wanted = {
        "deployments": ("deployment_", "webhooks_deployment", "conformance_service_"),
        "incidents": ("webhook-v4-", "v3-incident", "conformance_incident_"),
    }
    return int(path.name.startswith(wanted[source]))
