"""What ``benchmark ingest`` measures, one function a figure; each is run in a process of its own.

Processor time is that of the process and of the workers that it started and waited for, without start-up and
imports of the former; memory is the process's peak. Which figures are held against which bars is in ``rows``.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

from assets.core.traces import compute, show_and_count
from assets.raw import SOURCES
from assets.raw.intake import Inputs, take_in
from assets.resources import Deployment
from weaver_forge.contracts.tables import ALL
from weaver_forge.settings import Settings
from weaver_forge.testing import otlp_load
from weaver_forge.testing.receiver import Receiver
from weaver_forge.warehouse import Warehouse, touched

Figures = dict[str, Any]

HELD_BYTES = 100 * 1024 * 1024
"""Of messages whose parsed objects are held at once: as many as those whose measured price the bars are set by."""

_FIRST, _LAST = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - naive UTC


class Watch:
    """Wall-clock and processor seconds since it was made; of this process and its ended children."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._used()

    @staticmethod
    def _used() -> float:
        uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(use.ru_utime + use.ru_stime for use in uses)

    def read(self, n: int) -> Figures:
        """The figures of ``n`` things done since."""
        cpu, wall = self._used() - self._cpu, time.perf_counter() - self._wall
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return {"n": n, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak / 1024}


def upb(path: str, *, hold: bool = True) -> Figures:
    """The lower bound: the official protobuf classes parse every message, and nothing more.

    Args:
        path: Of messages with 4-byte lengths.
        hold: Parsed messages are held some hundred megabytes long, as by a reader who uses them; else each is
            dropped at once, and the next one gets its memory.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    n, cpu, wall = 0, 0.0, 0.0
    with Path(path).open("rb") as file:
        while messages := _some(file):
            watch = Watch()
            if hold:
                held = [ExportTraceServiceRequest.FromString(message) for message in messages]
            else:
                for message in messages:
                    ExportTraceServiceRequest.FromString(message)
            taken = watch.read(0)
            cpu, wall = cpu + taken["cpu_s"], wall + taken["wall_s"]
            if not hold:
                held = [ExportTraceServiceRequest.FromString(message) for message in messages]
            n += sum(len(scope.spans) for request in held for r in request.resource_spans for scope in r.scope_spans)
            del held
    return Watch().read(n) | {"cpu_s": cpu, "wall_s": wall}


def _some(file: Any) -> list[bytes]:
    messages: list[bytes] = []
    while sum(map(len, messages)) < HELD_BYTES and (head := file.read(4)):
        messages.append(file.read(int.from_bytes(head, "big")))
    return messages


def ingest(path: str, folder: str, *, processes: int = 1, ptars: bool = True) -> Figures:
    """A file of traces to queryable, deduplicated spans, in a deployment that may have some already."""
    return _taken_in("otlp", [path], Path(folder), processes=processes, ptars=ptars)


def tests(paths: list[str], folder: str) -> Figures:
    """Test reports to stored results."""
    return _taken_in("tests", paths, Path(folder))


def git(path: str, folder: str) -> Figures:
    """A repository's history to stored commits, file changes and blames."""
    return _taken_in("git", [path], Path(folder))


def settle(folder: str) -> Figures:
    """Every mart of the spans that a deployment has and whose marts it has not, in rounds until nothing is left."""
    warehouse = _deployment(Path(folder)).warehouse
    written: dict[str, int] = {}
    cpu_of: dict[str, float] = {}
    watch = Watch()
    with warehouse.connect():
        show_and_count(warehouse)
        while days := _pending(warehouse):
            start, end = datetime.combine(days[0], clock()), datetime.combine(days[-1], clock()) + timedelta(days=1)
            for name, said in compute(warehouse, start, end).items():
                written[name] = written.get(name, 0) + int(said["rows_written"])
                cpu_of[name] = cpu_of.get(name, 0.0) + float(said.get("cpu_seconds", 0.0))
    n_spans = sum(file.n_rows for file in warehouse.spans.ranges())
    return watch.read(n_spans) | {"rows_written": written, "cpu_of": cpu_of}


def receiver(folder: str, *, seconds: float, spans_per_second: int) -> Figures:
    """Requests as SDKs send them, over HTTP on this machine, each on disk before it is answered."""
    with Receiver(Path(folder)) as listening:
        found = otlp_load.run(listening.url, seconds=seconds, spans_per_second=spans_per_second)
    return {"n": found.spans, "wall_s": found.seconds, "p99_ms": found.p99_ms, "refused": found.refused}


def free_cores(*, seconds: float = 1.0) -> Figures:
    """How many of two cores two busy processes get."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_spin, [0.05, 0.05])  # both are up
        shares = pool.map(_spin, [seconds, seconds], chunksize=1)
    return {"cores": sum(shares)}


def _spin(seconds: float) -> float:
    """Be busy for a time; returns the share of a core that was got."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        pass
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def _pending(warehouse: Warehouse) -> list[Any]:
    with warehouse.connect(read_only=True) as con:
        return touched.pending_days(con, _FIRST, _LAST)


def _deployment(root: Path, *, processes: int = 1, ptars: bool = True) -> Deployment:
    """A deployment without decisions, its tables made."""
    settings = Settings(root=root, python=Path(sys.executable), decisions={}, ingest_processes=processes, ptars=ptars)
    settings.data.mkdir(parents=True, exist_ok=True)
    deployment = Deployment(settings, (), Warehouse(settings.warehouse, settings.lake))
    deployment.warehouse.migrate(ALL)
    return deployment


def _taken_in(source: str, paths: list[str], root: Path, *, processes: int = 1, ptars: bool = True) -> Figures:
    """Take files in through the ordinary intake, from bytes on disk to stored rows.

    Raises:
        RuntimeError: If anything could not be read or was refused: the figures would not be those of the corpus.
    """
    (chosen,) = (known for known in SOURCES if known.name == source)
    deployment = _deployment(root, processes=processes, ptars=ptars)
    watch = Watch()
    said = take_in(chosen, Inputs(paths=paths), deployment)
    figures = watch.read(int(said["rows_new"]))
    if deployment.problems or said["rejected"]:
        raise RuntimeError(f"{said['rejected']} pieces were refused; {deployment.problems}")
    return figures


MEASURES: Mapping[str, Callable[..., Figures]] = {
    function.__name__: function for function in (upb, ingest, tests, git, settle, receiver, free_cores)
}
