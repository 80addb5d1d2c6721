"""Is a webhook from whom it says? One check a sender, over the raw bytes, in constant time.

Put here pure functions of (secrets, headers, raw body, now). Which endpoint uses which, and what happens to a
delivery that passes, is in ``webhooks``; bearer tokens of OTLP are in ``auth``.

Several secrets may hold at once, so that one can be exchanged without losing a delivery. A missing or malformed
header is a refusal and never an error: whoever is not known must not be able to make a server fail.

====================  ======================  ==================================================
sender                header                  value
====================  ======================  ==================================================
GitHub                X-Hub-Signature-256     ``sha256=<hex hmac(body)>``
GitLab                X-Gitlab-Token          the secret
Flux                  X-Signature             ``sha256|sha384|sha512=<hex hmac(body)>``
PagerDuty             X-PagerDuty-Signature   ``v1=<hex>[,v1=<hex>]``, HMAC-SHA256 of the body
Standard Webhooks     webhook-signature       ``v1,<base64>[ v1,<base64>]`` of ``id.timestamp.body``
Alertmanager, Argo    Authorization           ``Bearer <secret>``
====================  ======================  ==================================================
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(minutes=5)
"""How far the time of a Standard Webhooks message may be from ours; an older one may be a replay."""

_ALGORITHMS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
"""What a header may name; SHA-1 and MD5, which Flux could be set to as well, are no proof any more."""
_MOST_SIGNATURES = 16
"""More in one header are not looked at: each costs a comparison with every secret."""

Check = Callable[[Sequence[bytes], Mapping[str, str], bytes, datetime], bool]
"""(secrets, headers with lower-case names, raw body, now as naive UTC) -> is it genuine?"""


def github(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, _now: datetime) -> bool:
    """Check ``X-Hub-Signature-256``. The older ``X-Hub-Signature``, which is SHA-1, counts for nothing."""
    algorithm, _, found = headers.get("x-hub-signature-256", "").partition("=")
    return algorithm == "sha256" and _any_same(_digests(secrets, body, "sha256"), [found])


def gitlab(secrets: Sequence[bytes], headers: Mapping[str, str], _body: bytes, _now: datetime) -> bool:
    """Check ``X-Gitlab-Token``, which is the secret itself."""
    return _any_same(secrets, [headers.get("x-gitlab-token", "")])


def flux(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, _now: datetime) -> bool:
    """Check ``X-Signature`` of a ``generic-hmac`` provider; the header names one of the allowed algorithms."""
    algorithm, _, found = headers.get("x-signature", "").partition("=")
    return algorithm in _ALGORITHMS and _any_same(_digests(secrets, body, algorithm), [found])


def pagerduty(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, _now: datetime) -> bool:
    """Check ``X-PagerDuty-Signature``: a list while the sender exchanges its secret."""
    items = headers.get("x-pagerduty-signature", "").split(",")[:_MOST_SIGNATURES]
    found = [value for version, _, value in (item.strip().partition("=") for item in items) if version == "v1"]
    return _any_same(_digests(secrets, body, "sha256"), found)


def standard(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Check the three ``webhook-`` headers; a secret that starts with ``whsec_`` is base64 behind that."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not _is_near(timestamp, now):
        return False
    items = headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]
    found = [value for version, _, value in (item.partition(",") for item in items) if version == "v1"]
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [key for secret in secrets if (key := _key(secret))]
    right = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    return _any_same(right, found)


def bearer(secrets: Sequence[bytes], headers: Mapping[str, str], _body: bytes, _now: datetime) -> bool:
    """Check ``Authorization: Bearer <secret>``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _any_same(secrets, [token.strip()])


def standard_or_bearer(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """For senders of CloudEvents, which have no scheme of their own: signed where there is a signature, else bearer."""
    return (standard if "webhook-signature" in headers else bearer)(secrets, headers, body, now)


CHECKS: Mapping[str, Check] = {
    "github": github,
    "gitlab": gitlab,
    "flux": flux,
    "pagerduty": pagerduty,
    "alertmanager": bearer,
    "argocd": bearer,
    "cloudevents": standard_or_bearer,
}
"""Sender -> its check."""


def _digests(secrets: Sequence[bytes], body: bytes, algorithm: str) -> list[bytes]:
    return [hmac.digest(secret, body, algorithm).hex().encode() for secret in secrets if secret]


def _any_same(right: Iterable[bytes], found: Iterable[str]) -> bool:
    """Whether one of the found texts is one of the right ones; takes as long for every wrong text."""
    # Headers are latin-1 text of the bytes that were sent.
    texts = [text.encode("latin-1", "backslashreplace") for text in found if text]
    same = False
    for value in right:
        for text in texts:
            same |= bool(value) and hmac.compare_digest(value, text)
    return same


def _is_near(timestamp: str, now: datetime) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now.replace(tzinfo=UTC).timestamp() - int(timestamp)) <= TOLERANCE.total_seconds()


def _key(secret: bytes) -> bytes:
    if not secret.startswith(b"whsec_"):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        return b""
