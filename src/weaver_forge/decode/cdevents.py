"""CDEvents (cdevents.dev): ``service.*`` as deployments, ``incident.*`` as incidents; any version of the types.

Read are the event itself, as the body of a CloudEvent in binary mode has it, and a CloudEvent in structured mode with
the event as its ``data``. Other subjects (builds, test runs) are somebody else's. What the specification has no field
for is read from ``customData``: ``deployment_id``, ``version``, ``revision``, ``repository``, ``started_at``,
``finished_at`` and the names of ``labels``; our Argo CD template writes these.
"""

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.labels import commit_of, key_of_parts, service_of, severity_of, version_of
from weaver_forge.decode.operation_reports import Found, Unfit, checked, instant, needed, order_of

_PREFIX = "dev.cdevents."
_ACTIONS = {
    "deployed": "deploy",
    "upgraded": "deploy",
    "rolledback": "rollback",
    "removed": "remove",
    "published": "publish",
}
_INCIDENT_STATES = {"detected": "detected", "reported": "open", "resolved": "resolved"}


class _Reference(msgspec.Struct, frozen=True):
    """A thing by its id."""

    id: str
    source: str = ""
    name: str = ""


class _Content(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a subject's content."""

    environment: _Reference | None = None
    service: _Reference | None = None
    artifact_id: str = ""
    description: str = ""


class _Subject(msgspec.Struct, frozen=True):
    """What an event is about."""

    id: str
    source: str = ""
    content: _Content = _Content()


class _Context(msgspec.Struct, frozen=True):
    """Which event it is."""

    id: str
    source: str
    type: str
    timestamp: str


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an event."""

    context: _Context
    subject: _Subject
    custom_data: Any = None

    @property
    def custom(self) -> dict[str, Any]:
        """The sender's own data, where it is an object."""
        return self.custom_data if isinstance(self.custom_data, dict) else {}


def deployments(item: Envelope) -> Found | None:
    """Read one ``service.*`` event; None where it is no CDEvent."""
    found = _event(item.body)
    if found is None:
        return None
    event, subject, predicate = found
    if subject != "service" or predicate not in _ACTIONS:
        raise Unfit(f"a CDEvent {subject}.{predicate} is no deployment; service.* is read")
    custom, content = event.custom, event.subject.content
    at = needed(event.context.timestamp, "context.timestamp")
    started = instant(_text(custom, "started_at"), "customData.started_at") or at
    finished = instant(_text(custom, "finished_at"), "customData.finished_at") or at
    if finished < started:
        raise Unfit("customData.finished_at is before started_at")
    environment = (content.environment.name or content.environment.id) if content.environment else ""
    return [
        {
            "deployment_id": _text(custom, "deployment_id") or f"cdevents:{event.context.source}#{event.context.id}",
            "source": item.sender if item.sender == "argocd" else "cdevents",
            "action": _ACTIONS[predicate],
            "state": "ended",
            "service_key": _service(custom, event.subject.id, environment),
            "environment": environment or "production",
            "version": version_of(custom) or _version(content.artifact_id),
            "repo_id": repo_id_from_remote(_text(custom, "repository")) or _text(custom, "repo_id") or None,
            "revision": commit_of(_text(custom, "revision")),
            "status": "failed" if custom.get("status") == "failed" else "succeeded",
            "started_at": started,
            "finished_at": finished,
            "reported_at": at,
            "report_order": order_of(at),
        }
    ]


def incidents(item: Envelope) -> Found | None:
    """Read one ``incident.*`` event; None where it is no CDEvent."""
    found = _event(item.body)
    if found is None:
        return None
    event, subject, predicate = found
    if subject != "incident" or predicate not in _INCIDENT_STATES:
        raise Unfit(f"a CDEvent {subject}.{predicate} is no incident; incident.* is read")
    content, custom = event.subject.content, event.custom
    at = needed(event.context.timestamp, "context.timestamp")
    is_resolved = predicate == "resolved"
    environment = (content.environment.name or content.environment.id) if content.environment else ""
    return [
        {
            "incident_id": f"cdevents:{event.subject.source or event.context.source}#{event.subject.id}",
            "source": "cdevents",
            "state": _INCIDENT_STATES[predicate],
            "service_key": _service(custom, content.service.id if content.service else "", environment),
            "severity": severity_of(custom.get("severity"), custom.get("priority")),
            "title": content.description,
            "started_at": None if is_resolved else at,
            "declared_at": None if is_resolved else at,
            "resolved_at": at if is_resolved else None,
            "reported_at": at,
            # Of an incident detected twice the first detection holds.
            "report_order": order_of(at, first_holds=not is_resolved),
        }
    ]


def _event(body: dict[str, Any]) -> tuple[_Event, str, str] | None:
    """The event with its subject and predicate; None where the document is none of CDEvents."""
    context = body.get("context")
    if isinstance(context, dict) and str(context.get("type", "")).startswith(_PREFIX):
        event = checked(body, _Event)
        subject, _, rest = event.context.type.removeprefix(_PREFIX).partition(".")
        return event, subject, rest.partition(".")[0]
    if "specversion" not in body or not str(body.get("type", "")).startswith(_PREFIX):
        return None
    inner = _data(body)
    if not isinstance(inner, dict) or not isinstance(inner.get("context"), dict) or "specversion" in inner:
        raise Unfit("the CloudEvent's data is no CDEvent with its context")
    found = _event(inner)
    if found is None:
        raise Unfit("the CloudEvent says it is a CDEvent, its data says another type")
    return found


def _data(body: dict[str, Any]) -> Any:
    if "data_base64" not in body:
        return body.get("data")
    try:
        return json.loads(base64.b64decode(str(body["data_base64"]), validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise Unfit(f"data_base64 is not base64 of JSON: {in_words(error)}") from error


def _service(custom: dict[str, Any], service_id: str, environment: str) -> str:
    """What the sender's own data names; the event's own id of the service fills the name."""
    said = service_of(custom, environment=environment)
    namespace, name, place = said.split("/")
    return said if name else key_of_parts(namespace, service_id, place)


def _version(artifact_id: str) -> str:
    """The version of a package URL: its tag where it has one, else what stands behind the @."""
    path, _, query = artifact_id.partition("?")
    tag = parse_qs(query).get("tag", [""])[0]
    return tag or unquote(path.rpartition("@")[2]) if "@" in path else tag


def _text(custom: dict[str, Any], key: str) -> str:
    value = custom.get(key)
    return value if isinstance(value, str) else ""
