"""A receiver killed again and again while a real SDK sends and the inbox is drained: every span is one row."""

import random
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from assets.raw import otlp
from assets.raw.intake import Inputs, take_in
from assets.resources import Deployment
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.settings import Settings
from weaver_forge.testing.receiver import Receiver, framed
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e

KILLS = 25
SMALL_FILES = "[receiver]\nmax_file_mib = 1\nmax_file_age_s = 1\n"

DEADLY = """
import os, signal, sys
from weaver_forge.cli.app import run
from weaver_forge.receivers.segment_file import SegmentFile

left, append = int(sys.argv.pop(1)), SegmentFile.append

def deadly(*arguments):
    global left
    append(*arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

SegmentFile.append = deadly
sys.exit(run(sys.argv[1:]))
"""
"""A receiver that dies after a number of syncs: what it took is on disk, and its senders are not told."""


@contextmanager
def sending(url: str) -> Generator[list[int]]:
    """The SDK sends a few hundred spans a second until the end; then everything that is left. Gives their numbers."""
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=120)
    processor = BatchSpanProcessor(exporter, max_queue_size=200_000, max_export_batch_size=20, schedule_delay_millis=20)
    provider.add_span_processor(processor)
    tracer, is_done, numbers = provider.get_tracer("tests"), threading.Event(), [0]

    def send() -> None:
        while not is_done.wait(0.005):
            tracer.start_span(f"span {len(numbers) - 1}").end()
            numbers.append(0)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield numbers
        is_done.set()
        sender.join()
        assert processor.force_flush(240_000)
    finally:
        is_done.set()
        provider.shutdown()


def drained(deployment: Deployment, folder: Path) -> list[bytes]:
    """Take in what is sealed; gives the messages that were."""
    found = [message for path in sorted(folder.glob("traces-*.otlp")) for message in framed(path)]
    take_in(otlp.SOURCE, Inputs(), deployment)
    assert not deployment.problems
    return found


def killed(receiver: Receiver, chance: random.Random, at: int) -> None:
    """One kill, at any point or after a sync, and a new receiver that will be killed the other way."""
    if at % 2:
        time.sleep(chance.uniform(0.0, 0.5))
        receiver.kill()
    else:
        receiver.process.wait(60)
        receiver.kill()
    receiver.program = ("-c", DEADLY, str(chance.randint(1, 4))) if at % 2 else ("-m", "weaver_forge")
    receiver.restart()


def test_every_span_of_an_sdk_is_one_row_whenever_the_receiver_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20260302)  # noqa: S311 - chance, repeatable
    root = tmp_path / "forge"
    messages: list[bytes] = []
    with Receiver(root, "--no-grpc", settings=SMALL_FILES) as receiver:
        settings = Settings(root=root, python=Path(sys.executable), decisions={})
        deployment = Deployment(settings, (), Warehouse(settings.warehouse, settings.lake))
        deployment.warehouse.migrate([RAW_INGEST_INPUTS, RAW_INGEST_REJECTED])
        with sending(receiver.url) as numbers:
            for at in range(1, KILLS + 1):
                killed(receiver, chance, at)
                messages += drained(deployment, receiver.folder) if at % 3 == 0 else []
            receiver.kill()
            receiver.program = ("-m", "weaver_forge")
            receiver.restart()
        sent = len(numbers) - 1
        assert receiver.stop() == 0
        messages += drained(deployment, receiver.folder)

    found: Any = deployment.warehouse.query(
        "select count(*) as n, count(distinct name) as names, count(distinct span_id) as ids from raw_otlp__spans"
    )
    assert found.row(0) == (sent, sent, sent)
    assert list(receiver.folder.iterdir()) == []
    # Each kill after a sync leaves a request on disk whose sender was not told: it comes again.
    assert len(messages) - len(set(messages)) >= KILLS // 2
