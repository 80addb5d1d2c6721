"""Signatures of webhooks: the senders' own test vectors pass, everything else is refused and nothing crashes."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

import pytest

from weaver_forge.receivers.signatures import CHECKS, standard

NOW = datetime(2026, 3, 1, 12)
BODY = b"Hello, World!"
SECRET = b"It's a Secret to Everybody"
VECTOR = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def standard_headers(secret: bytes, body: bytes, at: datetime, message_id: str = "msg_1") -> dict[str, str]:
    stamp = str(int((at - datetime(1970, 1, 1)).total_seconds()))
    signature = base64.b64encode(hmac.digest(secret, f"{message_id}.{stamp}.".encode() + body, "sha256")).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def genuine(sender: str, secret: bytes = SECRET, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.digest(secret, body, "sha256").hex()
    return {
        "github": {"x-hub-signature-256": f"sha256={digest}"},
        "gitlab": {"x-gitlab-token": secret.decode()},
        "flux": {"x-signature": f"sha512={hmac.digest(secret, body, 'sha512').hex()}"},
        "pagerduty": {"x-pagerduty-signature": f"v1={'0' * 64},v1={digest}"},
        "alertmanager": {"authorization": f"Bearer {secret.decode()}"},
        "argocd": {"authorization": f"bearer {secret.decode()}"},
        "cloudevents": standard_headers(secret, body, NOW),
    }[sender]


def test_githubs_published_vector_passes() -> None:
    assert CHECKS["github"]([SECRET], {"x-hub-signature-256": f"sha256={VECTOR}"}, BODY, NOW)


def test_standard_webhooks_published_vector_passes() -> None:
    """The example of the specification's own libraries."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime(1970, 1, 1) + timedelta(seconds=1614265330)

    assert standard([b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], headers, b'{"test": 2432232314}', at)


@pytest.mark.parametrize("sender", CHECKS)
def test_either_of_two_secrets_holds_while_one_is_exchanged(sender: str) -> None:
    assert CHECKS[sender]([b"new", SECRET], genuine(sender), BODY, NOW)
    assert CHECKS[sender]([SECRET, b"new"], genuine(sender, b"new"), BODY, NOW)


@pytest.mark.parametrize("sender", CHECKS)
def test_a_wrong_secret_no_secret_or_no_header_is_refused(sender: str) -> None:
    assert not CHECKS[sender]([b"another"], genuine(sender), BODY, NOW)
    assert not CHECKS[sender]([], genuine(sender), BODY, NOW)
    assert not CHECKS[sender]([b""], genuine(sender, b""), BODY, NOW)
    assert not CHECKS[sender]([SECRET], {}, BODY, NOW)


@pytest.mark.parametrize("sender", ["github", "flux", "pagerduty", "cloudevents"])
def test_another_body_is_refused(sender: str) -> None:
    assert not CHECKS[sender]([SECRET], genuine(sender), BODY + b" ", NOW)


@pytest.mark.parametrize("sender", CHECKS)
@pytest.mark.parametrize(
    "value",
    ["", "=", ",", " ", "v1", "v1,", "v1=", "sha256", "sha256=", "Bearer", "Bearer ", "\udcff", "é" * 64, "=" * 9],
)
def test_a_malformed_header_is_refused_and_nothing_crashes(sender: str, value: str) -> None:
    headers = dict.fromkeys(genuine(sender), value)

    assert not CHECKS[sender]([SECRET], headers, BODY, NOW)


def test_an_algorithm_that_proves_nothing_is_refused() -> None:
    for name, digest in (("sha1", hashlib.sha1), ("md5", hashlib.md5)):
        made = hmac.new(SECRET, BODY, digest).hexdigest()

        assert not CHECKS["flux"]([SECRET], {"x-signature": f"{name}={made}"}, BODY, NOW)
        assert not CHECKS["github"]([SECRET], {"x-hub-signature-256": f"{name}={made}"}, BODY, NOW)


@pytest.mark.parametrize(("age", "holds"), [(0, True), (299, True), (301, False), (-299, True), (-301, False)])
def test_a_message_of_another_time_is_a_replay(age: int, holds: bool) -> None:
    headers = standard_headers(SECRET, BODY, NOW - timedelta(seconds=age))

    assert standard([SECRET], headers, BODY, NOW) is holds


def test_a_malformed_signature_does_not_hide_a_genuine_one() -> None:
    headers = standard_headers(SECRET, BODY, NOW)
    headers["webhook-signature"] = f"v1,%%% v2,x v1 {headers['webhook-signature']}"

    assert standard([SECRET], headers, BODY, NOW)


def test_a_signed_cloudevent_cannot_fall_back_to_bearer() -> None:
    headers = {"webhook-signature": "v1,wrong", "authorization": f"Bearer {SECRET.decode()}"}

    assert not CHECKS["cloudevents"]([SECRET], headers, BODY, NOW)
