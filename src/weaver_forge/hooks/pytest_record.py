"""Writing down what pytest ran, attempt by attempt: lines of JSON, and spans of OTLP/JSON in the pipeline's trace.

Put here when an attempt is over and where it goes; what one is stands in ``attempts``. Only the process that
hears of all workers writes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from weaver_forge.decode.report import COLLECTION_ERROR, MESSAGE_LENGTH, named_by_pytest
from weaver_forge.hooks.attempts import Attempt, Trace, request_of, session_span, span_of, trace_of
from weaver_forge.hooks.ci_run import CiRun, ci_run
from weaver_forge.hooks.own_folder import make_folder
from weaver_forge.hooks.revision import checked_out, repository_at

SPANS_A_LINE = 500
SPANS_WAIT_NS = 2 * 10**9
"""Spans of a run that is killed are lost for so long a time of tests, at most."""
VERSION = 1
"""Of the record's form, in its first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run of pytest: what it is of, and where its spans belong.

    Args:
        run: The CI run that it is part of; a run of its own where there is none.
        trace: None where no spans are written.
        problems: What is wrong with what the environment says.
    """

    run: CiRun
    trace: Trace | None = None
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, variable: Callable[[str], str | None], root: Path, *, wants_spans: bool) -> "Session":
        """Ask the environment, and git for what it does not say.

        The trace is the one that ``TRACEPARENT`` names, else the one that the run of GitHub is told in, else, where
        spans are wanted, one of its own.
        """
        from os import urandom

        run = ci_run(variable, lambda: checked_out(root))
        above, problems = variable("TRACEPARENT"), []
        trace = trace_of(above) if above else None
        if above and trace is None:
            problems.append(f"TRACEPARENT {above!r} is none: the spans are a trace of their own")
        if trace is None and run.trace_id and not above:
            trace = Trace(run.trace_id, run.span_id)
        if trace is None and (wants_spans or above):
            trace = Trace(urandom(16).hex())
        repository = None if run.repo_id else repository_at(root)
        run = CiRun(
            run_id=run.run_id or f"pytest-{urandom(8).hex()}",
            revision=run.revision,
            repo_id=run.repo_id or (repository.repo_id if repository else ""),
            trace_id=trace.trace_id if trace else "",
        )
        return cls(run=run, trace=trace, problems=tuple(problems))

    def as_line(self) -> dict[str, Any]:
        """The record's first line."""
        said = {name: getattr(self.run, name) for name in ("run_id", "revision", "repo_id", "trace_id")}
        return {"pytest_record": VERSION, **{name: value for name, value in said.items() if value}}


class Recorder:
    """Takes pytest's reports, and appends each attempt to its file as soon as it is over.

    Args:
        tests: File for one JSON object an attempt; replaced.
        spans: File for ``ExportTraceServiceRequest``s, one a line; replaced. It is written where there is a trace.
        session: What this is a run of.
    """

    def __init__(self, tests: Path, spans: Path, session: Session) -> None:
        self._trace, self._run = session.trace, session.run
        with ExitStack() as opened:
            self._tests = opened.enter_context(_opened(tests))
            self._spans = opened.enter_context(_opened(spans)) if session.trace is not None else None
            self._tests.write(json.dumps(session.as_line()) + "\n")
            self._tests.flush()
            self._files = opened.pop_all()
        self._open: dict[tuple[str, str], Attempt] = {}
        self._numbers: Counter[str] = Counter()
        self._waiting: list[dict[str, Any]] = []
        self._session, self._from, self._to, self._flushed = "", 0, 0, 0
        self._uncollected: set[str] = set()
        self.n_attempts = 0

    def tell_junit(self, plugins: Iterable[Any]) -> None:
        """Name the run in pytest's JUnit XML, where it writes one: both files are of one run wherever they are read."""
        report = next((plugin for plugin in plugins if hasattr(plugin, "add_global_property")), None)
        if report is None:
            return
        run = self._run
        named = {"cicd.pipeline.run.id": run.run_id, "vcs.ref.head.revision": run.revision, "repo_id": run.repo_id}
        for name, value in named.items():
            if value:
                report.add_global_property(name, value)

    def take(self, report: Any) -> None:
        """Take one phase's report.

        Raises:
            OSError: If what is over cannot be written.
        """
        key = (str(report.nodeid), _worker(report))
        if report.when == "setup":
            self._finish(key)
        if key not in self._open:
            self._numbers[key[0]] += 1
            classname, name = named_by_pytest(key[0])
            self._open[key] = Attempt(
                nodeid=key[0], classname=classname, name=name, worker=key[1], number=self._numbers[key[0]]
            )
        self._open[key].add(report)
        if report.when not in {"setup", "call"}:  # torn down, or its worker died
            self._finish(key)

    def take_collection(self, report: Any) -> None:
        """Take what could not be collected, once: with xdist each worker says it.

        Raises:
            OSError: If it cannot be written.
        """
        if report.nodeid in self._uncollected:
            return
        self._uncollected.add(report.nodeid)
        message = str(getattr(report, "longrepr", "") or "")[:MESSAGE_LENGTH]
        line = {"nodeid": report.nodeid, "outcome": COLLECTION_ERROR, "message": message, "worker": _worker(report)}
        self._tests.write(json.dumps(line) + "\n")
        self._tests.flush()

    def close(self, *, is_ok: bool) -> None:
        """Write what is not over as what it was seen to be, and the session's span.

        Raises:
            OSError: If it cannot be written.
        """
        with self._files:
            for key in list(self._open):
                self._finish(key)
            if self._trace is not None and self._session:
                self._waiting.append(session_span(self._trace, self._session, self._from, self._to, is_ok=is_ok))
            self._flush()

    def abandon(self) -> None:
        """Write no more: something could not be written, which has been said. A file left open is a warning later."""
        with suppress(OSError):
            self._files.close()

    def _finish(self, key: tuple[str, str]) -> None:
        attempt = self._open.pop(key, None)
        if attempt is None:
            return
        if attempt.phases == ["setup"] and attempt.outcome == "passed":
            attempt.outcome = "unfinished"
        self._tests.write(json.dumps(attempt.as_line()) + "\n")
        self._tests.flush()
        self.n_attempts += 1
        self._keep(attempt)

    def _keep(self, attempt: Attempt) -> None:
        if self._trace is None or self._spans is None:
            return
        start, end = attempt.start_unix_ns or 0, attempt.end_unix_ns or 0
        if start and not self._session:
            self._session, self._from = self._trace.child("session", start), start
        self._from, self._to = min(self._from, start or self._from), max(self._to, end)
        span = span_of(attempt, self._trace, self._session)
        if span is not None:
            self._waiting.append(span)
        if len(self._waiting) >= SPANS_A_LINE or self._to - (self._flushed or self._from) >= SPANS_WAIT_NS:
            self._flush()

    def _flush(self) -> None:
        if self._spans is not None and self._waiting:
            self._spans.write(json.dumps(request_of(self._waiting, self._run)) + "\n")
            self._spans.flush()
            self._waiting, self._flushed = [], self._to


def _opened(path: Path) -> IO[str]:
    make_folder(path.parent)
    return path.open("w", encoding="utf-8")


def _worker(report: Any) -> str:
    """Name of xdist's worker; ``main`` where there is none."""
    said = getattr(report, "worker_id", None)
    if said is None:  # of a worker that crashed
        said = getattr(getattr(getattr(report, "node", None), "gateway", None), "id", None)
    return str(said or "main")
