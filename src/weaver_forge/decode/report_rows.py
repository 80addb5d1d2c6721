"""Test reports as rows of ``raw_tests__results``, whatever format they were read from.

Put here what every row of a report has: its columns, and the revision, run and repository that a report or its
caller names. What a format says is read in that format's module.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.instants import has_zone, parse_instant
from weaver_forge.decode.report import Case, Suite

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
_ZONES = timedelta(hours=14)
_CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the caller says about reports.

    Args:
        received_at: When they arrived, naive UTC: modification time of the file.
        revision: Full commit id; it holds over what a report says.
        run_id: CI run.
        repo_id: Repository.
        run_number: Number of the CI run; a run of that number links them later.
    """

    received_at: datetime
    revision: str | None = None
    run_id: str | None = None
    repo_id: str | None = None
    run_number: str | None = None

    @property
    def context(self) -> str:
        """What was said, as canonical JSON; ``{}`` when nothing."""
        given = {
            "repo_id": self.repo_id, "revision": self.revision, "run_id": self.run_id, "run_number": self.run_number
        }  # fmt: skip
        return json.dumps({k: v for k, v in given.items() if v is not None}, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class ReportRows:
    """Makes rows of one report's cases, all at once or a part at a time."""

    format: str
    sha256: str
    told: Told
    suites: pl.DataFrame

    @classmethod
    def of(cls, kind: str, sha256: str, told: Told, suites: Sequence[Suite]) -> "ReportRows":
        """Look at the suites of a report once: who wrote them, when, and of what."""
        frame = pl.DataFrame(
            {
                "suite": [suite.name for suite in suites],
                "producer": [suite.producer for suite in suites],
                "suite_started_raw": [suite.timestamp for suite in suites],
                "suite_started_at": [_started_at(suite.timestamp, told.received_at) for suite in suites],
                "hostname": [suite.hostname for suite in suites],
                **_subjects(suites, told),
            },
            schema_overrides=dict.fromkeys(
                ("suite_started_raw", "hostname", "revision", "run_id", "repo_id"), pl.String()
            )
            | {"suite_started_at": pl.Datetime("us")},
        )
        return cls(kind, sha256, told, frame)

    def frame(self, cases: Sequence[Case], first_attempts: Sequence[int]) -> pl.DataFrame:
        """Make a row an attempt.

        Args:
            cases: In the order of the report.
            first_attempts: Number of the first attempt of each case: 1, unless the report listed it before.
        """
        if not cases:
            return empty(RAW_TEST_RESULTS)
        counts = [len(case.attempts) for case in cases]
        attempts = [attempt for case in cases for attempt in case.attempts]
        status, duration_ms, message = zip(*attempts, strict=True)
        listed = pl.DataFrame(
            {
                "position": [case.position for case in cases],
                "classname": [case.classname for case in cases],
                "name": [case.name for case in cases],
                "parent": pl.Series([case.parent for case in cases], dtype=pl.String),
                "file": pl.Series([case.file for case in cases], dtype=pl.String),
                "first": pl.Series(first_attempts, dtype=pl.Int32),
            }
        ).hstack(self.suites[[case.suite.number for case in cases]])
        if len(attempts) > len(cases):
            listed = listed[[row for row, n in enumerate(counts) for _ in range(n)]]
        within = [k for n in counts for k in range(n)] if len(attempts) > len(cases) else [0] * len(cases)
        rows = listed.with_columns(
            pl.Series("status", status),
            pl.Series("duration_ms", duration_ms, dtype=pl.Float64),
            pl.Series("message", message, dtype=pl.String),
            attempt=pl.col("first") + pl.Series(within, dtype=pl.Int32),
            report_sha256=pl.lit(self.sha256),
            context=pl.lit(self.told.context),
            format=pl.lit(self.format),
            received_at=pl.lit(self.told.received_at, pl.Datetime("us")),
        )
        return shaped(RAW_TEST_RESULTS, rows)


def _started_at(text: str | None, received_at: datetime) -> datetime | None:
    """Read when a suite began. A time without a zone is taken to be UTC, unless it then lies ahead of the file.

    Such a time, up to 14 hours ahead, is the local one of a runner east of Greenwich: unknown, not in the future.
    """
    at = parse_instant(text) if text else None
    if at is None or text is None or has_zone(text):
        return at
    return None if _CLOCKS < at - received_at <= _ZONES else at


def _subjects(suites: Sequence[Suite], told: Told) -> dict[str, list[str | None]]:
    """Find revision, run and repository of every suite: given, its own properties, else the one the file has."""
    readers: dict[str, tuple[str | None, Callable[[Mapping[str, str]], str | None]]] = {
        "revision": (told.revision, _revision),
        "run_id": (told.run_id, _run_id),
        "repo_id": (told.repo_id, _repo_id),
    }
    found: dict[str, list[str | None]] = {}
    for column, (given, reader) in readers.items():
        own = [reader(suite.properties) for suite in suites]
        distinct = {value for value in own if value}
        only = next(iter(distinct)) if len(distinct) == 1 else None
        found[column] = [given or value or only for value in own]
    return found


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
