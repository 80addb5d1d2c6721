"""Webhook endpoints: on disk before the answer, once, and closed to whoever cannot prove himself."""

import asyncio
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode.envelope import SENDERS, Envelope, envelopes
from weaver_forge.errors import ConfigurationError
from weaver_forge.receivers.app import application
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.counters import WEBHOOKS, WEBHOOKS_WRITABLE
from weaver_forge.receivers.deliveries import Deliveries
from weaver_forge.receivers.segments import InboxUnwritable
from weaver_forge.receivers.webhook_events import Delivery
from weaver_forge.receivers.webhook_secrets import secrets_of
from weaver_forge.receivers.webhooks import MAX_BYTES, Webhooks
from weaver_forge.settings import load

SECRET = b"It's a Secret to Everybody"
NOW = datetime(2026, 3, 1, 12)
RUN = json.dumps({"action": "completed", "workflow_run": {"id": 1}}).encode()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    made: list[Webhooks] = []

    def make(*senders: str) -> Webhooks:
        made.append(Webhooks(dict.fromkeys(senders, (SECRET,)), tmp_path, now=lambda: NOW, segment_age_s=60))
        return made[-1]

    yield make
    for webhooks in made:
        webhooks.close()


def posted(webhooks: Webhooks, *requests: tuple[str, bytes, dict[str, str]]) -> list[httpx.Response]:
    """All requests at the same time."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application(webhooks.routes, tokens=Tokens(("t",)), budget=Budget(1 << 30)))
        async with httpx.AsyncClient(transport=transport, base_url="http://forge") as client:
            return await asyncio.gather(
                *(client.post(f"/webhooks/{sender}", content=body, headers=h) for sender, body, h in requests)
            )

    return asyncio.run(send())


def github(body: bytes, event: str = "workflow_run", delivery: str = "d-1") -> tuple[str, bytes, dict[str, str]]:
    signature = f"sha256={hmac.digest(SECRET, body, 'sha256').hex()}"
    return (
        "github",
        body,
        {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature},
    )


def bearer(sender: str, body: Any) -> tuple[str, bytes, dict[str, str]]:
    return sender, json.dumps(body).encode(), {"Authorization": f"Bearer {SECRET.decode()}"}


def stored(folder: Path, source: str) -> list[Envelope]:
    """What lies in the inbox, growing files too: it is there once the answer is. In order of the deliveries' ids."""
    found: list[Envelope] = []
    for path in sorted((folder / source / "received").iterdir()):
        found += [e for e in envelopes([Frame(path.name, path.read_bytes())]) if isinstance(e, Envelope)]
    return sorted(found, key=lambda envelope: envelope.delivery)


def test_a_delivery_is_on_disk_when_it_is_answered(opened: Any, tmp_path: Path) -> None:
    (answer,) = posted(opened("github"), github(RUN))

    (envelope,) = stored(tmp_path, "github_actions")
    assert (answer.status_code, answer.json()) == (202, {"status": "stored"})
    assert (envelope.sender, envelope.event, envelope.delivery) == ("github", "workflow_run", "d-1")
    assert (envelope.received_at, envelope.body) == (NOW, json.loads(RUN))


def test_a_delivery_again_is_answered_and_not_stored_also_after_a_restart(opened: Any, tmp_path: Path) -> None:
    first = opened("github")
    answers = [*posted(first, github(RUN)), *posted(first, github(RUN))]
    first.close()

    answers += posted(opened("github"), github(RUN), github(RUN, delivery="d-2"))

    assert [a.json()["status"] for a in answers] == ["stored", "known", "known", "stored"]
    assert {a.status_code for a in answers} == {202}
    assert {e.delivery for e in stored(tmp_path, "github_actions")} == {"d-1", "d-2"}


def test_of_two_equal_deliveries_at_the_same_time_one_is_stored(opened: Any, tmp_path: Path) -> None:
    answers = posted(opened("github"), *[github(RUN)] * 8)

    assert sorted(a.json()["status"] for a in answers) == [*["known"] * 7, "stored"]
    assert len(stored(tmp_path, "github_actions")) == 1


def test_a_second_sender_that_hangs_up_does_not_take_the_record_from_the_first(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks, held = opened("github"), Future[None]()
    monkeypatch.setattr(webhooks._segments["github_actions"], "put", lambda _: held)
    delivery = Delivery("workflow_run", ("github", "d-1"), "github_actions", RUN)

    async def both() -> Any:
        first = asyncio.create_task(webhooks._store("github", delivery))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(webhooks._store("github", delivery))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        if not held.cancelled():
            held.set_result(None)
        return await first

    assert asyncio.run(both()) == "stored"


@pytest.mark.parametrize("sender", SENDERS)
def test_a_sender_without_a_secret_has_no_endpoint(opened: Any, sender: str, caplog: pytest.LogCaptureFixture) -> None:
    on = "github" if sender != "github" else "gitlab"
    request = (sender, RUN, github(RUN)[2])

    answers = posted(opened(on), request, request, ("nobody", RUN, {}))

    assert [a.status_code for a in answers] == [404, 404, 404]
    (said,) = [r.getMessage() for r in caplog.records if "its endpoint is off" in r.getMessage()]
    assert said.startswith(f"a webhook came for {sender}, which has no secret in [webhooks.{sender}]")


def test_without_any_secret_nothing_is_made_on_disk(opened: Any, tmp_path: Path) -> None:
    (answer,) = posted(opened(), github(RUN))

    assert answer.status_code == 404
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sender", SENDERS)
def test_whoever_cannot_prove_himself_is_refused_and_counted(opened: Any, sender: str, tmp_path: Path) -> None:
    webhooks = opened(sender)

    answers = posted(
        webhooks, (sender, RUN, {}), (sender, RUN, {"Authorization": "Bearer x", "X-Signature": "sha256=0"})
    )

    assert [a.status_code for a in answers] == [401, 401]
    assert webhooks.values()[WEBHOOKS] == {(sender, "unauthorized"): 2}
    assert [e for source in ("deployments", "incidents") for e in stored(tmp_path, source)] == []


def test_refusals_are_logged_once_until_a_delivery_is_taken(opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    webhooks, forged = opened("github"), ("github", RUN, {})

    posted(webhooks, forged, forged, forged)
    before = len(caplog.records)
    posted(webhooks, github(RUN))
    posted(webhooks, forged, forged)

    assert (before, len(caplog.records)) == (1, 2)


def test_the_signature_is_over_the_bytes_as_sent(opened: Any) -> None:
    """A body that means the same in other bytes is another body."""
    _, _, headers = github(RUN)

    (answer,) = posted(opened("github"), ("github", RUN.replace(b": ", b":"), headers))

    assert answer.status_code == 401


@pytest.mark.parametrize("event", ["ping", "push", "check_run", "star"])
def test_an_event_that_nothing_uses_is_answered_counted_and_not_stored(opened: Any, event: str, tmp_path: Path) -> None:
    webhooks = opened("github")

    (answer,) = posted(webhooks, github(b'{"zen": "x"}', event=event))

    assert (answer.status_code, answer.json()) == (202, {"status": "unused"})
    assert webhooks.values()[WEBHOOKS] == {("github", "unused"): 1}
    assert stored(tmp_path, "github_actions") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"[" * 100_000, b"\xff"])
def test_what_is_genuine_and_no_payload_is_refused_with_a_reason(opened: Any, body: bytes) -> None:
    webhooks = opened("github")

    (answer,) = posted(webhooks, github(body))

    assert answer.status_code == 400
    assert webhooks.values()[WEBHOOKS] == {("github", "bad_data"): 1}


def test_a_body_above_the_cap_is_refused_declared_or_not(opened: Any) -> None:
    large = b'{"a":"' + b"x" * MAX_BYTES + b'"}'
    _, _, headers = github(large)

    async def pieces() -> Any:  # noqa: RUF029 - a stream is what the client wants
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    declared, streamed = posted(opened("github"), ("github", large, headers), ("github", pieces(), headers))  # type: ignore[arg-type]  # httpx takes a stream here, and then declares no length

    assert [declared.status_code, streamed.status_code] == [413, 413]


def test_a_compressed_body_is_not_taken(opened: Any) -> None:
    sender, body, headers = github(RUN)

    (answer,) = posted(opened("github"), (sender, body, {**headers, "Content-Encoding": "gzip"}))

    assert answer.status_code == 415


def test_a_form_as_github_sends_by_default_is_its_payload(opened: Any, tmp_path: Path) -> None:
    form = urlencode({"payload": RUN.decode()}).encode()
    _, _, headers = github(form)

    (answer,) = posted(
        opened("github"), ("github", form, {**headers, "Content-Type": "application/x-www-form-urlencoded"})
    )

    assert answer.status_code == 202
    assert stored(tmp_path, "github_actions")[0].body == json.loads(RUN)


def test_firing_and_resolved_are_two_deliveries_and_each_repeated_one_is_none(opened: Any, tmp_path: Path) -> None:
    """Alertmanager has no delivery ids: the same content is the same delivery."""
    firing, resolved = ({"status": s, "version": "4", "alerts": [{"status": s}]} for s in ("firing", "resolved"))

    answers = posted(opened("alertmanager"), bearer("alertmanager", firing)) + posted(
        opened("alertmanager"), bearer("alertmanager", resolved), bearer("alertmanager", firing)
    )

    assert [a.json()["status"] for a in answers] == ["stored", "stored", "known"]
    assert {e.event for e in stored(tmp_path, "incidents")} == {"firing", "resolved"}


@pytest.mark.parametrize(
    ("type_", "source"),
    [("dev.cdevents.service.deployed.0.3.0", "deployments"), ("dev.cdevents.incident.detected.0.1.0", "incidents")],
)
def test_cloudevents_come_in_binary_structured_and_batch_mode(
    opened: Any, tmp_path: Path, type_: str, source: str
) -> None:
    """One event in three forms is one event: its source and id say so."""
    event = {"context": {"id": "e-1", "source": "/s", "type": type_}, "subject": {"id": "x"}}
    cloud = {"specversion": "1.0", "id": "e-1", "source": "/s", "type": type_, "data": event}
    sender, body, headers = bearer("cloudevents", event)
    binary = (sender, body, {**headers, "ce-id": "e-1", "ce-source": "/s", "ce-type": type_, "ce-specversion": "1.0"})
    other = {**cloud, "id": "e-2"}
    unused = {**cloud, "id": "e-3", "type": "dev.cdevents.build.started.0.3.0"}

    webhooks = opened("cloudevents")
    answers = posted(webhooks, binary) + posted(webhooks, bearer("cloudevents", cloud))
    answers += posted(webhooks, bearer("cloudevents", [cloud, other, unused]))

    assert [a.json()["status"] for a in answers] == ["stored", "known", "known, stored, unused"]
    assert [e.delivery for e in stored(tmp_path, source)] == ["/s e-1", "/s e-2"]
    assert webhooks.values()[WEBHOOKS] == {
        ("cloudevents", "duplicate"): 2,
        ("cloudevents", "accepted"): 2,
        ("cloudevents", "unused"): 1,
    }


def test_gitlabs_recursive_webhooks_share_a_uuid_and_are_told_apart(opened: Any) -> None:
    headers = {"X-Gitlab-Token": SECRET.decode(), "X-Gitlab-Event-UUID": "u", "X-Gitlab-Event": "Job Hook"}
    bodies = [json.dumps({"object_kind": "build", "build_id": n}).encode() for n in (1, 2, 1)]

    webhooks = opened("gitlab")
    answers = [answer for body in bodies for answer in posted(webhooks, ("gitlab", body, headers))]

    assert [a.json()["status"] for a in answers] == ["stored", "stored", "known"]


class FullDisk:
    """Segments that cannot store."""

    def put(self, _record: bytes) -> "Future[None]":
        """Fail as a full disk does."""
        future: Future[None] = Future()
        future.set_exception(InboxUnwritable("it could not be stored: No space left on device"))
        return future


def test_a_disk_with_too_little_room_left_asks_the_sender_to_come_again(tmp_path: Path) -> None:
    """The room is for the pipeline that drains the inbox, as with OTLP; the reserve is one that no disk has."""
    webhooks = Webhooks({"github": (SECRET,)}, tmp_path, now=lambda: NOW, min_free_bytes=2**60)

    (answer,) = posted(webhooks, github(RUN))
    problem, counted = webhooks.problem, webhooks.values()
    webhooks.close()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "would be left on the disk" in answer.json()["status"]
    assert "would be left on the disk" in problem
    assert counted[WEBHOOKS] == {("github", "unavailable"): 1}
    assert counted[WEBHOOKS_WRITABLE]["github_actions",] == 0


def test_a_full_disk_asks_the_sender_to_come_again_and_forgets_nothing(opened: Any, tmp_path: Path) -> None:
    webhooks = opened("github")
    kept = webhooks._segments["github_actions"]
    webhooks._segments["github_actions"] = FullDisk()

    refused = posted(webhooks, github(RUN))
    webhooks._segments["github_actions"] = kept
    taken = posted(webhooks, github(RUN))

    assert (refused[0].status_code, refused[0].headers["Retry-After"]) == (503, "5")
    assert taken[0].json() == {"status": "stored"}
    assert len(stored(tmp_path, "github_actions")) == 1


def test_ids_are_bounded_and_a_torn_one_is_no_id(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    ids = Deliveries(path, kept=10)
    for n in range(100):
        ids.add(("github", str(n)))
    path.write_bytes(path.read_bytes()[:-7])

    again = Deliveries(path, kept=10)
    again.add(("github", "new"))

    assert ("github", "98") in again
    assert ("github", "99") not in again
    assert ("github", "0") not in again
    assert ("github", "new") in Deliveries(path, kept=10)
    assert path.stat().st_size < 21 * 33


def deployment(folder: Path, text: str) -> Any:
    (folder / "weaver-forge.toml").write_text(text)
    return load(folder)


def test_secrets_come_from_files_and_variables_several_a_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_TEST_TOKEN", "t-1")
    (tmp_path / "github").write_text("old\n\n new \n")
    settings = deployment(
        tmp_path, '[webhooks.github]\nsecret_file = "github"\n[webhooks.flux]\nsecret_env = "FORGE_TEST_TOKEN"\n'
    )

    assert secrets_of(settings) == {"github": (b"old", b"new"), "flux": (b"t-1",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[webhooks.bitbucket]\nsecret_env = "X"', "no such sender"),
        ('[webhooks.github]\nsecret = "s3cr3t"', "not understood"),
        ("[webhooks.github]", "not understood"),
        ('[webhooks]\ngithub = "s3cr3t"', "not understood"),
        ('[webhooks.github]\nsecret_env = "FORGE_NOT_SET"', "is not set"),
        ('[webhooks.github]\nsecret_file = "absent"', "cannot be read"),
        ('[webhooks.github]\nsecret_file = "empty"', "is empty"),
    ],
)
def test_a_secret_that_is_not_there_stops_the_start_and_is_never_shown(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(ConfigurationError, match=said) as caught:
        secrets_of(deployment(tmp_path, text))

    assert "s3cr3t" not in str(caught.value)
