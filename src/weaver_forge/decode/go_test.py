"""``go test -json``: the event stream of test2json, one JSON object a line -> a report.

What holds:

* Packages are interleaved; a test is (package, name). It ends with pass, fail or skip; ending again
  (``-count=N``, a rerun appended to the stream) is another attempt.
* A test that has no end although its package failed was ended by a panic, a timeout or an exit: error.
* A package that failed without a test did not build or set up: a collection error, not a test.
* A test that failed while one of its subtests failed is not a second failure.
* The stream may hold plain lines (downloads, compiler output), which are counted; where it breaks off, tests whose
  package has not ended have no result.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.report import MESSAGE_LENGTH, Attempt, Case, Report, Suite, cut, escaped

_ENDS = {"pass": "passed", "fail": "failed", "skip": "skipped", "bench": "passed"}
_FRAMES = ("=== ", "--- ", "FAIL", "PASS", "ok  \t", "exit status")
_NOT_BUILT = re.compile(r"FAIL\s+(\S+) \[(build|setup) failed\]")
_SHOWN = 5


class _Event(msgspec.Struct, rename="pascal"):
    """A line. Unknown fields and actions of later releases of Go are passed over."""

    action: str
    time: str | None = None
    package: str = ""
    import_path: str = ""
    test: str = ""
    elapsed: float | None = None
    output: str = ""
    output_type: str = ""


@dataclass(slots=True)
class _Package:
    """A package under test: what runs in it, what it said."""

    suite: Suite
    running: dict[str, list[str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    n_ended: int = 0
    has_failed_test: bool = False


def read_go_test(lines: Iterable[bytes]) -> Report:
    """Read an event stream; never raises for what it holds."""
    stream = _Stream()
    decoder = msgspec.json.Decoder(_Event)
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if not text.startswith(b"{"):
            stream.take_plain(text)
            continue
        try:
            event = decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            stream.report.rejected.append((f"line {number}", f"no event of go test: {in_words(error)}", escaped(line)))
            continue
        stream.take(event)
    return stream.finish()


class _Stream:
    """The state of a stream: open tests by package, and the cases that have ended."""

    def __init__(self) -> None:
        self.report = Report("go_test")
        self.n_plain = 0
        self._packages: dict[str, _Package] = {}
        self._cases: dict[tuple[str, str], Case] = {}
        self._built: dict[str, list[str]] = {}

    def take_plain(self, line: bytes) -> None:
        """Take in a line of text: before Go 1.24 that is how the stream says that a package did not build."""
        if match := _NOT_BUILT.fullmatch(line.decode("utf-8", "replace")):
            event = _Event("fail", package=match[1])
            package = self._package(event)
            package.said = [f"[{match[2]} failed]"]
            self._of_package(package, event)
        else:
            self.n_plain += 1

    def take(self, event: _Event) -> None:
        """Take in the next event."""
        if event.action in {"build-output", "build-fail"}:
            _say(self._built.setdefault(event.import_path.partition(" ")[0], []), event.output)
        elif not event.package:
            return
        elif event.test:
            self._of_test(self._package(event), event)
        else:
            self._of_package(self._package(event), event)

    def _package(self, event: _Event) -> _Package:
        package = self._packages.get(event.package)
        if package is None:
            suite = self.report.suite(event.package, timestamp=event.time, producer="go")
            suite.properties["go.version"] = ""
            package = self._packages[event.package] = _Package(suite)
        return package

    def _of_test(self, package: _Package, event: _Event) -> None:
        name, action = event.test, event.action
        if action == "output":
            if event.output_type != "frame":
                _say(package.running.setdefault(name, []), event.output)
        elif action in _ENDS:
            said = package.running.pop(name, [])
            self._end(package, name, _ENDS[action], event.elapsed, said)
        elif action == "run":
            package.running[name] = []

    def _end(self, package: _Package, name: str, status: str, elapsed: float | None, said: list[str]) -> None:
        if status in {"failed", "error"} and name in package.failed:
            status = "failed_by_child"
            package.failed.discard(name)
        package.n_ended += 1
        if status in {"failed", "error", "failed_by_child"}:
            package.has_failed_test = True
            if above := self._above(package, name):
                package.failed.add(above)
        message = cut("".join(said)) if status in {"failed", "error", "skipped"} else None
        attempt: Attempt = (status, None if elapsed is None else elapsed * 1000, message)
        key = (package.suite.name, name)
        case = self._cases.get(key)
        if case is None:
            self.report.add(package.suite, package.suite.name, name, [attempt], parent=self._above(package, name))
            self._cases[key] = self.report.cases[-1]
        else:
            case.attempts.append(attempt)

    def _above(self, package: _Package, name: str) -> str | None:
        """Name the test that a subtest runs in: the names of subtests may hold slashes themselves."""
        above = name
        while above := above.rpartition("/")[0]:
            if above in package.running or (package.suite.name, above) in self._cases:
                return above
        return None

    def _of_package(self, package: _Package, event: _Event) -> None:
        if event.action == "output":
            _say(package.said, event.output)
        elif event.action == "start":
            package.suite.timestamp = package.suite.timestamp or event.time
        elif event.action in _ENDS:
            self._end_package(package, passed=event.action != "fail")
            package.said, package.has_failed_test = [], False

    def _end_package(self, package: _Package, *, passed: bool) -> None:
        for name in sorted(package.running, key=lambda name: -name.count("/")):
            own = package.running.pop(name)
            # A benchmark has no end of its own, and a test may spoil the line that ends it by its own output.
            status = "passed" if passed else "error"
            said = own if any(line.strip() for line in own) else package.said or ["ended with its package"]
            self._end(package, name, status, None, [] if passed else said)
        if not passed and not package.has_failed_test:
            name = package.suite.name
            message = cut("".join(self._built.pop(name, []) or package.said)) or "the package failed without a test"
            self.report.add(package.suite, name, "[package]", [("collection_error", None, message)])
        package.failed.clear()

    def finish(self) -> Report:
        """Close the stream: what still runs has no result."""
        report = self.report
        unended = [name for package in self._packages.values() for name in package.running]
        if unended:
            report.is_partial = True
            names = ", ".join(sorted(unended)[:_SHOWN]) + (", ..." if len(unended) > _SHOWN else "")
            what = f"the stream ends while {len(unended)} tests were running: they have no result"
            report.rejected.append(("end of the stream", what, names))
        if self.n_plain:
            report.notes.append(f"{self.n_plain} lines between the events are plain text and were passed over")
        return report


def _say(said: list[str], output: str) -> None:
    """Keep the beginning of what is said, without the frame that go test puts around it."""
    if output and sum(map(len, said)) < MESSAGE_LENGTH and not output.lstrip().startswith(_FRAMES):
        said.append(output)


def is_go_test(head: bytes) -> bool:
    """Say whether the first JSON line of a file is an event of go test."""
    for line in head.split(b"\n"):
        text = line.strip()
        if text.startswith(b"{"):
            try:
                event = json.loads(text)
            except ValueError:
                return text.startswith((b'{"Time":"', b'{"Action":"')) or b'"Action":"' in text[:200]
            return isinstance(event, dict) and "Action" in event and bool({"Package", "ImportPath"} & event.keys())
    return False
