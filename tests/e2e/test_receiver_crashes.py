"""What happens to what was acknowledged when the receiver is killed, the disk is full, or somebody sends a bomb."""

import gzip
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import psutil
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from weaver_forge.settings import environment_with
from weaver_forge.testing.otlp_load import requests
from weaver_forge.testing.receiver import Receiver, framed

KILLS = 20
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what must be refused without a token

pytestmark = pytest.mark.e2e


def post(url: str, body: bytes, path: str = "/v1/traces", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send one request over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/x-protobuf"} | headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def points() -> bytes:
    """A request with one good data point."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.gauge.data_points.add(as_int=3, time_unix_nano=10**18)
    return bytes(request.SerializeToString())


def records() -> bytes:
    """A request with one good log record."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=10**18).body.string_value = "ready"
    return bytes(request.SerializeToString())


def test_a_kill_at_any_point_loses_nothing_acknowledged_and_stores_nothing_twice(tmp_path: Path) -> None:
    """Four senders without retries; the receiver is killed at random points and started again.

    Every acknowledged request is there once. A request that was cut off is there once or not at all.
    """
    chance = random.Random(20260301)  # noqa: S311 - chance, repeatable
    acknowledged: list[bytes] = []
    sent: list[bytes] = []
    is_done = threading.Event()

    def send(number: int) -> None:
        made = iter(requests(20_000, batch=3, seed=number))
        while not is_done.is_set():
            body = next(made)
            sent.append(body)
            try:
                if post(receiver.url, body)[0] == 200:
                    acknowledged.append(body)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    # Small files, so that kills fall into sealing too.
    with Receiver(
        tmp_path / "forge", "--no-grpc", settings="[receiver]\nmax_file_mib = 1\nmax_file_age_s = 1\n"
    ) as receiver:
        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.4))
            receiver.kill()
            receiver.restart()
        time.sleep(0.3)
        is_done.set()
        for sender in senders:
            sender.join()
        assert receiver.stop() == 0
        stored = receiver.messages()

    assert len(acknowledged) > KILLS
    assert len(stored) == len(set(stored)), "stored twice"
    assert set(acknowledged) <= set(stored), "lost"
    assert set(stored) <= set(sent), "never sent"
    assert [path.name for path in receiver.folder.iterdir() if path.name.startswith(".")] == []


def test_a_bomb_is_refused_without_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(2**30), 9)
    with Receiver(tmp_path / "forge") as receiver:
        process = psutil.Process(receiver.process.pid)
        post(receiver.url, requests(1)[0])
        before = process.memory_info().rss
        peak = [before]
        answers: list[tuple[int, bytes]] = []

        def attack() -> None:
            status, _, body = post(receiver.url, bomb, **{"Content-Encoding": "gzip"})
            answers.append((status, body[:2]))

        attackers = [threading.Thread(target=attack) for _ in range(6)]
        for attacker in attackers:
            attacker.start()
        while any(attacker.is_alive() for attacker in attackers):
            peak.append(process.memory_info().rss)
            time.sleep(0.01)
        with grpc.insecure_channel(receiver.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(TRACES)(bomb, timeout=30)
        peak.append(process.memory_info().rss)

        assert answers == [(413, b"\x08\x08")] * 6
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(refused.value.trailing_metadata())
        assert max(peak) - before < 320 * 2**20, "two bodies at a time, at most twice 64 MiB each, and nothing else"
        assert post(receiver.url, requests(1)[0])[0] == 200


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_what_grpc_senders_are_told(tmp_path: Path, code: str) -> None:
    """Only what may succeed later carries RetryInfo."""
    body = {"INVALID_ARGUMENT": b"bad", "UNAVAILABLE": requests(1)[0], "RESOURCE_EXHAUSTED": bytes(2 * 2**20)}[code]
    settings = "[receiver]\nmax_request_mib = 1\n" + ("min_free_mib = 1000000000\n" if code == "UNAVAILABLE" else "")
    with (
        Receiver(tmp_path / "forge", settings=settings) as receiver,
        grpc.insecure_channel(receiver.grpc) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        channel.unary_unary(TRACES)(body, timeout=30)

    details = dict(refused.value.trailing_metadata()).get("grpc-status-details-bin", b"")
    assert refused.value.code().name == code
    assert (b"RetryInfo" in details) == (code == "UNAVAILABLE")


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_grpc_takes_the_other_signals_too(tmp_path: Path, signal: str) -> None:
    """Each under its own service; an empty answer is full success."""
    bodies = {"metrics": points(), "logs": records()}
    name = signal.title()
    method = f"/opentelemetry.proto.collector.{signal}.v1.{name}Service/Export"
    with Receiver(tmp_path / "forge") as receiver, grpc.insecure_channel(receiver.grpc) as channel:
        answer = channel.unary_unary(method)(bodies[signal], timeout=30)

        assert answer == b""
        assert receiver.messages(signal) == [bodies[signal]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    """503 while it is full; what was acknowledged before and after is there, whole, and nothing torn in between."""
    made = requests(40)
    with Receiver(small_disk / "forge", "--no-grpc", settings="[receiver]\nmin_free_mib = 0\n") as receiver:
        answers = [(body, *post(receiver.url, body)) for body in made[:30]]
        filler = small_disk / "filler"
        while True:
            try:
                with filler.open("ab") as file:
                    file.write(bytes(65536))
            except OSError:
                break
        full = post(receiver.url, made[30])
        ready_when_full = _ready(receiver.url)
        filler.unlink()
        for path in receiver.folder.iterdir():
            if not path.name.startswith("."):
                answers = [answer for answer in answers if answer[0] not in set(framed(path))]
                path.unlink()
        after = [(body, *post(receiver.url, body)) for body in made[31:34]]
        ready_after = _ready(receiver.url)
        assert receiver.stop() == 0
        stored = receiver.messages()

    acknowledged = [body for body, status, _, _ in [*answers, *after] if status == 200]
    assert {status for _, status, _, _ in answers} <= {200, 503}
    assert full[0] == 503
    assert full[1]["retry-after"] == "5"
    assert b"No space left on device" in full[2]
    assert (ready_when_full, ready_after) == (503, 200)
    assert [status for _, status, _, _ in after] == [200, 200, 200]
    assert sorted(stored) == sorted(acknowledged)


def test_a_port_in_use_is_a_configuration_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        (tmp_path / "weaver-forge.toml").touch()

        http_taken = _serve(tmp_path, "--http-port", port, "--no-grpc")
        grpc_taken = _serve(tmp_path, "--http-port", "0", "--grpc-port", port)

    for said in (http_taken, grpc_taken):
        assert said.returncode == 4
        assert f"127.0.0.1:{port}" in said.stderr
        assert said.stderr.count("error: ") == 1


def test_other_machines_are_heard_only_with_a_token_or_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "weaver-forge.toml").touch()

    said = _serve(tmp_path, "--host", EVERYWHERE, "--http-port", "0")

    assert said.returncode == 4
    assert "no token is configured" in said.stderr
    with Receiver(tmp_path / "open", "--host", EVERYWHERE, "--insecure") as receiver:
        assert receiver.url.startswith(f"http://{EVERYWHERE}:")


def test_a_stop_finishes_what_was_begun(tmp_path: Path) -> None:
    with Receiver(tmp_path / "forge", "--no-grpc") as receiver:
        bodies = requests(20, batch=3)
        for body in bodies:
            assert post(receiver.url, body)[0] == 200

        assert receiver.stop() == 0

        assert receiver.messages() == bodies
        assert [path.suffix for path in receiver.folder.iterdir()] == [".otlp"]


@pytest.mark.parametrize("ends", [True, False], ids=["comes", "never comes"])
def test_a_stop_waits_for_the_rest_of_a_body_but_not_for_ever(tmp_path: Path, *, ends: bool) -> None:
    """What was begun is finished, stored and answered; what does not end is to be sent again, with one line said."""
    body = requests(1)[0]
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}"
    with (
        Receiver(tmp_path / "forge", "--no-grpc") as receiver,
        socket.create_connection(receiver.url.removeprefix("http://").split(":"), timeout=30) as connection,
        socket.create_connection(receiver.url.removeprefix("http://").split(":")),  # idle: nobody waits for it
    ):
        connection.sendall(head.encode() + b"\r\n\r\n" + body[:10])
        time.sleep(0.3)
        receiver.process.terminate()
        time.sleep(0.3)
        connection.sendall(body[10:] if ends else body[10:20])
        said = connection.recv(1000)

        assert receiver.stop() == 0

        assert said.startswith(b"HTTP/1.1 200 " if ends else b"HTTP/1.1 503 ")
        assert receiver.messages() == ([body] if ends else [])
        assert [path.name for path in receiver.folder.iterdir() if path.name.startswith(".")] == []


def _ready(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
    connection.close()
    return status


def _serve(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A call that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "weaver_forge", "serve", *arguments],
        cwd=folder,
        env=environment_with(WEAVER_FORGE_HOME=str(folder)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
