"""The pytest plugin's recorder writes each attempt as it ends, and spans before a run can lose many."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from weaver_forge.hooks.attempts import Trace
from weaver_forge.hooks.ci_run import CiRun
from weaver_forge.hooks.pytest_record import Recorder, Session

RUN = CiRun(run_id="7", revision="a" * 40, repo_id="github.com/o/r", trace_id="b" * 32)
TRACED = Session(run=RUN, trace=Trace("b" * 32, "c" * 16))


def play(recorder: Recorder, name: str, start: float, stop: float) -> None:
    for when in ("setup", "call", "teardown"):
        recorder.take(
            SimpleNamespace(
                nodeid=f"t.py::{name}", when=when, outcome="passed", longrepr=None, start=start, stop=stop,
                duration=stop - start,
            )
        )  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_first_line_says_which_run_it_is(tmp_path: Path) -> None:
    Recorder(tmp_path / "tests", tmp_path / "spans", TRACED).abandon()

    assert lines(tmp_path / "tests") == [
        {"pytest_record": 1, "run_id": "7", "revision": "a" * 40, "repo_id": "github.com/o/r", "trace_id": "b" * 32}
    ]


def test_without_a_trace_there_are_no_spans(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "tests", tmp_path / "spans", Session(run=RUN))
    play(recorder, "a", 100.0, 101.0)
    recorder.close(is_ok=True)

    assert [line.get("nodeid") for line in lines(tmp_path / "tests")] == [None, "t.py::a"]
    assert not (tmp_path / "spans").exists()


def test_spans_of_a_run_that_is_killed_are_there_but_for_the_last_seconds(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "tests", tmp_path / "spans", TRACED)

    for second in range(100, 106):
        play(recorder, f"t{second}", second, second + 0.9)
    recorder.abandon()

    found = [
        span["name"]
        for request in lines(tmp_path / "spans")
        for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    assert found[:4] == ["t100", "t101", "t102", "t103"]
    assert len(lines(tmp_path / "tests")) == 7


def test_the_junit_report_is_told_the_run_by_whatever_plugin_writes_it(tmp_path: Path) -> None:
    told: dict[str, str] = {}
    writer = SimpleNamespace(add_global_property=told.__setitem__)

    recorder = Recorder(tmp_path / "tests", tmp_path / "spans", TRACED)
    recorder.tell_junit([object(), writer])
    recorder.abandon()

    assert told == {"cicd.pipeline.run.id": "7", "vcs.ref.head.revision": "a" * 40, "repo_id": "github.com/o/r"}
