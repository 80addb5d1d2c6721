"""Writing down what pytest ran, attempt by attempt: lines of JSON, and spans of OTLP/JSON in the pipeline's trace.

Put here when an attempt is over and where it goes; what one is stands in ``attempts``. Only the process that
hears of all workers writes.
"""

import json
from collections import Counter
from pathlib import Path
from typing import IO, Any

from weaver_forge.decode.report import named_by_pytest
from weaver_forge.hooks.attempts import Attempt, Trace, request_of, session_span, span_of

SPANS_A_LINE = 500


class Recorder:
    """Takes pytest's reports, and appends each attempt to its file as soon as it is over.

    Args:
        tests: File for one JSON object an attempt; replaced.
        spans: File for ``ExportTraceServiceRequest``s, one a line; replaced. None: no spans.
        trace: Where the spans belong; None where there are none.
        revision: Full commit id, for the spans' resource.
    """

    def __init__(self, tests: Path, spans: Path | None = None, trace: Trace | None = None, revision: str = "") -> None:
        self._tests = _opened(tests)
        self._spans = _opened(spans) if spans is not None and trace is not None else None
        self._trace, self._revision = trace, revision
        self._open: dict[tuple[str, str], Attempt] = {}
        self._numbers: Counter[str] = Counter()
        self._waiting: list[dict[str, Any]] = []
        self._session, self._from, self._to = "", 0, 0
        self.n_attempts = 0

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

    def close(self, *, is_ok: bool) -> None:
        """Write what is not over as what it was seen to be, and the session's span.

        Raises:
            OSError: If it cannot be written.
        """
        try:
            for key in list(self._open):
                self._finish(key)
            if self._trace is not None and self._session:
                self._waiting.append(session_span(self._trace, self._session, self._from, self._to, is_ok=is_ok))
            self._flush()
        finally:
            for file in (self._tests, self._spans):
                if file is not None:
                    file.close()

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
        if len(self._waiting) >= SPANS_A_LINE:
            self._flush()

    def _flush(self) -> None:
        if self._spans is not None and self._waiting:
            self._spans.write(json.dumps(request_of(self._waiting, self._revision)) + "\n")
            self._spans.flush()
            self._waiting = []


def _opened(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def _worker(report: Any) -> str:
    """Name of xdist's worker; ``main`` where there is none."""
    said = getattr(report, "worker_id", None)
    if said is None:  # of a worker that crashed
        said = getattr(getattr(getattr(report, "node", None), "gateway", None), "id", None)
    return str(said or "main")
