"""Killed at any point, an ingest loses nothing and stores nothing twice; a full disk is said and got over.

One process has everything imported and forks a child for each try: half a second a kill instead of three.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from weaver_forge.settings import environment_with
from weaver_forge.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
T0 = 1_767_600_000_000_000_000
BAD = b"\x0a\x04\x12\x02\xff\xff"  # a scope that is no message
N_TIMED, N_POINTS = 30, 30

NURSERY = """
import json, os, signal, sys, time
from functools import wraps
from pathlib import Path
from assets.raw import intake, otlp, streaming, tests
from assets.resources import Deployment
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.errors import WeaverForgeError
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Lake, Warehouse

streaming.CHUNK_BYTES, intake.COMMIT_ROWS = 4000, 60
SOURCES = (otlp.SOURCE, tests.SOURCE)
WATCHED = (
    (Lake, "stage"), (Lake, "write"), (Lake, "change"), (Lake, "commit"), (Warehouse, "write_together"),
    (Warehouse, "refresh_lake_views"), (Path, "unlink"), (Path, "open"),
)

def arm(point):
    left = [point]
    def count():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def watched(function):
        @wraps(function)
        def run(*arguments, **more):
            count()
            result = function(*arguments, **more)
            count()
            return result
        return run
    for owner, name in WATCHED:
        setattr(owner, name, watched(getattr(owner, name)))

def ingest(root):
    settings = Settings(root=root, python=Path(sys.executable), decisions={})
    warehouse = Warehouse(settings.warehouse, settings.lake)
    warehouse.migrate([t for t in BY_NAME.values() if t.source == "ingest" or t in tests.SOURCE.tables])
    deployment = Deployment(settings, (), warehouse)
    for source in SOURCES:
        intake.take_in(source, intake.Inputs(), deployment)
    return [str(problem) for problem in deployment.problems]

def child(root, order):
    if "point" in order:
        arm(order["point"])
    answer = {}
    try:
        answer["problems"] = ingest(root)
    except WeaverForgeError as error:
        answer["error"], answer["code"] = str(error), error.exit_code
    except Exception as error:
        answer["crash"] = repr(error)
    os.write(1, (json.dumps(answer) + "\\n").encode())
    os._exit(0)

root = Path(sys.argv[1])
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            child(root, order)
        finally:
            os._exit(9)
    if "after_s" in order:
        time.sleep(order["after_s"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.write(1, (json.dumps({"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}) + "\\n").encode())
"""


@dataclass
class Nursery:
    """The process that forks an ingest for each order."""

    process: "subprocess.Popen[str]"
    root: Path

    def ingest(self, **order: object) -> dict[str, object]:
        """Run one ingest, killed or not as ordered; what it said and how it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        said: dict[str, object] = {}
        while "signal" not in said:
            said |= json.loads(self.process.stdout.readline())
        return said

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """All rows of a query after ``from``."""
        return Warehouse(self.root / "data" / "warehouse.duckdb", self.root / "data" / "lake").query(table).rows()


@contextmanager
def nursery_in(root: Path) -> Generator[Nursery]:
    """Start the process for a deployment's folder."""
    command = [sys.executable, "-c", NURSERY, str(root)]
    environment = environment_with(PYTHONPATH=str(ROOT))
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Nursery(process, root)
        finally:
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with nursery_in(tmp_path) as started:
        yield started


class Sent:
    """What was put into the inbox, which is what has to come out."""

    def __init__(self, root: Path) -> None:
        self.inbox = root / "data" / "inbox"
        self.n_spans = self.n_points = self.n_logs = self.n_bad = self.n_tests = 0
        self._numbers = iter(range(1, 10**9))
        for folder in ("otlp/received", "tests"):
            (self.inbox / folder).mkdir(parents=True)

    def some(self) -> None:
        """A received file, more of a growing one, and a test report."""
        number = next(self._numbers)
        sealed = self._messages(4, n_spans=10) + self._points() + self._logs() + self._bad()
        part = self.inbox / "otlp" / "received" / f".{number}.open"
        part.write_bytes(sealed)
        part.rename(part.with_name(f"{number}.otlp"))
        with (self.inbox / "otlp" / "growing.pb").open("ab") as growing:
            growing.write(self._messages(3, n_spans=15) + (self._bad() if number % 3 == 0 else b""))
        case = f'<testcase classname="c" name="t{number}" time="1"/>'
        report = f'<testsuite name="s" tests="1" timestamp="2026-01-05T00:00:00">{case}</testsuite>'
        (self.inbox / "tests" / f"{number}.xml").write_text(report, encoding="utf-8")
        self.n_tests += 1

    def _messages(self, n_messages: int, *, n_spans: int) -> bytes:
        return b"".join(self._message(n_spans) for _ in range(n_messages))

    def _message(self, n_spans: int) -> bytes:
        data = TracesData()
        scope = data.resource_spans.add().scope_spans.add()
        for _ in range(n_spans):
            number = next(self._numbers)
            span = scope.spans.add(name="GET /", kind=2, start_time_unix_nano=T0 + number, end_time_unix_nano=2 * T0)
            span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
        self.n_spans += n_spans
        return _framed(data.SerializeToString())

    def _points(self) -> bytes:
        data = MetricsData()
        metric = data.resource_metrics.add().scope_metrics.add().metrics.add(name="load")
        metric.gauge.data_points.add(time_unix_nano=T0 + next(self._numbers), as_double=0.5)
        self.n_points += 1
        return _framed(data.SerializeToString())

    def _logs(self) -> bytes:
        data = LogsData()
        record = data.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=T0 + next(self._numbers))
        record.body.string_value = "it works"
        self.n_logs += 1
        return _framed(data.SerializeToString())

    def _bad(self) -> bytes:
        self.n_bad += 1
        return _framed(BAD)

    def is_all_there(self, nursery: Nursery) -> None:
        """Everything that was put in came out once, and what was received is gone from the inbox."""
        found = {
            name: nursery.rows(f"select count(*), count(distinct ({key})) from {table}")[0]
            for name, table, key in (
                ("spans", "raw_otlp__spans", "trace_id, span_id"),
                ("points", "raw_otlp__metric_points", "series_id, time_unix_ns"),
                ("logs", "raw_otlp__log_records", "record_id"),
                ("tests", "raw_tests__results", "name"),
                ("bad", "raw_ingest__rejected", "input_sha256"),
            )
        }
        counts = {"spans": self.n_spans, "points": self.n_points, "logs": self.n_logs, "tests": self.n_tests}
        assert found == {name: (n, n) for name, n in (counts | {"bad": self.n_bad}).items()}
        assert list((self.inbox / "otlp" / "received").iterdir()) == []


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_killed_at_any_moment_nothing_is_lost_or_doubled(nursery: Nursery) -> None:
    """Half of the kills at a random time, half before or after a step that stores or deletes something."""
    chance = random.Random(7)  # noqa: S311 - chooses moments, not secrets
    sent = Sent(nursery.root)
    sent.some()
    nursery.ingest()
    orders: list[dict[str, object]] = [{"after_s": chance.uniform(0.02, 0.6)} for _ in range(N_TIMED)]
    orders += [{"point": chance.randrange(1, 90)} for _ in range(N_POINTS)]
    chance.shuffle(orders)

    killed = 0
    for order in orders:
        sent.some()
        killed += nursery.ingest(**order)["signal"] == signal.SIGKILL
    last = nursery.ingest()

    assert killed >= 50
    assert last == {"problems": [], "signal": 0}
    sent.is_all_there(nursery)


def test_two_ingests_at_once_store_everything_once(tmp_path: Path) -> None:
    """Both read the same inbox; each row and each refused piece is there once, whoever was first."""
    sent = Sent(tmp_path)
    with nursery_in(tmp_path) as one, nursery_in(tmp_path) as other, ThreadPoolExecutor(2) as both:
        sent.some()
        one.ingest()
        for _ in range(3):
            for _ in range(4):
                sent.some()
            said = [future.result() for future in [both.submit(who.ingest) for who in (one, other)]]
            assert [answer for answer in said if "error" in answer or "crash" in answer] == []
        last = one.ingest()

        assert last["signal"] == 0
        sent.is_all_there(one)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, in memory."""
    if shutil.which("mount") is None:
        pytest.skip("no mount program: a full disk cannot be tried")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"only root may mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_next_run_goes_on(small_disk: Path) -> None:
    """Full at once, or after a few files: whatever meets it, Parquet, the Delta log or DuckDB, says the same."""
    said = []
    with nursery_in(small_disk) as nursery:
        sent = Sent(small_disk)
        sent.some()
        nursery.ingest()
        for free in (0, 8, 24, 48, 96, 160, 240):
            sent.some()
            ballast = small_disk / "ballast"
            left = shutil.disk_usage(small_disk).free - free * 1024
            ballast.write_bytes(b"x" * left)
            said.append(nursery.ingest())
            ballast.unlink()
        last = nursery.ingest()
        full = [answer for answer in said if "error" in answer]
        assert len(full) >= 3, said
        assert {answer["code"] for answer in full} == {5}
        assert all("Free space and run the same command again" in str(answer["error"]) for answer in full)
        assert all(answer["signal"] == 0 for answer in said)
        assert last == {"problems": [], "signal": 0}
        sent.is_all_there(nursery)
