"""What the headers of a code host's answer say: how long to wait, what to ask next, what was refused and why.

Pure reading of one answer. Waiting and asking again belong in ``rest``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from weaver_forge.errors import SourceError

_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')
_SECONDARY_S = 60.0
"""GitHub's advice for a secondary limit that names no time: at least a minute, and longer each time."""
_SLACK_S = 1.0
"""Resets are told in whole seconds."""


class Absent(SourceError):  # noqa: N818 - says what the thing is
    """The server does not have it (any more), or does not show it to this token."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def following(reply: Reply) -> str | None:
    """Address of the next page, from the Link header; None on the last one."""
    match = _NEXT.search(reply.headers.get("link", ""))
    return match[1] if match else None


def limit_wait(reply: Reply, now: datetime, nth: int) -> float | None:
    """Seconds until the server will answer again; None when it did not refuse for a rate limit.

    GitHub says 403 or 429: with Retry-After, or with ``x-ratelimit-remaining: 0`` and a reset, or (a secondary
    limit) with neither. GitLab says 429 with Retry-After or RateLimit-Reset. A 503 may carry Retry-After too.

    Args:
        reply: The refusal.
        now: The current instant, naive UTC.
        nth: How often this request was refused for a limit before.
    """
    headers = reply.headers
    if reply.status not in {403, 429, 503}:
        return None
    if (after := _retry_after(headers.get("retry-after", ""), now)) is not None:
        return after
    if reply.status == 503:
        return None
    remaining = headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining"))
    reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
    if reset.isdigit() and (remaining == "0" or (reply.status == 429 and remaining is None)):
        return max(0.0, int(reset) - now.replace(tzinfo=UTC).timestamp()) + _SLACK_S
    if reply.status == 429 or b"rate limit" in reply.body.lower():
        return _SECONDARY_S * 2.0**nth
    return None


def refused(reply: Reply, url: str) -> SourceError:
    """Say why the server will not answer, and what mends it."""
    advice = {
        401: "The token is not valid (any more): make a new one",
        403: "The token may not read this: give it read access to actions and deployments (GitLab: read_api)",
        404: "Check the repository's name; a private one is not found without a token that may read it",
    }
    said = " ".join(reply.body[:300].decode("utf-8", "replace").split())
    what = f"refused with status {reply.status}" + (f": {said}" if said else "")
    kind = Absent if reply.status in {404, 410} else SourceError
    return kind(what, where=url, do=advice.get(reply.status, "Check the api address and the server"))


def _retry_after(value: str, now: datetime) -> float | None:
    """Read Retry-After: seconds, or a date."""
    if value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - now.replace(tzinfo=UTC)).total_seconds())
