"""What an ingest tells a newcomer: what came in, what is the same, empty or refused, and what to do next."""

import gzip
import json
import os
import sqlite3
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

from assets.raw import deployments, focus, github_actions, incidents, otlp, tests
from assets.raw.books import Request
from assets.raw.guessing import guess
from assets.raw.intake import Inputs, RawSource, take_in
from assets.raw.reread import reread
from assets.raw.source import content_id
from assets.registry import load_specs
from assets.resources import Deployment
from assets.unread import settle
from assets.verbs.guessed import UNSAID, named_inputs
from assets.verbs.rejected import rejected
from assets.verbs.summary import report_gaps, report_intake, report_next, report_notes
from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables import ALL
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_RESULTS
from weaver_forge.decode import github_actions as decoder
from weaver_forge.errors import UsageError
from weaver_forge.hooks.health import unread
from weaver_forge.settings import Settings
from weaver_forge.settings import test_data as outside_data
from weaver_forge.warehouse import Warehouse
from weaver_forge.warehouse.overview import overview, unfinished

AT = datetime(2026, 3, 1, 12)
REPORT = '<testsuite name="s" tests="1"><testcase classname="c" name="t" time="1"/></testsuite>'
HEADER = "BilledCost,EffectiveCost,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,ServiceName,BillingCurrency\n"
CHARGE = "1.5,1.5,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,2026-03-01T00:00:00Z,web,EUR\n"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    root = tmp_path / "deployment"
    root.mkdir()
    (root / "weaver-forge.toml").write_text("", encoding="utf-8")
    settings = Settings(root=root, python=Path(sys.executable), decisions={})
    warehouse = Warehouse(settings.warehouse, settings.lake)
    warehouse.migrate(ALL)
    return Deployment(settings, (), warehouse)


def span(number: int) -> str:
    one = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "GET /", "startTimeUnixNano": "1767600000"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one | {"endTimeUnixNano": "1767600001"}]}]}]})


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def take(source: RawSource, deployment: Deployment, *paths: Path) -> dict[str, Any]:
    return {"source": source.name, **take_in(source, Inputs(paths=[str(path) for path in paths]), deployment)}


def inputs(said: dict[str, Any]) -> dict[str, int]:
    return {name.removeprefix("inputs_"): n for name, n in said.items() if name.startswith("inputs_") and n}


def seen(deployment: Deployment, source: str) -> dict[str, Any]:
    with deployment.warehouse.connect(read_only=True) as con:
        return next(row for row in overview(con, (source,), [], AT)["sources"] if row["source"] == source)


@pytest.mark.parametrize("n_processes", [1, 2])
@pytest.mark.parametrize("source", [tests.SOURCE, otlp.SOURCE], ids=lambda source: source.name)
def test_files_that_are_the_same_are_one_input_for_the_summary_and_for_doctor(
    deployment: Deployment, tmp_path: Path, source: RawSource, n_processes: int
) -> None:
    deployment.settings = replace(deployment.settings, ingest_processes=n_processes)
    text = REPORT if source is tests.SOURCE else f"{span(1)}\n[]\n"
    folder = write(tmp_path, a=text, b=text)
    files = (folder / "a", folder / "b")

    first, again = take(source, deployment, *files), take(source, deployment, *files)

    counted = seen(deployment, source.name)
    assert (inputs(first), inputs(again)) == ({"read": 1, "same": 1}, {"known": 1, "same": 1})
    assert counted["n_inputs"] == again["inputs_known"]
    assert (counted["n_refused"], again["rejected"]) == (first["rejected"], 0)


def test_an_empty_file_of_telemetry_is_told_as_empty_and_read_once_it_has_something(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = write(tmp_path, empty="") / "empty"

    first = take(otlp.SOURCE, deployment, path)
    path.write_text(span(1), encoding="utf-8")
    then = take(otlp.SOURCE, deployment, path)

    assert (inputs(first), inputs(then)) == ({"empty": 1}, {"read": 1})


def test_a_file_that_cannot_be_read_is_one_problem_that_names_all_its_sources(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"x" * 1000)[:-9])

    said = [take(source, deployment, path) for source in (deployments.SOURCE, incidents.SOURCE)]

    (problem,) = deployment.problems
    assert [one["inputs_unread"] for one in said] == [1, 1]
    assert problem.where == f"{path} (given to deployments, incidents)"
    assert "the file is cut off" in problem.what


def test_reasons_that_differ_only_in_places_and_values_are_told_once(deployment: Deployment, tmp_path: Path) -> None:
    good = {"deployment_id": "d", "service_key": "s/c/p", "version": "1", "started_at": "2026-03-01T12:00:00Z"}
    bad = [json.dumps({**good, "service_key": name}) for name in ("a", "b", "c")]
    path = write(tmp_path, d="\n".join([json.dumps(good), *bad, "x", "xy,"])) / "d"
    events: list[Any] = []

    said = take(deployments.SOURCE, deployment, path)
    report_intake(deployment, [said], events.append)
    rejected(deployment.settings, {}, events.append)

    lines = [event["text"] for event in events if event["event"] == "line"]
    assert any("refused by deployments: 3 x service_key 'a'" in line and "first:" in line for line in lines)
    assert any(line.strip().startswith("3 x deployments: service_key 'a'") for line in lines)


def test_bytes_that_pieces_share_count_as_kept_for_each(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"workflow_id": 1, "head_sha": "a" * 40, "status": "completed", "repository": {"full_name": "acme/shop"}}
    times = {"created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:01:00Z"}
    document = json.dumps({"workflow_runs": [run | times | {"id": 7}, run | times | {"id": 8}]})
    path = write(tmp_path, runs=document) / "runs"
    with monkeypatch.context() as patched:
        patched.setattr(decoder, "_repo_id", lambda _: decoder.text({}, "repository"))
        take(github_actions.SOURCE, deployment, path)
    before: list[Any] = []
    after: list[Any] = []

    rejected(deployment.settings, {}, before.append)
    rejected(deployment.settings, {"replay": True}, after.append)

    (group,) = before[-1]["data"]["refused"]
    assert (group["n"], group["kept"]) == (2, 2)
    assert "2 replayed: 2 accepted, 0 refused again" in [event.get("text") for event in after]


def refusing(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield Batch(rejected=(Rejected(str(request.path), "row 1", "a defect"),))


@pytest.mark.parametrize(
    ("source", "text"), [(tests.SOURCE, REPORT), (focus.SOURCE, HEADER + CHARGE)], ids=["tests", "focus"]
)
def test_a_piece_without_its_bytes_is_replayed_by_its_whole_file(
    deployment: Deployment, tmp_path: Path, source: RawSource, text: str
) -> None:
    path = write(tmp_path, export=text) / "export"
    take(replace(source, decode=refusing), deployment, path)

    done, again = reread(source, deployment), reread(source, deployment)

    assert done == {"tried": 1, "resolved": 1, "rows": 1}
    assert again == {"tried": 0, "resolved": 0, "rows": 0}


def test_an_older_export_does_not_replace_what_a_newer_one_said(deployment: Deployment, tmp_path: Path) -> None:
    older = write(tmp_path, **{"costs-2026-03-01.csv": HEADER + CHARGE}) / "costs-2026-03-01.csv"
    newer = write(tmp_path, **{"costs-2026-03-02.csv": HEADER + CHARGE * 2}) / "costs-2026-03-02.csv"
    take(replace(focus.SOURCE, decode=refusing), deployment, older)
    take(focus.SOURCE, deployment, newer)

    done = reread(focus.SOURCE, deployment)

    assert done == {"tried": 0, "resolved": 0, "rows": 0}
    assert deployment.warehouse.query("select count(*) as n from raw_focus__charges")["n"].item() == 2


def test_a_file_that_has_changed_is_not_tried_and_that_is_said(deployment: Deployment, tmp_path: Path) -> None:
    path = write(tmp_path, report=REPORT) / "report"
    take(replace(tests.SOURCE, decode=refusing), deployment, path)
    path.write_text(REPORT + " ", encoding="utf-8")
    events: list[Any] = []

    rejected(deployment.settings, {"replay": True}, events.append)

    text = next(event["text"] for event in events if "replayed:" in event.get("text", ""))
    assert text.startswith("0 replayed: 0 accepted, 0 refused again; 1 not tried")


@pytest.mark.parametrize("name", ["half", "rotated"])
def test_a_file_that_was_finished_is_no_longer_shown_as_unfinished(
    deployment: Deployment, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, half=span(1) + "\n" + span(2)[:50]) / "half"
    take(otlp.SOURCE, deployment, path)
    with deployment.warehouse.connect(read_only=True) as con:
        before = unfinished(con)
    path = path.rename(tmp_path / name)
    path.write_text(f"{span(1)}\n{span(2)}\n", encoding="utf-8")

    take(otlp.SOURCE, deployment, path)

    with deployment.warehouse.connect(read_only=True) as con:
        after = unfinished(con)
    assert [(row["name"], row["is_there"]) for row in before] == [(str(tmp_path / "half"), True)]
    assert after == []


def test_of_an_unfinished_file_that_is_gone_nothing_more_is_promised(deployment: Deployment, tmp_path: Path) -> None:
    path = write(tmp_path, half=span(1) + "\n" + span(2)[:50]) / "half"
    said = take(otlp.SOURCE, deployment, path)
    path.unlink()
    events: list[Any] = []

    report_intake(deployment, [said], events.append)

    text = next(event["text"] for event in events if "end inside a message" in event.get("text", ""))
    assert "the file is gone" in text
    assert "next ingest" not in text


def test_of_a_compressed_file_that_is_cut_off_no_rest_is_promised(deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "half.gz"
    path.write_bytes(gzip.compress(f"{span(1)}\n{span(2)[:50]}".encode()))
    events: list[Any] = []

    report_intake(deployment, [take(otlp.SOURCE, deployment, path)], events.append)

    text = next(event["text"] for event in events if "end inside a message" in event.get("text", ""))
    assert text.startswith(f"{path}: ")
    assert text.endswith("it is cut off: write it again as a whole")
    assert "next ingest" not in text


def test_results_that_name_a_run_wait_for_it_and_are_not_told_to_lack_a_revision(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = write(tmp_path, report=REPORT) / "report"
    said = {"source": "tests", **take_in(tests.SOURCE, Inputs(paths=[str(path)], run_id="77"), deployment)}
    row = {"repo_id": "r", "run_id": "77", "test_id": "c::t", "attempt": 1, "status": "passed", "known_at": AT}
    deployment.warehouse.append(CORE_CI_TEST_RESULTS, from_rows(CORE_CI_TEST_RESULTS, [row]))
    events: list[Any] = []

    report_intake(deployment, [said], events.append)

    lines = [event.get("text", "") for event in events]
    assert any("1 of 1 test results are of CI runs that were not taken in yet" in line for line in lines)
    assert not any("have no revision" in line for line in lines)


def test_a_later_ingest_tells_what_earlier_ones_refused_with_its_reasons(
    deployment: Deployment, tmp_path: Path
) -> None:
    bad = {"deployment_id": "d", "service_key": "a", "version": "1", "started_at": "2026-03-01T12:00:00Z"}
    path = write(tmp_path, d=f"{json.dumps(bad)}\nno json") / "d"
    first = take(deployments.SOURCE, deployment, path)
    begun = deployment.settings.now()
    again = take(deployments.SOURCE, deployment, path)
    at_first: list[Any] = []
    then: list[Any] = []

    report_intake(deployment, [first], at_first.append, begun=datetime(2000, 1, 1))
    report_intake(deployment, [again], then.append, begun=begun)

    lines = [event.get("text", "") for event in then]
    assert "still refused: 2 pieces that earlier ingests refused. All of it: weaver-forge rejected" in lines
    assert f"  1 x deployments: service_key 'a' is not namespace/name/environment ({path}, line 1)" in lines
    assert not any("still refused" in event.get("text", "") for event in at_first)


def test_results_without_a_revision_are_among_what_is_missing_and_come_first_in_what_to_do(
    deployment: Deployment,
) -> None:
    row = {"repo_id": "r", "run_id": "report-1", "test_id": "c::t", "attempt": 1, "status": "passed", "known_at": AT}
    deployment.warehouse.append(CORE_CI_TEST_RESULTS, from_rows(CORE_CI_TEST_RESULTS, [row]))
    deployment.specs = load_specs(replace(deployment.settings, decisions={"test_selection": "models.test_selection"}))
    events: list[Any] = []

    report_gaps(deployment, events.append)
    report_next(deployment, events.append)

    gaps, then = events
    assert ["revision of tests", "test_selection"] in [row[:2] for row in gaps["rows"]]
    assert then["text"].startswith("Next: weaver-forge ingest --tests REPORTS --revision SHA")


def test_the_newest_of_reports_is_said_to_be_the_time_of_the_file_unless_the_report_says_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    take(tests.SOURCE, deployment, write(tmp_path, report=REPORT) / "report")
    received = deployment.warehouse.query("select max(received_at) from raw_tests__results").item()
    row = {"repo_id": "r", "run_id": "report-1", "test_id": "c::t", "attempt": 1, "status": "passed"}
    deployment.warehouse.append(CORE_CI_TEST_RESULTS, from_rows(CORE_CI_TEST_RESULTS, [{**row, "known_at": received}]))
    of_the_file = seen(deployment, "tests")["newest_is"]
    later = {**row, "run_id": "2", "known_at": received + timedelta(hours=1)}
    deployment.warehouse.append(CORE_CI_TEST_RESULTS, from_rows(CORE_CI_TEST_RESULTS, [later]))

    assert of_the_file == "time of the file"
    assert seen(deployment, "tests")["newest_is"] == "end of a test run"
    assert seen(deployment, "git")["newest_is"] is None


def test_files_that_nothing_reads_are_remembered_until_they_are_taken_in(
    deployment: Deployment, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder, a="no idea\n", b=REPORT, c="no idea either\n")
    (folder / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    named_inputs({UNSAID: {"paths": [str(folder)]}}, deployment.settings, lambda _: None)
    at_first = {Path(row["file"]).name for row in unread(deployment.settings.unread)}
    take(deployments.SOURCE, deployment, folder / "cut.gz")
    take(tests.SOURCE, deployment, folder / "a", folder / "b")

    settle(deployment)

    after = {Path(row["file"]).name: row["reason"] for row in unread(deployment.settings.unread)}
    assert {"a", "c"} <= at_first
    assert set(after) == {"c", "cut.gz"}
    assert "Fetch or write it again" in after["cut.gz"]


def test_a_replay_ends_with_the_next_command(deployment: Deployment, tmp_path: Path) -> None:
    path = write(tmp_path, export=REPORT, bad="{}") / "export"
    take(replace(tests.SOURCE, decode=refusing), deployment, path)
    take(deployments.SOURCE, deployment, tmp_path / "bad")
    events: list[Any] = []

    rejected(deployment.settings, {"replay": True}, events.append)
    rejected(deployment.settings, {"replay": True}, events.append)

    first, again = [event["text"] for event in events if event.get("text", "").startswith("Next: ")]
    assert first.startswith("Next: weaver-forge ingest (computes what is made of the new rows), then mend the file")
    assert again.startswith("Next: mend the file and take it in again (the kept bytes: weaver-forge rejected --export")


def test_a_compressed_file_that_stays_cut_off_is_refused_with_what_to_do(
    deployment: Deployment, tmp_path: Path
) -> None:
    path, plain = tmp_path / "half.gz", write(tmp_path, half=f"{span(1)}\n{span(2)[:50]}") / "half"
    path.write_bytes(gzip.compress(f"{span(3)}\n{span(4)[:50]}".encode()))
    for file in (path, plain):
        os.utime(file, (0, 0))

    said = take(otlp.SOURCE, deployment, path, plain)

    reasons = {Path(r["first"].split(",")[0]).name: r["reason"] for r in json.loads(said["top_reasons"])}
    assert reasons["half.gz"].endswith("nothing has followed: give the whole file again")
    assert reasons["half"].endswith("nothing has followed: it is taken in once the file has the rest")


def test_an_ingest_ends_with_the_next_commands(deployment: Deployment, tmp_path: Path) -> None:
    before: list[Any] = []
    after: list[Any] = []

    report_next(deployment, before.append)
    take(deployments.SOURCE, deployment, write(tmp_path, d="{}") / "d")
    report_next(deployment, after.append)

    assert before[0]["text"].startswith("Next: weaver-forge doctor")
    assert "weaver-forge rejected" not in before[0]["text"]
    assert "weaver-forge rejected" in after[0]["text"]


def test_notes_of_one_kind_are_one_line() -> None:
    events: list[Any] = []
    notes = [
        "2 GitLab documents of a kind that is not used: push",
        "1 GitLab documents of a kind that is not used: issue",
        "/a.xml: the report holds no test",
        "/b.xml: the report holds no test",
        "shallow clone",
        "shallow clone",
    ]

    report_notes(notes, events.append)

    assert [event["text"] for event in events] == [
        "/a.xml: the report holds no test (1 more file like it)",
        "shallow clone",
        "3 GitLab documents of a kind that is not used: push (2), issue (1)",
    ]


def test_reports_without_a_service_in_several_files_are_added_up_by_source(
    deployment: Deployment, tmp_path: Path
) -> None:
    page = {"event_type": "incident.triggered", "occurred_at": "2026-03-01T10:00:05Z"}
    of = {"type": "incident", "title": "t", "created_at": "2026-03-01T10:00:00Z", "status": "triggered"}
    for name in ("a", "b"):
        text = json.dumps({"event": page | {"id": name, "data": of | {"id": name}}})
        take(incidents.SOURCE, deployment, write(tmp_path, **{name: text}) / name)
    events: list[Any] = []

    report_notes(deployment.notes, events.append)

    (said,) = [event["text"] for event in events]
    assert said.startswith("2 of the reports on incidents named no service: ")


def test_files_without_a_source_go_to_the_one_that_reads_them_and_the_rest_is_told(
    deployment: Deployment, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    (folder / "repository" / ".git").mkdir(parents=True)
    write(folder, a=REPORT, b=span(1), c="no idea\n", d="", e=HEADER + CHARGE, f='{"x": 1}')
    (folder / "g.gz").write_bytes(gzip.compress(span(2).encode()))
    (folder / ".hidden").write_text(REPORT, encoding="utf-8")
    events: list[Any] = []

    found = guess([str(folder)], tmp_path)
    given = {UNSAID: {"paths": [str(folder)], "run_id": "7"}, "otlp": {"paths": ["more"]}}
    made, unread = named_inputs(given, deployment.settings, events.append)

    assert {source: [Path(path).name for path in paths] for source, paths in found.of.items()} == {
        "tests": ["a"], "otlp": ["b", "g.gz"], "focus": ["e"], "git": ["repository"],
    }  # fmt: skip
    assert {Path(one.file).name for one in found.unread} == {"c", "d", "f"}
    assert made["otlp"]["paths"] == ["more", str(folder / "b"), str(folder / "g.gz")]
    assert (made["tests"]["run_id"], "run_id" in made["focus"]) == ("7", False)
    assert [one["file"] for one in unread] == [one.file for one in found.unread]


def test_a_file_of_no_known_source_says_which_flags_there_are(deployment: Deployment, tmp_path: Path) -> None:
    path = write(tmp_path, c="no idea\n") / "c"

    with pytest.raises(UsageError, match=r"plain text.*--git PATH.*--tests PATH.*--incidents PATH"):
        named_inputs({UNSAID: {"paths": [str(path)]}}, deployment.settings, lambda _: None)


PUSHED = {"url": "https://api.github.com/repos/acme/shop/deployments/7", "sha": "a" * 40}
RUN = {"head_sha": "a" * 40, "run_attempt": 1}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("source", "document"),
    [
        ("deployments", {"deployment": PUSHED, "repository": {}, "workflow_run": RUN}),
        ("deployments", {"deployment_status": {"state": "success"}, "deployment": PUSHED, "check_run": {}}),
        ("deployments", [{**PUSHED, "statuses_url": PUSHED["url"] + "/statuses"}]),
        ("github_actions", {"workflow_job": RUN, "deployment": PUSHED}),
        ("", {"check_run": {"deployment": PUSHED}, "repository": {}}),
        ("deployments", {"object_kind": "deployment", "status": "success", "deployment_id": 15}),
        ("deployments", {"context": {"links": [{"a": 1}], "type": "dev.cdevents.service.deployed.0.3.0"}}),
        ("incidents", {"context": {"id": "1", "type": "dev.cdevents.incident.detected.0.3.0"}, "subject": {}}),
        ("incidents", {"specversion": "1.0", "type": "dev.cdevents.incident.resolved.0.3.0", "data": {}}),
        ("", {"context": {"type": "dev.cdevents.build.queued.0.3.0"}}),
        ("", {"message": {"type": "dev.cdevents.incident.detected.0.3.0"}}),
    ],
)
def test_events_of_deployments_and_incidents_are_told_by_their_outermost_object(
    tmp_path: Path, source: str, document: Any, indent: int | None
) -> None:
    path = write(tmp_path, event=json.dumps(document, indent=indent)) / "event"

    found = guess([str(path)], tmp_path)

    assert list(found.of) == ([source] if source else [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"object_kind": "push", "ref": "x"}', "a GitLab webhook of a kind that is not read"),
        ("<coverage version='7'/>", "a coverage report in XML, which does not say which test covers what"),
        ('{"context": {"type": "dev.cdevents.build.queued.0.3.0"}}', "a CDEvent that is neither service.* nor"),
    ],
)
def test_what_nothing_reads_is_called_by_its_name(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path, other=text) / "other"

    (unread,) = guess([str(path)], tmp_path).unread

    assert unread.reason.startswith(reason)
    assert not unread.flag


def test_telemetry_without_a_zero_byte_at_its_beginning_is_told_from_a_text(tmp_path: Path) -> None:
    """Logs of the collector's file exporter have times in fixed64, whose bytes need not be zero."""
    data = LogsData()
    record = data.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.body.string_value = 1_767_600_123_456_789_123, "a line " * 20
    message = data.SerializeToString()
    framed = len(message).to_bytes(4, "big") + message
    varint = bytes([len(message) & 127 | 128, len(message) >> 7]) + message
    assert b"\x00" not in message

    for name, content in (("fixed", framed), ("varint", varint), ("bare", message)):
        (tmp_path / name).write_bytes(content)
    found = guess([str(tmp_path)], tmp_path)

    assert {Path(path).name for path in found.of["otlp"]} == {"fixed", "varint", "bare"}
    assert found.unread == []


def test_a_hidden_data_file_of_coverage_is_read_and_another_database_is_not(tmp_path: Path) -> None:
    for name, table in ((".coverage", "coverage_schema"), ("other.db", "things"), (".hidden", "coverage_schema")):
        with closing(sqlite3.connect(tmp_path / name)) as con:
            con.execute(f"CREATE TABLE {table} (version integer)")

    found = guess([str(tmp_path)], tmp_path)

    assert found.of == {"coverage": [str(tmp_path / ".coverage")]}
    assert [(Path(one.file).name, one.flag) for one in found.unread] == [("other.db", "--coverage")]


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceSpans": [{"scopeSpans"\n{"resourceSp\n',
        '{"resourceSpans" [}\n',
        '{"resourceSp',
        '{"scope": {}}]}\n' + span(1) + "\n",
        'Id": "1"}]}\n' + span(1) + "\n",
        span(1)[:40] + "\x00\x00\n" + span(2) + "\n",
    ],
)
def test_damaged_lines_of_telemetry_go_to_otlp_and_are_refused_or_waited_for_with_their_place(
    deployment: Deployment, tmp_path: Path, text: str
) -> None:
    path = write(tmp_path, lines=text) / "lines"

    found = guess([str(path)], tmp_path)
    said = take(otlp.SOURCE, deployment, path)

    assert found.of == {"otlp": [str(path)]}
    with deployment.warehouse.connect(read_only=True) as con:
        assert said["rejected"] or unfinished(con)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("name,cost", "a table without BilledCost: no FOCUS export"),
        ("ServiceName,BillingCurrency,EffectiveCost,ChargePeriodEnd",
         "a table without BilledCost, ChargePeriodStart: no FOCUS export"),
        ("ServiceName,x", "a table without BilledCost, EffectiveCost, ChargePeriodStart and 2 more: no FOCUS export"),
        ("ContractCommitmentId,BillingCurrency", "the FOCUS dataset ContractCommitment, which nothing here uses"),
    ],
)  # fmt: skip
def test_a_table_that_is_no_export_of_costs_says_which_columns_it_lacks(
    tmp_path: Path, header: str, reason: str
) -> None:
    path = write(tmp_path, table=header + ("\n" + "," * header.count(",")) * 3 + "\n") / "table"

    (unread,) = guess([str(path)], tmp_path).unread

    assert unread.reason.startswith(reason)


def test_every_reason_is_a_row_with_its_first_file_and_flag(tmp_path: Path) -> None:
    folder = write(tmp_path, a=REPORT, b="<other/>", c="<html/>", d="x,y\n1,2\n", e="x,z\n1,2\n")
    events: list[Any] = []

    _, unread = named_inputs(
        {UNSAID: {"paths": [str(folder)]}},
        Settings(root=tmp_path, python=Path(sys.executable), decisions={}),
        events.append,
    )

    (table,) = [event for event in events if event["event"] == "table"]
    assert table["title"] == "Not read: 4 files"
    assert [(row[0], row[2], Path(row[3]).name) for row in table["rows"]] == [
        (2, None, "d"), (1, "--tests", "b"), (1, None, "c"),
    ]  # fmt: skip
    assert unread[0] == {"file": str(folder / "b"), "reason": "XML", "try": "--tests"}


def test_more_than_a_dozen_reasons_are_folded_and_all_files_are_in_the_result(tmp_path: Path) -> None:
    starts = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"PK\x03\x04", b"BZh", b"\x7fELF", b"\xff\xfe",
              b"7z\xbc\xaf\x27\x1c", b"PAR1", b"<xml/>", b"<html/>", b"a;b\n1;2\n", b"once", b"{}")  # fmt: skip
    for n, start in enumerate(starts):
        (tmp_path / f"{n:02}").write_bytes(start)
    events: list[Any] = []

    with pytest.raises(UsageError, match=r"cannot be told.*12 other kinds, above"):
        named_inputs(
            {UNSAID: {"paths": [str(tmp_path)]}},
            Settings(root=tmp_path, python=Path(sys.executable), decisions={}),
            events.append,
        )

    table, fold = events[0], events[1]
    assert (len(table["rows"]), fold["text"]) == (12, "and 3 more for 3 other reasons: --json lists every file")
    assert [Path(one["file"]).name for one in events[-1]["data"]["unread"]] == [f"{n:02}" for n in range(len(starts))]


@pytest.mark.outside
def test_real_payloads_go_to_the_source_that_reads_them() -> None:
    data = outside_data()
    if data is None:
        pytest.skip("no test data: WEAVER_FORGE_TEST_DATA is not set")
    folders = [str(data / "fixtures" / name) for name in ("cdevents", "github-webhooks", "gitlab-webhooks", "coverage")]

    found = guess(folders, data)

    assert {source: len(paths) for source, paths in found.of.items()} == {
        "deployments": 12, "incidents": 3, "github_actions": 11, "gitlab": 3, "coverage": 2,
    }  # fmt: skip
    assert len([one for one in found.unread if "CDEvent" in one.reason]) > 30


def test_a_large_file_is_identified_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 << 20)

    tracemalloc.start()
    content_id(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 << 20
