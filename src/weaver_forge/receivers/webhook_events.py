"""What a webhook's headers and body say about the delivery: its event, its id, and which source it belongs to.

Put a sender's way of naming events and deliveries here. Whether it is genuine is in ``signatures``, what its body
means is in ``decode``.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

_GITHUB = {
    "workflow_run": "github_actions",
    "workflow_job": "github_actions",
    "deployment": "deployments",
    "deployment_status": "deployments",
}
_GITLAB = {"pipeline": "gitlab", "build": "gitlab", "deployment": "deployments"}
_CDEVENTS = (("dev.cdevents.service.", "deployments"), ("dev.cdevents.incident.", "incidents"))
SOURCES = ("github_actions", "gitlab", "deployments", "incidents")
"""Sources that webhooks are taken in by: a folder of the inbox each."""


class Unusable(ValueError):  # noqa: N818 - what the body is to its receiver
    """The body is nothing that this sender sends; the message says why."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event of a request.

    Args:
        event: The event's name as its sender calls it.
        key: What is the same when the same thing is delivered again.
        source: The source it is taken in by; empty for an event that nothing here uses.
        body: The payload, valid JSON.
    """

    event: str
    key: tuple[str, ...]
    source: str
    body: bytes


def deliveries(sender: str, headers: Mapping[str, str], raw: bytes) -> Iterator[Delivery]:
    """Read what a genuine request delivers: one event, or several of a CloudEvents batch.

    Args:
        sender: One of ``decode.envelope.SENDERS``.
        headers: With lower-case names.
        raw: The body as received.

    Raises:
        Unusable: If it is no JSON object, or names no event.
    """
    body = _unfolded(headers, raw)
    document = _parsed(body)
    if sender in {"cloudevents", "argocd"} and isinstance(document, list):
        for item in document:
            yield _delivery(sender, {}, _object(item), msgspec.json.encode(item))
    else:
        yield _delivery(sender, headers, _object(document), body)


def _delivery(sender: str, headers: Mapping[str, str], document: dict[str, Any], body: bytes) -> Delivery:
    event, own_id, source = _NAMED[sender](headers, document)
    # A sender without ids says the same thing in the same bytes, and something new in others.
    key = own_id or ("sha256", hashlib.sha256(body).hexdigest())
    return Delivery(event, (sender, *key), source, body)


def _unfolded(headers: Mapping[str, str], raw: bytes) -> bytes:
    """The JSON of a form: what GitHub sends unless a hook's content type is set to JSON."""
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return raw
    try:
        return parse_qs(raw.decode(), max_num_fields=16)["payload"][0].encode()
    except (KeyError, ValueError) as error:
        raise Unusable("a form without a field called payload; set the hook's content type to JSON") from error


def _parsed(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unusable(f"not valid JSON: {error}") from error


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Unusable(f"expected a JSON object, found {type(document).__name__}")
    return document


Named = tuple[str, tuple[str, ...], str]


def _github(headers: Mapping[str, str], _document: dict[str, Any]) -> Named:
    event, delivery = headers.get("x-github-event", ""), headers.get("x-github-delivery", "")
    if not event:
        raise Unusable("no X-GitHub-Event header")
    return event, (delivery,) if delivery else (), _GITHUB.get(event, "")


def _gitlab(headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    event = _text(document, "object_kind") or headers.get("x-gitlab-event", "")
    if key := headers.get("idempotency-key"):
        return event, (key,), _GITLAB.get(event, "")
    # X-Gitlab-Event-UUID alone is not enough: webhooks that another webhook set off share it.
    uuid = headers.get("x-gitlab-event-uuid")
    own_id = (uuid, hashlib.sha256(msgspec.json.encode(document)).hexdigest()) if uuid else ()
    return event, own_id, _GITLAB.get(event, "")


def _pagerduty(_headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    event = document.get("event")
    if not isinstance(event, dict) or not _text(event, "event_type"):
        raise Unusable("no event.event_type: only version 3 of PagerDuty's webhooks is read")
    name, own_id = _text(event, "event_type"), _text(event, "id")
    return name, (own_id,) if own_id else (), "incidents" if name.startswith("incident.") else ""


def _alertmanager(_headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    if not isinstance(document.get("alerts"), list):
        raise Unusable("no list of alerts: only Alertmanager's own webhook is read")
    return _text(document, "status"), (), "incidents"


def _flux(_headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    thing = document.get("involvedObject")
    kind = _text(thing, "kind") if isinstance(thing, dict) else ""
    if not kind:
        raise Unusable("no involvedObject.kind: only events of Flux's notification-controller are read")
    return f"{kind}/{_text(document, 'reason')}", (), "deployments" if kind in {"Kustomization", "HelmRelease"} else ""


def _argocd(headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    if "ce-type" in headers or "specversion" in document or "context" in document:
        return _cloudevents(headers, document)
    return _text(document, "kind") or "record", (), "deployments"


def _cloudevents(headers: Mapping[str, str], document: dict[str, Any]) -> Named:
    context = document.get("context")
    inner = context if isinstance(context, dict) else {}
    event = headers.get("ce-type") or _text(document, "type") or _text(inner, "type")
    if not event:
        raise Unusable("no type: neither a ce-type header nor a type in the body")
    origin = headers.get("ce-source") or _text(document, "source") or _text(inner, "source")
    event_id = headers.get("ce-id") or _text(document, "id") or _text(inner, "id")
    source = next((source for prefix, source in _CDEVENTS if event.startswith(prefix)), "")
    return event, (origin, event_id) if event_id else (), source


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


_NAMED = {
    "github": _github,
    "gitlab": _gitlab,
    "pagerduty": _pagerduty,
    "alertmanager": _alertmanager,
    "flux": _flux,
    "argocd": _argocd,
    "cloudevents": _cloudevents,
}
