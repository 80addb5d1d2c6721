"""``/metrics`` keeps to Prometheus's text format and its rules for names, whatever has been counted."""

import asyncio
import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from weaver_forge.decode.envelope import SENDERS
from weaver_forge.receivers import health, otlp_http
from weaver_forge.receivers.app import application
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.otlp_intake import Limits, OtlpIntake
from weaver_forge.receivers.webhooks import Webhooks

SECRET = b"known"
TOKEN = {"Authorization": "Bearer t"}
RUN = b'{"workflow_run":{"id":1}}'
OTLP = {"Content-Type": "application/x-protobuf"} | TOKEN
NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[a-zA-Z_][a-zA-Z0-9_]*"
VALUE = r'"(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}={VALUE})(?:,{LABEL}={VALUE})*)?\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)\Z")
UNITS = ("_bytes", "_seconds", "_ratio")

Found = dict[str, dict[tuple[tuple[str, str], ...], float]]


def parsed(text: str) -> tuple[dict[str, str], Found]:
    """Types and samples of an exposition.

    Raises:
        AssertionError: If a line, or the order of lines, breaks the format.
    """
    assert text.endswith("\n")
    types: dict[str, str] = {}
    helped: list[str] = []
    found: Found = {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, about = line[7:].split(" ", 1)
            assert re.fullmatch(NAME, name)
            assert name not in helped, f"{name} is described twice"
            assert about
            helped.append(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert helped[-1] == name, "its help stands before it"
            assert name not in types
            assert kind in {"counter", "gauge"}
            types[name] = kind
            found[name] = {}
        else:
            sample = SAMPLE.match(line)
            assert sample, f"no sample: {line}"
            name, inside, value = sample.groups()
            assert list(types)[-1] == name, "the samples of a metric stand together, after its type"
            labels = tuple((key, said[1:-1]) for key, said in re.findall(rf"({LABEL})=({VALUE})", inside or ""))
            assert len({key for key, _ in labels}) == len(labels)
            assert labels not in found[name], f"twice: {line}"
            found[name][labels] = float(value)
    return types, found


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[OtlpIntake, Webhooks]]:
    now = datetime(2026, 3, 1)
    intake = OtlpIntake(tmp_path / "otlp" / "received", Limits(message=1000, free=0), lambda: now)
    webhooks = Webhooks({"github": (SECRET,)}, tmp_path, now=lambda: now)
    yield intake, webhooks
    intake.close()
    webhooks.close()


def scraped(parts: Any, *requests: tuple[str, bytes, dict[str, str]]) -> str:
    """What is exposed after these requests."""
    intake, webhooks = parts
    routes = [*otlp_http.routes(intake), *webhooks.routes, *health.routes(parts)]
    app = application(routes, tokens=Tokens(("t",)), budget=Budget(5000))

    async def run() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://forge") as client:
            for path, body, headers in requests:
                await client.post(path, content=body, headers=headers)
            answer = await client.get("/metrics", headers=TOKEN)
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.text

    return asyncio.run(run())


def github(
    body: bytes = RUN, *, event: str = "workflow_run", secret: bytes = SECRET
) -> tuple[str, bytes, dict[str, str]]:
    signature = f"sha256={hmac.digest(secret, body, 'sha256').hex()}"
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": "d-1", "X-Hub-Signature-256": signature}
    return "/webhooks/github", body, headers


def test_it_keeps_to_the_format_and_to_the_rules_for_names(parts: Any) -> None:
    types, found = parsed(scraped(parts, ("/v1/traces", b"bad", OTLP), github()))

    assert found.keys() == types.keys()
    for name, kind in types.items():
        assert name.startswith("weaver_forge_receiver_")
        assert name.endswith("_total") == (kind == "counter")
        assert not name.endswith(("_count", "_sum", "_bucket", "_info"))
        assert not re.search(r"milli|kilo|mega|_(ms|kb|mib|minutes)(_|$)", name), "base units only"
        assert "bytes" not in name or name.removesuffix("_total").endswith(UNITS), "the unit stands last"
        assert all(value >= 0 for value in found[name].values())


def test_nothing_counted_yet_keeps_to_the_format_too(parts: Any) -> None:
    types, found = parsed(scraped(parts))

    assert found["weaver_forge_receiver_webhooks_total"] == {}
    assert {"weaver_forge_receiver_requests_total", "weaver_forge_receiver_inbox_writable"} <= types.keys()


def test_webhooks_are_counted_by_sender_and_outcome(parts: Any) -> None:
    requests = [
        github(),
        github(),
        github(event="star"),
        github(secret=b"wrong"),
        github(b"[]"),
        github(bytes(25_000_001)),
        ("/webhooks/github", RUN, {"Content-Encoding": "gzip"}),
        ("/webhooks/flux", b"{}", {}),
    ]

    _, found = parsed(scraped(parts, *requests))

    counted = {tuple(v for _, v in labels): n for labels, n in found["weaver_forge_receiver_webhooks_total"].items()}
    outcomes = ("accepted", "duplicate", "unused", "unauthorized", "bad_data", "too_large", "unsupported")
    assert counted == {("github", outcome): 1 for outcome in outcomes} | {("flux", "off"): 1}
    assert {sender for sender, _ in counted} <= set(SENDERS)


def test_requests_that_the_server_refuses_itself_are_counted_too(parts: Any) -> None:
    requests = [
        ("/v1/traces", b"", {"Content-Type": "application/x-protobuf"}),
        ("/v1/logs", bytes(1001), OTLP),
        ("/v1/metrics", b"", TOKEN),
    ]

    _, found = parsed(scraped(parts, *requests))

    counted = {tuple(v for _, v in labels): n for labels, n in found["weaver_forge_receiver_requests_total"].items()}
    assert counted == {
        ("http", "traces", "unauthorized"): 1,
        ("http", "logs", "too_large"): 1,
        ("http", "metrics", "unsupported"): 1,
    }
