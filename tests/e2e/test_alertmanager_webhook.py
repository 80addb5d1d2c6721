"""A real Alertmanager tells the receiver that an alert fires and that it is over: one incident, begun and ended."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from weaver_forge.contracts.tables.operations import RAW_INCIDENTS_EVENTS
from weaver_forge.decode import incidents
from weaver_forge.links.operations import core_incidents
from weaver_forge.sources.files import read_frames

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Alertmanager here (Debian: apt-get install prometheus-alertmanager)"
)
TOKEN = "a-token-that-only-this-test-knows"
WAIT_S = 30.0


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A receiver in a process of its own: its inbox and its address."""
    home = tmp_path / "deployment"
    home.mkdir()
    (home / "token").write_text(f"an-older-one\n{TOKEN}\n")
    (home / "weaver-forge.toml").write_text('[webhooks.alertmanager]\nsecret_file = "token"\n')
    command = [sys.executable, "-m", "weaver_forge", "serve", "--http-port", "0", "--no-grpc", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEAVER_FORGE_")}  # noqa: TID251 - a clean one for the child
    with _running(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        where = ""
        while "}" not in where:
            line = process.stdout.readline()
            assert line, "the receiver ended before it listened"
            where += line
        yield home / "data" / "inbox" / "incidents", json.loads(where)["http"]


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: tuple[Path, str]) -> Iterator[str]:
    """An Alertmanager that tells the receiver; its own address."""
    config = tmp_path / "alertmanager.json"  # JSON is YAML
    hook = {
        "url": f"{receiver[1]}/webhooks/alertmanager",
        "send_resolved": True,
        "http_config": {"authorization": {"credentials": TOKEN}},
    }
    route = {"receiver": "forge", "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    config.write_text(json.dumps({"route": route, "receivers": [{"name": "forge", "webhook_configs": [hook]}]}))
    address = f"127.0.0.1:{_free_port()}"
    command = [
        str(PROGRAM),
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with _running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        _until(lambda: _is_up(f"http://{address}/-/ready"), "Alertmanager answers")
        yield f"http://{address}"


def test_an_alert_that_fires_and_is_over_is_one_incident_with_both_times(
    receiver: tuple[Path, str], alertmanager: str
) -> None:
    inbox, _ = receiver
    started = _now() - timedelta(minutes=3)
    alert = {
        "labels": {"alertname": "CartsSlow", "service": "cart", "namespace": "shop", "env": "prod", "severity": "page"},
        "annotations": {"summary": "carts are slow"},
        "startsAt": started.isoformat(),
    }

    _tell(alertmanager, alert | {"endsAt": (_now() + timedelta(hours=1)).isoformat()})
    _until(lambda: [row["state"] for row in _reports(inbox)] == ["open"], "the firing alert is in the inbox")
    ended = _now()
    _tell(alertmanager, alert | {"endsAt": ended.isoformat()})
    _until(lambda: len(_reports(inbox)) == 2, "its end is in the inbox")

    (row,) = core_incidents(_raw(inbox)).rows(named=True)
    assert (row["service_key"], row["severity"], row["title"]) == ("shop/cart/prod", "critical", "carts are slow")
    assert abs(row["started_at"] - started.replace(tzinfo=None)) < timedelta(milliseconds=1)
    assert abs(row["resolved_at"] - ended.replace(tzinfo=None)) < timedelta(milliseconds=1)


def test_an_alertmanager_with_another_token_is_refused(receiver: tuple[Path, str]) -> None:
    inbox, address = receiver

    answer = httpx.post(
        f"{address}/webhooks/alertmanager", json={"alerts": []}, headers={"Authorization": "Bearer guess"}
    )

    assert answer.status_code == 401
    assert _reports(inbox) == []


def _raw(inbox: Path) -> Any:
    """What the decoder makes of all that lies there: sealed files, and the growing one that only the receiver sees."""
    frames = [frame for path in sorted((inbox / "received").glob("*")) for frame in _read(path)]
    return incidents.decode(frames).tables[RAW_INCIDENTS_EVENTS.name]


def _read(path: Path) -> list[Any]:
    with suppress(OSError):  # sealed under another name just now
        return [frame for frame in read_frames(path) if frame.data]
    return []


def _reports(inbox: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _raw(inbox).rows(named=True)
    return rows


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - Alertmanager goes by the real clock


def _tell(alertmanager: str, alert: dict[str, Any]) -> None:
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert]).raise_for_status()


def _is_up(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def _until(holds: Any, what: str) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {WAIT_S} s: {what}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], **options: Any) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
