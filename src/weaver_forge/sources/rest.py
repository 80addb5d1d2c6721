"""A patient, polite HTTP client for the REST APIs of code hosts: what every importer of one shares.

Conditional requests, waiting out rate limits within a bound, retries with backoff and jitter. What an answer's
headers mean is read in ``rest_limits``; what is asked for belongs in ``github`` and ``gitlab``; what was fetched is
remembered in ``fetched``. Sleeping and chance are arguments, so that a test takes no time and no luck.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx
import msgspec

from weaver_forge.errors import SourceError
from weaver_forge.sources.rest_limits import Reply, following, limit_wait, refused

MAX_BYTES = 64 * 1024**2
"""A larger answer is refused: a page of a hundred runs is about two megabytes."""

_USABLE = frozenset({200, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much an importer bears before it gives up; what it has fetched by then is kept.

    Args:
        tries: Attempts at one request that fails by itself (no connection, no answer in time, 5xx).
        first_backoff_s: Wait before the second attempt; it doubles from there, with up to as much chance on top.
        longest_backoff_s: Where the doubling ends.
        limit_wait_s: Seconds that all waits for rate limits may take together; GitHub's resets within an hour.
        timeout_s: Seconds for connecting, and between two pieces of an answer.
    """

    tries: int = 6
    first_backoff_s: float = 1.0
    longest_backoff_s: float = 60.0
    limit_wait_s: float = 3900.0
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A page.

    Args:
        data: Its JSON; None when it has not changed since the ETag that was given.
        raw: The same as it came.
        etag: What to name it by when it is asked for again; empty when the server gave no name.
        following: Address of the next page; None on the last one, and for a page that has not changed.
    """

    data: Any
    raw: bytes
    etag: str
    following: str | None


@dataclass(slots=True)
class Counts:
    """What a conversation has cost so far."""

    requests: int = 0
    unchanged: int = 0
    retried: int = 0
    waited_s: float = 0.0


@dataclass(slots=True)
class Rest:
    """A conversation with one server. Use as a context manager.

    Args:
        base: Address that paths are relative to, e.g. ``https://api.github.com``.
        headers: Sent with every request; the token among them.
        now: Gives the current instant, naive UTC: a reset is told as a point in time.
        patience: How much is borne.
        sleep: Waits so many seconds.
        chance: Gives a number from 0 up to 1, for jitter.
    """

    base: str
    headers: Mapping[str, str] = field(repr=False)  # a token is shown nowhere
    now: Callable[[], datetime]
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random  # noqa: S311 - jitter, no secret
    counts: Counts = field(default_factory=Counts)
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Make the connection pool; nothing is sent yet."""
        self.base = self.base.rstrip("/")
        # Redirects are followed (a repository was renamed); httpx keeps the token from other hosts.
        self._client = httpx.Client(headers=dict(self.headers), timeout=self.patience.timeout_s, follow_redirects=True)

    def __enter__(self) -> Self:
        """Give the conversation."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, address: str, etag: str = "") -> Answer:
        """Fetch one page.

        Args:
            address: A path below the base with its query, or the absolute address of a next page.
            etag: The name of the page when it was last read; an unchanged one is not sent again.

        Raises:
            SourceError: If the server refuses, or gives no usable answer within what patience allows.
        """
        url = self._absolute(address)
        failures, limited = 0, 0
        while True:
            reply = self._attempt(url, etag)
            if isinstance(reply, Reply):
                if reply.status in _USABLE:
                    try:
                        return self._answer(reply)
                    except msgspec.DecodeError as error:
                        reply = f"no valid JSON: {error}"
                elif (wait := limit_wait(reply, self.now(), limited)) is not None:
                    limited += 1
                    self._wait_for_limit(wait, url)
                    continue
                elif reply.status >= 500:
                    reply = f"status {reply.status}"
                else:
                    raise refused(reply, url)
            failures += 1
            self._back_off(failures, reply, url)

    def _absolute(self, address: str) -> str:
        url = address if "://" in address else f"{self.base}/{address.lstrip('/')}"
        if not url.startswith(f"{self.base}/"):
            # The token goes nowhere but to the server it was given for.
            raise SourceError(f"it links to another place: {url}", where=self.base, do="Check the api address")
        return url

    def _attempt(self, url: str, etag: str) -> Reply | str:
        """Ask once; a failure on the way there or back is given in words."""
        self.counts.requests += 1
        try:
            with self._client.stream("GET", url, headers={"If-None-Match": etag} if etag else None) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise SourceError(f"an answer above {MAX_BYTES:,} bytes", where=url, do="Check the api address")
                return Reply(response.status_code, dict(response.headers), bytes(body))
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise SourceError(str(error), where=url, do="Check the api address and the token") from error
        except httpx.TransportError as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # endless redirects, a broken encoding: no use in retrying
            raise SourceError(f"{type(error).__name__}: {error}", where=url, do="Check the api address") from error

    def _answer(self, reply: Reply) -> Answer:
        etag = reply.headers.get("etag", "")
        if reply.status == 304:
            self.counts.unchanged += 1
            return Answer(None, b"", etag, None)
        return Answer(msgspec.json.decode(reply.body), reply.body, etag, following(reply))

    def _back_off(self, failures: int, what: str, url: str) -> None:
        if failures >= self.patience.tries:
            raise SourceError(
                f"no usable answer in {failures} attempts, the last one: {what}",
                where=url,
                do="Check the network and the server, then run it again: it goes on where it stopped",
            )
        wait = min(self.patience.first_backoff_s * 2.0 ** (failures - 1), self.patience.longest_backoff_s)
        self.counts.retried += 1
        self.sleep(wait * (1 + self.chance()))

    def _wait_for_limit(self, wait: float, url: str) -> None:
        if self.counts.waited_s + wait > self.patience.limit_wait_s:
            raise SourceError(
                f"the rate limit asks for {wait:.0f} s more than the {self.counts.waited_s:.0f} s waited already,"
                f" above the {self.patience.limit_wait_s:.0f} s allowed",
                where=url,
                do="Run it again later: it goes on where it stopped; with a token the limit is much higher",
            )
        self.counts.waited_s += wait
        self.sleep(wait)
