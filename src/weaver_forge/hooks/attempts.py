"""What a test runner's reports say about each attempt of each test, and these attempts as lines and as spans. Pure.

Put here what an attempt is and how it is written. When which report comes, and which files are written, is
``pytest_record``'s.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from weaver_forge.hooks.ci_run import CiRun

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_WORST = {"passed": 0, "xpassed": 1, "skipped": 2, "xfailed": 3, "failed": 4, "error": 5}
_ENDED = {"passed": "pass", "xpassed": "pass", "xfailed": "pass", "failed": "fail", "error": "fail"}
_FAILED = {"failed", "error"}


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One execution of one test: set up, called, torn down.

    Args:
        number: 1 for the first, counted over reruns.
        outcome: The worst of its phases: error, failed, xfailed, skipped, xpassed or passed.
        start_unix_ns: None where no report says it (a worker that crashed).
    """

    nodeid: str
    classname: str
    name: str
    worker: str
    number: int
    outcome: str = ""
    duration_ms: float = 0.0
    start_unix_ns: int | None = None
    end_unix_ns: int | None = None
    phases: list[str] = field(default_factory=list)

    @property
    def test_id(self) -> str:
        """The test's identity, as the reader of JUnit files makes it."""
        return f"{self.classname}::{self.name}" if self.classname else self.name

    def add(self, report: Any) -> None:
        """Take a phase's report (pytest's ``TestReport``, or one like it)."""
        outcome = outcome_of(report)
        if not self.outcome or _WORST.get(outcome, 0) > _WORST.get(self.outcome, 0):
            self.outcome = outcome
        self.phases.append(str(report.when))
        if hasattr(report, "context"):  # a subtest's: its time is part of its test's
            return
        self.duration_ms += float(getattr(report, "duration", 0.0) or 0.0) * 1e3
        start, stop = (float(getattr(report, name, 0.0) or 0.0) for name in ("start", "stop"))
        if start and self.start_unix_ns is None:
            self.start_unix_ns = round(start * 1e9)
        if stop:
            self.end_unix_ns = max(round(stop * 1e9), self.end_unix_ns or 0)

    def as_line(self) -> dict[str, Any]:
        """The attempt as a JSON object."""
        return {
            "nodeid": self.nodeid,
            "test_id": self.test_id,
            "attempt": self.number,
            "outcome": self.outcome,
            "duration_ms": round(self.duration_ms, 3),
            "worker": self.worker,
            "start_unix_ns": self.start_unix_ns,
            "end_unix_ns": self.end_unix_ns,
        }


def outcome_of(report: Any) -> str:
    """How a phase ended, in the words of the reader of JUnit files."""
    outcome = str(report.outcome)
    if outcome in {"failed", "rerun"}:
        if str(getattr(report, "longrepr", "") or "").startswith("[XPASS(strict)]"):
            return "xpassed"
        return "error" if report.when in {"setup", "teardown"} else "failed"
    if hasattr(report, "wasxfail"):
        return "xfailed" if outcome == "skipped" else "xpassed"
    return outcome


@dataclass(frozen=True, slots=True)
class Trace:
    """Where spans belong: a trace, and the span above them; empty where there is none."""

    trace_id: str
    parent: str = ""

    def child(self, *parts: object) -> str:
        """A span id that is the same whenever the same is told of."""
        text = "\0".join(map(str, (self.trace_id, self.parent, *parts)))
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def trace_of(traceparent: str) -> Trace | None:
    """Read a W3C ``traceparent``; None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None or not found[1].strip("0") or not found[2].strip("0"):
        return None
    return Trace(found[1], found[2])


def span_of(attempt: Attempt, trace: Trace, session: str) -> dict[str, Any] | None:
    """An attempt as a span of OTLP/JSON below the session's; None where its times are not known."""
    if attempt.start_unix_ns is None or attempt.end_unix_ns is None:
        return None
    said: dict[str, str | int] = {
        "test.case.name": attempt.test_id,
        "test.suite.name": attempt.classname,
        "pytest.nodeid": attempt.nodeid,
        "pytest.outcome": attempt.outcome,
        "pytest.attempt": attempt.number,
        "pytest.worker": attempt.worker,
    }
    if attempt.outcome in _ENDED:
        said["test.case.result.status"] = _ENDED[attempt.outcome]
    return {
        "traceId": trace.trace_id,
        "spanId": trace.child("test", attempt.nodeid, attempt.number, attempt.worker, attempt.start_unix_ns),
        "parentSpanId": session,
        "name": attempt.name,
        "kind": 1,
        "startTimeUnixNano": str(attempt.start_unix_ns),
        "endTimeUnixNano": str(max(attempt.start_unix_ns, attempt.end_unix_ns)),
        "attributes": _attributes(said),
        "status": {"code": 2} if attempt.outcome in _FAILED else {},
    }


def session_span(trace: Trace, session: str, start: int, end: int, *, is_ok: bool) -> dict[str, Any]:
    """The run as a whole, from its first attempt's start to its last one's end, in nanoseconds."""
    above = {"parentSpanId": trace.parent} if trace.parent else {}
    return {
        "traceId": trace.trace_id,
        "spanId": session,
        **above,
        "name": "pytest",
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(max(start, end)),
        "attributes": _attributes({"test.suite.run.status": "success" if is_ok else "failure"}),
        "status": {} if is_ok else {"code": 2},
    }


def request_of(spans: Sequence[dict[str, Any]], run: CiRun) -> dict[str, Any]:
    """Spans as one ``ExportTraceServiceRequest``.

    Args:
        spans: As :func:`span_of` makes them.
        run: What they are of. Its id is not said here: it marks spans of runs and jobs, and the trace says it.
    """
    resource = {"service.name": "pytest", "vcs.ref.head.revision": run.revision}
    scope = {"scope": {"name": "weaver_forge.hooks.pytest_plugin"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _attributes(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in said.items()
        if value or isinstance(value, int)
    ]
