"""JUnit XML -> ``raw_tests__results``: one row an execution attempt, whatever the producer calls it.

There is no standard; this is the project's one reading of what runners write. What holds:

* status is error over failure over skipped over passed; totals of a suite are never trusted.
* surefire's ``flaky*`` children are failed attempts before the one that passed, its ``rerun*`` children are
  further failed attempts after the first.
* pytest-rerunfailures writes every failed attempt as a bare test case, which looks passed. Where a pytest suite
  holds more elements than its ``tests`` says, all but the last of the same name are failed attempts.
* other elements with the same suite, classname and name are attempts in the order of the file.
* ``pytest.xfail`` is xfailed; ``[XPASS(strict)]`` is xpassed, which fails its run; a collection error is none of
  the tests.
* A DTD is refused with the file: it is the door to entity bombs and to reading local files.
* A file that breaks off keeps its complete test cases; the rest is rejected.

The reading of one file is in ``junit_report``; linking reports to runs and revisions is ``links.ci``.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_columns
from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.junit_report import Case, Report, read_report

_REVISION_NAMES = (
    "revision",
    "git.sha",
    "git_sha",
    "github_sha",
    "ci_commit_sha",
    "git_commit",
    "vcs.ref.head.revision",
    "commit",
)
_RUN_NAMES = ("run_id", "github_run_id", "cicd.pipeline.run.id", "ci_pipeline_id")
_REPO_NAMES = ("repo_id", "repo", "repository", "github_repository", "vcs.repository.url.full")
# Maven's `revision` is a version such as 1.0-SNAPSHOT: only a full commit id links to a commit.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GITHUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def context_json(
    *,
    revision: str | None = None,
    run_id: str | None = None,
    repo_id: str | None = None,
    run_number: str | None = None,
) -> str:
    """What the caller says about a report, as canonical JSON; ``{}`` when nothing."""
    given = {"repo_id": repo_id, "revision": revision, "run_id": run_id, "run_number": run_number}
    return json.dumps({k: v for k, v in given.items() if v is not None}, sort_keys=True, separators=(",", ":"))


def decode(
    frames: Iterable[Frame],
    *,
    received_at: datetime,
    revision: str | None = None,
    run_id: str | None = None,
    repo_id: str | None = None,
    run_number: str | None = None,
) -> Batch:
    """Read JUnit XML reports.

    Args:
        frames: One whole file each.
        received_at: When the reports arrived, naive UTC: modification time of the file.
        revision: Full commit id given with the reports; it holds over suite properties.
        run_id: CI run given with the reports.
        repo_id: Repository given with the reports.
        run_number: Number of the CI run given with the reports; a run of that number links them later.
    """
    given = {"revision": revision, "run_id": run_id, "repo_id": repo_id}
    context = context_json(revision=revision, run_id=run_id, repo_id=repo_id, run_number=run_number)
    columns: dict[str, list[Any]] = {name: [] for name in RAW_TEST_RESULTS.column_names}
    rejected: list[Rejected] = []
    notes: list[str] = []
    for frame in frames:
        report = read_report(frame.data)
        rejected += [Rejected(frame.name, *piece) for piece in report.rejected]
        notes += [f"{frame.name}: {note}" for note in report.notes]
        constant = {
            "report_sha256": hashlib.sha256(frame.data).hexdigest(),
            "context": context,
            "received_at": received_at,
        }
        _append(columns, report, constant, given)
    return Batch({RAW_TEST_RESULTS.name: from_columns(RAW_TEST_RESULTS, columns)}, tuple(rejected), tuple(notes))


def _append(
    columns: dict[str, list[Any]], report: Report, constant: Mapping[str, Any], given: Mapping[str, str | None]
) -> None:
    """Add a report's attempts to the columns, test case by test case."""
    subjects = _subjects(report, given)
    earlier: dict[tuple[str, str, str], int] = {}
    for case, attempts in zip(report.cases, _attempts(report), strict=True):
        key = (case.suite.name, case.classname, case.name)
        first = earlier.get(key, 0)
        earlier[key] = first + len(attempts)
        row = {
            **constant,
            "format": "junit",
            "producer": "pytest" if case.suite.is_pytest else "",
            "parent": None,
            "position": case.position,
            "suite": case.suite.name,
            "classname": case.classname,
            "name": case.name,
            "file": case.file,
            "suite_started_raw": case.suite.timestamp,
            "suite_started_at": parse_instant(case.suite.timestamp) if case.suite.timestamp else None,
            "hostname": case.suite.hostname,
            **subjects[case.suite.number],
        }
        for number, (status, duration_ms, message) in enumerate(attempts, first + 1):
            row.update(attempt=number, status=status, duration_ms=duration_ms, message=message)
            for name, column in columns.items():
                column.append(row[name])


def _attempts(report: Report) -> list[Sequence[tuple[str, float | None, str | None]]]:
    """Give the attempts of every case, in order: earlier flaky ones, the case itself, later reruns."""
    remaining: dict[tuple[int, str, str], int] = {}
    for case in report.cases:
        key = (case.suite.number, case.classname, case.name)
        remaining[key] = remaining.get(key, 0) + 1
    attempts: list[Sequence[tuple[str, float | None, str | None]]] = []
    for case in report.cases:
        key = (case.suite.number, case.classname, case.name)
        remaining[key] -= 1
        status = case.status
        if remaining[key] and status == "passed" and _hides_reruns(case, report):
            status = "failed"
        attempts.append((*case.flaky, (status, case.duration_ms, case.message), *case.reruns))
    return attempts


def _hides_reruns(case: Case, report: Report) -> bool:
    """Say whether repeated elements of the suite are pytest's failed attempts.

    A report that breaks off cannot be counted; pytest writes one name twice for no other reason.
    """
    suite = case.suite
    return suite.is_pytest and (report.is_partial or suite.n_cases > (suite.tests or 0))


def _subjects(report: Report, given: Mapping[str, str | None]) -> dict[int, dict[str, str | None]]:
    """Find revision, run and repository of every suite: given, its own properties, else the one the file has."""
    readers = {"revision": _revision, "run_id": _run_id, "repo_id": _repo_id}
    subjects: dict[int, dict[str, str | None]] = {suite.number: {} for suite in report.suites}
    for column, reader in readers.items():
        own = {suite.number: reader(suite.properties) for suite in report.suites}
        distinct = {value for value in own.values() if value}
        only = next(iter(distinct)) if len(distinct) == 1 else None
        for suite in report.suites:
            subjects[suite.number][column] = given[column] or own[suite.number] or only
    return subjects


def _revision(properties: Mapping[str, str]) -> str | None:
    found = (properties.get(name, "").strip().lower() for name in _REVISION_NAMES)
    return next((value for value in found if _COMMIT.fullmatch(value)), None)


def _run_id(properties: Mapping[str, str]) -> str | None:
    found = (properties.get(name, "").strip() for name in _RUN_NAMES)
    return next((value for value in found if value), None)


def _repo_id(properties: Mapping[str, str]) -> str | None:
    for name in _REPO_NAMES:
        value = properties.get(name, "").strip()
        if name == "github_repository" and _GITHUB_NAME.fullmatch(value):
            return f"github.com/{value}"
        if value:
            return repo_id_from_remote(value) or value
    return None
