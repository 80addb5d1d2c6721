"""Real senders deliver to `weaver-forge serve`: the Python SDK over HTTP and gRPC, the JavaScript SDK, an agent."""

import contextlib
import http.client
import importlib.util
import json
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode import otlp
from weaver_forge.testing.receiver import Receiver

PEERS = Path(__file__).parents[1] / "peers"
COUNT = 500
EXPECTED = Counter(f"span {n}" for n in range(COUNT))

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One receiver for all senders; each test looks at what came since it began."""
    with Receiver(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@contextlib.contextmanager
def tracing(exporter: Any, *, batch: int = 100) -> Generator[Callable[[int], None], None, None]:
    """The SDK with this exporter; gives a function that ends a span of a number. Everything is sent at the end."""
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
    processor = BatchSpanProcessor(exporter, max_queue_size=100_000, max_export_batch_size=batch)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests")
    try:
        yield lambda n: tracer.start_span(f"span {n}", attributes={"http.request.method": "GET"}).end()
        assert processor.force_flush(60_000)
    finally:
        provider.shutdown()


@pytest.fixture
def http_exporter() -> Iterator[Callable[..., HttpExporter]]:
    """Makes exporters whose connections are closed at the end.

    The SDK closes its session once, at shutdown; a request that it sends again after that, because the first one met
    the closing, leaves a connection behind that nobody closes.
    """
    with contextlib.ExitStack() as sessions:
        yield lambda *args, **named: HttpExporter(*args, **named, session=sessions.enter_context(requests.Session()))


def since(receiver: Receiver, before: Counter[str]) -> Counter[str]:
    return receiver.span_names() - before


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_the_python_sdk_delivers_over_http(
    receiver: Receiver, compression: Compression, http_exporter: Callable[..., HttpExporter]
) -> None:
    before = receiver.span_names()

    with tracing(http_exporter(endpoint=f"{receiver.url}/v1/traces", compression=compression)) as end:
        for n in range(COUNT):
            end(n)

    assert since(receiver, before) == EXPECTED


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_the_python_sdk_delivers_over_grpc(receiver: Receiver, compression: grpc.Compression) -> None:
    before = receiver.span_names()

    with tracing(GrpcExporter(endpoint=receiver.grpc, insecure=True, compression=compression)) as end:
        for n in range(COUNT):
            end(n)

    assert since(receiver, before) == EXPECTED


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_javascript_sdk_delivers_json(tmp_path: Path, compression: str) -> None:
    node = shutil.which("node")
    if node is None or not (PEERS / "node_modules").is_dir():
        pytest.skip("needs node and the packages of tests/peers/package.json")
    with Receiver(tmp_path / "forge") as receiver:
        url = f"{receiver.url}/v1/traces"
        subprocess.run([node, str(PEERS / "send_traces.mjs"), url, "250", compression], check=True, timeout=60)
        messages = receiver.messages()

    batches = [otlp.decode([Frame("js", message)]) for message in messages]
    names = [name for batch in batches for table in batch.tables.values() for name in table["name"].to_list()]
    assert all(not batch.rejected for batch in batches)
    assert sorted(names) == sorted(f"js {n}" for n in range(250))


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_agent_relays(
    receiver: Receiver, protocol: str, tmp_path: Path, http_exporter: Callable[..., HttpExporter]
) -> None:
    spec = importlib.util.find_spec("rotel")
    agent = Path(str(spec.origin)).parent / "rotel-agent" if spec else None
    if agent is None or not agent.is_file():
        pytest.skip("needs the rotel package")
    before = receiver.span_names()
    grpc_in, http_in = _free_port(), _free_port()
    target = f"http://{receiver.grpc}" if protocol == "grpc" else receiver.url
    command = [
        str(agent),
        "start",
        "--otlp-grpc-endpoint",
        f"127.0.0.1:{grpc_in}",
        "--otlp-http-endpoint",
        f"127.0.0.1:{http_in}",
        "--otlp-exporter-endpoint",
        target,
        "--otlp-exporter-protocol",
        protocol,
        "--pid-file",
        str(tmp_path / "agent.pid"),
    ]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(http_in)
            with tracing(http_exporter(endpoint=f"http://127.0.0.1:{http_in}/v1/traces")) as end:
                for n in range(COUNT):
                    end(n)
            deadline = time.monotonic() + 30
            while since(receiver, before) != EXPECTED and time.monotonic() < deadline:
                time.sleep(0.2)
        finally:
            process.terminate()

    assert since(receiver, before) == EXPECTED, (tmp_path / "log").read_text()


def test_the_sdk_delivers_across_a_crash_of_the_receiver(
    tmp_path: Path, http_exporter: Callable[..., HttpExporter]
) -> None:
    """Killed in the middle of a stream and started again: every span is there, and repeats are whole requests."""
    with Receiver(tmp_path / "forge") as receiver:
        exporter = http_exporter(endpoint=f"{receiver.url}/v1/traces", compression=Compression.Gzip, timeout=60)
        with tracing(exporter, batch=50) as end:
            for n in range(2000):
                end(n)
                if n == 700:
                    receiver.kill()
                    threading.Timer(1.0, receiver.restart).start()
                time.sleep(0.001)
        assert receiver.stop() == 0
        found = receiver.span_names()
        messages = Counter(receiver.messages())

    assert set(found) == {f"span {n}" for n in range(2000)}
    assert sum(found.values()) == 2000 + sum(found[name] - 1 for name in found)
    repeated = [message for message, times in messages.items() if times > 1]
    assert sum(found.values()) - len(found) == sum((messages[m] - 1) * 50 for m in repeated)


def test_the_sdk_waits_as_long_as_it_is_told_while_the_disk_is_full(
    tmp_path: Path, http_exporter: Callable[..., HttpExporter]
) -> None:
    """A reserve of free space that no disk has stands for a full one; 503 with Retry-After keeps the spans."""
    settings = "[receiver]\nmin_free_mib = 1000000000  # a petabyte\n"
    with Receiver(tmp_path / "forge", settings=settings) as receiver:
        exporter = http_exporter(endpoint=f"{receiver.url}/v1/traces", timeout=30)
        done: list[SpanExportResult] = []
        span = _ended_span("kept")
        sender = threading.Thread(target=lambda: done.append(exporter.export([span])))
        sender.start()
        while _metric(receiver, 'requests_total{protocol="http",signal="traces",outcome="unavailable"}') < 1:
            time.sleep(0.05)
        assert receiver.stop() == 0
        (receiver.root / "weaver-forge.toml").write_text("", encoding="utf-8")
        receiver.restart()
        sender.join(30)
        exporter.shutdown()

        assert done == [SpanExportResult.SUCCESS]
        assert receiver.span_names() == {"kept": 1}


def test_a_token_is_needed_where_one_is_configured_over_both_protocols(
    tmp_path: Path, http_exporter: Callable[..., HttpExporter]
) -> None:
    with Receiver(tmp_path / "forge", settings='[receiver]\ntokens = ["old-secret", "new-secret"]\n') as receiver:
        results = {}
        for token in ("wrong", "old-secret", "new-secret"):
            headers = {"authorization": f"Bearer {token}"}
            exporters: dict[str, Any] = {
                "http": http_exporter(endpoint=f"{receiver.url}/v1/traces", headers=headers),
                "grpc": GrpcExporter(endpoint=receiver.grpc, insecure=True, headers=tuple(headers.items())),
            }
            for protocol, exporter in exporters.items():
                results[token, protocol] = exporter.export([_ended_span(token)])
                exporter.shutdown()

        assert receiver.span_names() == {"old-secret": 2, "new-secret": 2}
    assert {at for at, result in results.items() if result is SpanExportResult.FAILURE} == {
        ("wrong", "http"),
        ("wrong", "grpc"),
    }


def _ended_span(name: str) -> Any:
    span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("tests").start_span(name)
    span.end()
    return span


def _metric(receiver: Receiver, name: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(receiver.url).netloc)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next((int(line.split()[-1]) for line in text.splitlines() if f"receiver_{name}" in line), 0)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(json.dumps({"nothing listens on": port}))
