"""The ingest command killed for good, in the middle: the next one goes on, and what was refused can be looked at."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from weaver_forge.settings import environment_with, load
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e

T0 = 1_767_600_000_000_000_000
BAD = b"\x0a\x04\x12\x02\xff\xff"  # a scope that is no message
N_MESSAGES, N_SPANS = 400, 300


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def message(number: int) -> bytes:
    data = TracesData()
    scope = data.resource_spans.add().scope_spans.add()
    for at in range(number * N_SPANS + 1, (number + 1) * N_SPANS + 1):
        span = scope.spans.add(name="GET /", kind=2, start_time_unix_nano=T0 + at, end_time_unix_nano=T0 + at + 1000)
        span.trace_id, span.span_id = at.to_bytes(16, "big"), at.to_bytes(8, "big")
    return framed(data.SerializeToString())


def kill_after(root: Path, seconds: float) -> None:
    """Start the command as a group of processes, and kill all of it."""
    command = [sys.executable, "-m", "weaver_forge", "ingest"]
    environment = environment_with(WEAVER_FORGE_HOME=str(root))
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    ) as run:
        time.sleep(seconds)
        os.killpg(run.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def survived(new_deployment: Callable[[str], Path], forge: Callable[..., Any]) -> tuple[Path, Any]:
    """A deployment whose ingest was killed three times, and what the fourth one said."""
    root = new_deployment()
    received = root / "data" / "inbox" / "otlp" / "received"
    received.mkdir(parents=True)
    whole = [message(number) for number in range(N_MESSAGES)]
    for part in range(4):
        mine = whole[part * 100 : part * 100 + 100]
        (received / f"traces-{part}.otlp").write_bytes(b"".join(mine) + framed(BAD) * (part == 2))
    for seconds in (4.0, 6.0, 8.0):
        kill_after(root, seconds)
    return root, forge("ingest", "--json", cwd=root)


def test_a_killed_ingest_loses_nothing_and_doubles_nothing(survived: tuple[Path, Any]) -> None:
    root, said = survived
    settings = load(root)
    warehouse = Warehouse(settings.warehouse, settings.lake)

    counts = warehouse.query("select count(*), count(distinct span_id) from core_trace__spans").row(0)

    assert said.code == 0, said.err
    assert counts == (N_MESSAGES * N_SPANS, N_MESSAGES * N_SPANS)
    assert list((root / "data" / "inbox" / "otlp" / "received").iterdir()) == []


def test_what_is_refused_is_listed_replayed_and_given_out(
    survived: tuple[Path, Any], forge: Callable[..., Any], tmp_path: Path
) -> None:
    root, _said = survived

    said = forge("rejected", "--source", "otlp", "--replay", "--export", tmp_path / "out", "--json", cwd=root)

    (group,) = said.data["refused"]
    assert said.code == 0, said.err
    assert (group["n"], group["kept"], "traces-2.otlp" in group["first"]) == (1, 1, True)
    assert said.data["replayed"] == [{"source": "otlp", "tried": 1, "resolved": 0, "rows": 0}]
    (listed,) = map(json.loads, (tmp_path / "out" / "index.jsonl").read_text(encoding="utf-8").splitlines())
    assert (tmp_path / "out" / listed["file"]).read_bytes() == BAD


def test_compacting_keeps_every_span(survived: tuple[Path, Any], forge: Callable[..., Any]) -> None:
    root, _said = survived
    settings = load(root)

    said = forge("compact", "--json", cwd=root)

    spans = next(row for row in said.data if row["lake"] == "spans")
    assert said.code == 0, said.err
    assert spans["files"] == 1
    warehouse = Warehouse(settings.warehouse, settings.lake)
    assert warehouse.query("select count(*) from core_trace__spans").row(0) == (N_MESSAGES * N_SPANS,)
