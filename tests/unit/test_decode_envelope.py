"""Webhook envelopes: what is sealed opens to the same, and plain documents pass through."""

import json
from datetime import datetime

from weaver_forge.contracts.batch import Frame, Rejected
from weaver_forge.decode import deployments, github_actions
from weaver_forge.decode.envelope import Envelope, envelopes, sealed

AT = datetime(2026, 3, 1, 12, 0, 0, 250000)


def opened(data: bytes) -> list[Envelope | Rejected]:
    return list(envelopes([Frame("a.jsonl", data)]))


def test_what_is_sealed_is_one_line_and_opens_to_the_same() -> None:
    line = sealed(
        "github", "push", "d-1", AT, b'{\n "text": "two\\nlines \xc3\xa9",\n "cost": 0.10000000000000000001\n}'
    )

    (found,) = opened(line + b"\n")

    assert b"\n" not in line
    assert b"0.10000000000000000001" in line
    assert isinstance(found, Envelope)
    assert (found.sender, found.event, found.delivery, found.received_at) == ("github", "push", "d-1", AT)
    assert found.body["text"] == "two\nlines é"


def test_a_saved_payload_is_a_plain_document_even_with_a_key_called_sender() -> None:
    payload = {"sender": {"login": "a"}, "action": "completed"}

    (found,) = opened(json.dumps(payload, indent=1).encode())

    assert found == Envelope(name="a.jsonl", position="document", body=payload)


def test_a_torn_line_is_refused_alone() -> None:
    line = sealed("gitlab", "Job Hook", "u", AT, b"{}")

    first, torn, last = opened(line + b"\n" + line[:40] + b"\n" + line + b"\n")

    assert isinstance(torn, Rejected)
    assert torn.position == "line 2"
    assert isinstance(first, Envelope)
    assert isinstance(last, Envelope)


def test_an_envelope_without_a_time_of_arrival_is_refused() -> None:
    (found,) = opened(sealed("flux", "", "u", AT, b"{}").replace(b"2026-03-01T12:00:00.250000Z", b"soon"))

    assert isinstance(found, Rejected)
    assert "received_at 'soon'" in found.reason


def test_what_is_refused_of_an_envelope_keeps_its_whole_line_and_place() -> None:
    line = sealed("github", "workflow_run", "d", AT, json.dumps({"workflow_run": {"id": "x" * 9000}}).encode())
    torn = line[:5000]

    actions = github_actions.decode([Frame("a.jsonl", line + b"\n" + torn + b"\n")]).rejected
    deployed = deployments.decode([Frame("a.jsonl", torn + b"\n" + line + b"\n")]).rejected

    assert [(item.data, item.offset) for item in actions] == [(line, 0), (torn, len(line) + 1)]
    assert [(item.data, item.offset) for item in deployed] == [(torn, 0), (line, len(torn) + 1)]
    assert all(len(item.raw) <= 4000 for item in (*actions, *deployed))


def test_every_refused_piece_of_a_document_keeps_the_document() -> None:
    document = json.dumps({"jobs": [{"id": 1}, {"id": 2}]}, indent=1).encode()

    refused = github_actions.decode([Frame("a.json", document)]).rejected

    assert [(item.position, item.data) for item in refused] == [
        ("document.jobs[0]", document),
        ("document.jobs[1]", document),
    ]
