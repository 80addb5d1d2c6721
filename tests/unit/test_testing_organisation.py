"""The simulated organisation: the same every time, of the real formats, and true to its own truth."""

import csv
import gzip
import hashlib
import json
import struct
import subprocess
import xml.etree.ElementTree as ET  # noqa: S405 - our own files, written a moment ago
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS, RAW_INCIDENTS_EVENTS
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.testing import OrganisationPlan, Truth, advance_git, read_truth, stage, write_organisation

PLAN = OrganisationPlan.small()
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulation") / "organisation"
    write_organisation(PLAN, path)
    return path


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    return read_truth(folder)


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("simulation") / "again"
    return path, write_organisation(PLAN, path)


@pytest.fixture(scope="module")
def spans(folder: Path) -> list[dict[str, Any]]:
    return spans_of(folder)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder / "repo"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def files_of(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "repo" not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def messages(data: bytes) -> Iterator[ExportTraceServiceRequest]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield ExportTraceServiceRequest.FromString(data[at + 4 : at + 4 + size])
        at += 4 + size


def spans_of(folder: Path) -> list[dict[str, Any]]:
    """Every span of the folder, read with the official classes or as plain JSON."""
    found = []
    for path in sorted((folder / "traces").glob("*.pb.gz")):
        for message in messages(gzip.decompress(path.read_bytes())):
            for resource in message.resource_spans:
                of = {a.key: a.value.string_value for a in resource.resource.attributes}
                found += [
                    {
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "kind": span.kind,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "is_error": span.status.code == 2,
                        "resource": of,
                        "attributes": {a.key: a.value.string_value or a.value.int_value for a in span.attributes},
                    }
                    for span in resource.scope_spans[0].spans
                ]
    for path in sorted((folder / "traces").glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            for resource in json.loads(line)["resourceSpans"]:
                of = {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]}
                found += [
                    {
                        "trace": span["traceId"],
                        "id": span["spanId"],
                        "parent": span["parentSpanId"],
                        "kind": span["kind"],
                        "start": int(span["startTimeUnixNano"]),
                        "end": int(span["endTimeUnixNano"]),
                        "is_error": span["status"].get("code") == 2,
                        "resource": of,
                        "attributes": {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]},
                    }
                    for span in resource["scopeSpans"][0]["spans"]
                ]
    return found


def test_the_same_plan_gives_the_same_bytes(folder: Path, again: tuple[Path, Truth]) -> None:
    second, _ = again

    assert files_of(second) == files_of(folder)
    assert git(second, "rev-parse", "refs/simulation/future") == git(folder, "rev-parse", "refs/simulation/future")


def test_another_seed_gives_another_organisation(truth: Truth, tmp_path: Path) -> None:
    plan = OrganisationPlan(seed=8, days=3, services=1, commits=20, spans=500, infrastructure_incidents=0, leak_day=1)

    other = write_organisation(plan, tmp_path / "other")

    assert not set(other.bug_inducing) & set(truth.bug_inducing)


def test_the_truth_survives_its_file(again: tuple[Path, Truth]) -> None:
    folder, written = again

    assert read_truth(folder) == written


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")

    with pytest.raises(UsageError):
        write_organisation(PLAN, tmp_path)


def test_the_folder_says_that_it_is_a_simulation(folder: Path) -> None:
    assert "simulated" in (folder / "README.md").read_text()


def test_the_repository_is_sound_and_holds_every_change(folder: Path, truth: Truth) -> None:
    git(folder, "fsck", "--strict")

    revisions = git(folder, "log", "--reverse", "--format=%H", "main").split()

    assert revisions == [change.revision for change in truth.changes]
    assert not git(folder, "status", "--porcelain")


def test_blame_of_the_lines_a_fix_removes_finds_the_guilty_commit(folder: Path, truth: Truth) -> None:
    fixes = [(change.revision, change.fixed_by) for change in truth.changes if change.fixed_by]
    missed = []
    for guilty, fix in fixes:
        assert fix is not None
        blamed = set()
        for path in git(folder, "diff", "--name-only", f"{fix}~1", fix).split():
            hunks = [
                line for line in git(folder, "diff", "-U0", f"{fix}~1", fix, "--", path).splitlines() if "@@ -" in line
            ]
            for hunk in hunks:
                first, _, count = hunk.split()[1][1:].partition(",")
                if count != "0":
                    lines = f"-L{first},+{count or 1}"
                    blamed |= {
                        row.split()[0]
                        for row in git(folder, "blame", "-l", "-s", lines, f"{fix}~1", "--", path).splitlines()
                    }
        if guilty not in blamed:
            missed.append((guilty, fix))

    assert fixes
    assert not missed


def test_a_revert_names_the_commit_it_takes_back(folder: Path) -> None:
    bodies = git(folder, "log", "--format=%B%x00", "main").split("\0")

    named = [body.split("This reverts commit ")[1].split(".")[0] for body in bodies if "This reverts commit " in body]

    assert named
    assert all(git(folder, "cat-file", "-t", revision).strip() == "commit" for revision in named)


def test_main_stands_at_the_last_commit_before_the_instant(truth: Truth, again: tuple[Path, Truth]) -> None:
    """A commit of exactly that instant is still in the future."""
    folder, _ = again

    revision = advance_git(folder / "repo", truth.changes[10].committed_at)

    assert revision == truth.changes[9].revision
    assert git(folder, "rev-parse", "main").strip() == revision
    assert not git(folder, "status", "--porcelain")
    assert advance_git(folder / "repo", PLAN.starts_at) is None


def test_reports_are_well_formed_and_fail_where_the_truth_says(folder: Path, truth: Truth) -> None:
    """What a report shows as failed at the end is a real failure, or a flaky test that failed three times."""
    runs = {
        str(run["id"]): run["head_sha"]
        for path in (folder / "runs").glob("*.json")
        for run in json.loads(path.read_text()).get("workflow_runs", [])
    }
    wrong = []
    for path in sorted((folder / "reports").rglob("*.xml")):
        expected = set(truth.failing_tests.get(runs[path.parent.name], ()))
        cases = ET.parse(path).getroot().iter("testcase")
        names = {}
        for case in cases:
            names[f"{case.get('classname')}::{case.get('name')}"] = case.find("failure") is not None
        failed = {name for name, is_failed in names.items() if is_failed}
        wrong += [name for name in failed - expected if name not in truth.flaky_tests]
        wrong += [name for name in expected & set(names) if name not in failed]

    assert runs
    assert not wrong


def test_every_run_has_its_reports_and_jobs(folder: Path) -> None:
    documents = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    runs = {str(run["id"]) for document in documents for run in document.get("workflow_runs", [])}
    jobs = Counter(str(job["run_id"]) for document in documents for job in document.get("jobs", []))

    assert runs == {path.name for path in (folder / "reports").iterdir()}
    assert set(jobs) == runs
    assert set(jobs.values()) == {PLAN.services + 1}


def test_spans_read_back_with_the_official_classes_form_whole_traces(spans: list[dict[str, Any]]) -> None:
    by_id = {(span["trace"], span["id"]): span for span in spans}
    children = [span for span in spans if span["parent"]]

    parents = [by_id[span["trace"], span["parent"]] for span in children]

    assert len(by_id) == len(spans)
    assert len(spans) == pytest.approx(PLAN.spans, rel=0.1)
    assert all(p["start"] <= c["start"] and c["end"] <= p["end"] for p, c in zip(parents, children, strict=True))
    assert all(c["kind"] != 2 or p["kind"] == 3 for p, c in zip(parents, children, strict=True))
    assert {span["attributes"].get("http.request.method", "") for span in spans} >= {"GET", "POST"}
    assert any("http.status_code" in span["attributes"] for span in spans)


def test_the_deployed_version_shows_in_the_spans(spans: list[dict[str, Any]], truth: Truth) -> None:
    bad = truth.bad_deployments[0]
    name = bad.service_key.split("/")[1]
    begin, end = ((at - datetime(1970, 1, 1)).total_seconds() for at in (bad.started_at, bad.rolled_back_at))

    seen = [
        span
        for span in spans
        if span["resource"]["service.name"] == name and span["resource"]["service.version"] == bad.version
    ]

    assert seen
    assert all(begin <= span["start"] / 1e9 <= end for span in seen)


def test_incidents_hurt_their_culprit(spans: list[dict[str, Any]], truth: Truth) -> None:
    """In its window an incident with errors has many times the usual share of errors at the culprit."""
    served = [span for span in spans if span["kind"] == 2]
    for incident in truth.incidents:
        begin, end = ((at - datetime(1970, 1, 1)).total_seconds() for at in (incident.started_at, incident.resolved_at))
        name = incident.cause_service_key.split("/")[1]
        own = [span for span in served if span["resource"]["service.name"] == name]
        inside = [span for span in own if begin <= span["start"] / 1e9 < end]
        field = itemgetter("is_error") if incident.mode == "errors" else (lambda s: s["end"] - s["start"])
        usual, then = (sum(map(field, group)) / max(len(group), 1) for group in (own, inside))

        assert not inside or then > 1.5 * usual, incident


def test_records_have_the_columns_of_their_tables(folder: Path, truth: Truth) -> None:
    rows = {
        kind: [
            json.loads(line)
            for path in sorted((folder / kind).glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        for kind in ("deployments", "incidents")
    }

    newest = {row["deployment_id"]: row for row in rows["deployments"]}

    assert all(set(row) <= set(RAW_DEPLOYMENTS_EVENTS.column_names) for row in rows["deployments"])
    assert all(set(row) <= set(RAW_INCIDENTS_EVENTS.column_names) for row in rows["incidents"])
    rolled_back = {name for name, row in newest.items() if row["status"] == "rolled_back"}
    assert rolled_back == {bad.deployment_id for bad in truth.bad_deployments}
    assert {row["incident_id"] for row in rows["incidents"]} == {i.incident_id for i in truth.incidents}


def test_a_cause_is_reported_only_after_the_review(folder: Path) -> None:
    for path in (folder / "incidents").glob("*.jsonl"):
        for record in map(json.loads, path.read_text().splitlines()):
            assert record["resolved_at"] or not record["cause_service_key"]


def test_bills_have_the_mandatory_columns_and_exact_money(folder: Path, truth: Truth) -> None:
    rows = [row for path in (folder / "cost").glob("*.csv") for row in csv.DictReader(path.read_text().splitlines())]

    leak = [row for row in rows if row["ResourceId"] == truth.leak["resource_id"]]

    assert set(rows[0]) >= MANDATORY
    assert any(Decimal(row["BilledCost"]) < 0 for row in rows)
    assert all(Decimal(row["BilledCost"]).as_tuple().exponent == -10 for row in rows)
    before = [Decimal(r["BilledCost"]) for r in leak if r["ChargePeriodStart"] < f"{truth.leak['since']:%Y-%m-%d}"]
    assert Decimal(leak[-1]["BilledCost"]) > max(before)


def test_what_is_after_the_cut_is_not_there(tmp_path: Path, folder: Path) -> None:
    until = PLAN.starts_at + timedelta(days=3, hours=12)

    write_organisation(PLAN, tmp_path / "organisation", until=until)

    days = sorted(path.name for path in (tmp_path / "organisation" / "traces").iterdir())
    assert len(days) == 4
    assert days[0] in {path.name for path in (folder / "traces").iterdir()}
    assert (
        max(span["start"] for span in spans_of(tmp_path / "organisation")) / 1e9
        < (until - datetime(1970, 1, 1)).total_seconds()
    )
    assert (tmp_path / "organisation" / "truth.json").read_bytes() == (folder / "truth.json").read_bytes()


def test_stages_hand_over_every_file_once(folder: Path, tmp_path: Path) -> None:
    """Whatever the cuts between the stages; only bills are stated again, and the last statement is the whole bill."""
    cuts = [
        PLAN.starts_at,
        PLAN.starts_at + timedelta(days=2, hours=7),
        PLAN.starts_at + timedelta(days=5),
        PLAN.ends_at,
    ]

    stages = [stage(folder, tmp_path / str(number), start, end) for number, (start, end) in enumerate(pairwise(cuts))]

    placed = Counter(
        (source, path.relative_to(tmp_path / str(number) / source).as_posix())
        for number, result in enumerate(stages)
        for source, paths in result.items()
        for path in paths
        if source != "focus"
    )
    everything = [name for name in json.loads((folder / "index.json").read_text()) if not name.startswith("cost/")]
    assert set(placed.values()) == {1}
    assert len(placed) == len(everything)
    bill = "focus/focus-2026-01.csv"
    assert (tmp_path / "2" / bill).read_bytes() == (folder / "cost" / "focus-2026-01.csv").read_bytes()
    assert 0 < len((tmp_path / "0" / bill).read_bytes()) < len((tmp_path / "1" / bill).read_bytes())


def test_staged_files_keep_the_time_at_which_they_arrived(folder: Path, tmp_path: Path) -> None:
    placed = stage(folder, tmp_path, PLAN.starts_at, PLAN.starts_at + timedelta(days=1))

    arrived = datetime(2026, 1, 6)
    assert [path.stat().st_mtime for path in placed["otlp"]] == [(arrived - datetime(1970, 1, 1)).total_seconds()]


def test_staging_from_somewhere_else_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        stage(tmp_path, tmp_path / "target", PLAN.starts_at, PLAN.ends_at)
