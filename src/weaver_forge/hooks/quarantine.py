"""Which flaky tests are in quarantine: they run and are recorded, and their failures stop nobody until a date. Pure but
for reading one small file.

Put here what the record of it means, how hooks read what is published, and which tests past runs propose. Writing the
record is the command's, publishing it ``publishing_quarantine``'s. Nothing is ever quarantined without an end, and
whatever is missing, expired or cannot be read lets failures count: a safety net must not fail open.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FILE = "quarantine.json"
IN, OUT = "in", "out"

LEAST_UNSTABLE = 2
"""Unstable revisions below which a test is not proposed: one may have been the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A test in quarantine.

    Args:
        since: From when it holds, naive UTC.
        expires_at: The first instant at which it no longer does.
        evidence: What past runs showed when it was put in; empty where that is not known.
    """

    repo_id: str
    test_id: str
    reason: str
    actor: str
    since: datetime
    expires_at: datetime
    evidence: Mapping[str, Any]

    def as_data(self) -> dict[str, Any]:
        """For JSON; instants with a Z."""
        return {
            "repo_id": self.repo_id,
            "test_id": self.test_id,
            "reason": self.reason,
            "actor": self.actor,
            "since": self.since.isoformat() + "Z",
            "expires_at": self.expires_at.isoformat() + "Z",
            "evidence": dict(self.evidence),
        }


def held(rows: Iterable[Mapping[str, Any]], now: datetime) -> tuple[Quarantined, ...]:
    """What is in quarantine at an instant, by repository and test.

    Args:
        rows: Of the ledger's ``quarantines``, in the order of the chain.
        now: Naive UTC; later rows do not count, nor what has expired by then.
    """
    newest = {(row["repo_id"], row["test_id"]): row for row in rows if row["made_at"] <= now}
    return tuple(
        Quarantined(
            repo_id=repo_id,
            test_id=test_id,
            reason=str(row["reason"]),
            actor=str(row["actor"]),
            since=row["made_at"],
            expires_at=row["expires_at"],
            evidence=row.get("evidence") or {},
        )
        for (repo_id, test_id), row in sorted(newest.items())
        if row["state"] == IN and row["expires_at"] is not None and row["expires_at"] > now
    )


def read_quarantine(folder: Path | None, now: datetime, repo_id: str = "") -> tuple[tuple[Quarantined, ...], str]:
    """What is published beside a snapshot and has not expired; and why it cannot be read, empty where it can.

    Args:
        folder: Of the published snapshot; None where there is none.
        now: Naive UTC.
        repo_id: Of this repository only; of all where it is empty.
    """
    if folder is None:
        return (), ""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))["quarantined"]
        found = tuple(_read(row) for row in rows)
    except FileNotFoundError:
        return (), ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (), f"{folder / FILE} cannot be read, so no test is in quarantine: {error}"
    return tuple(one for one in found if one.expires_at > now and repo_id in {"", one.repo_id}), ""


def of_one_repository(found: Sequence[Quarantined]) -> tuple[Sequence[Quarantined], str]:
    """Entries that may excuse a failure by its test's id alone, and why none may.

    Tests of several repositories may be called the same, so entries of several excuse nothing: a safety net must not
    fail open.
    """
    if len({one.repo_id for one in found}) > 1:
        return (), "no test counts as in quarantine: entries are of several repositories, and which this is nobody says"
    return found, ""


def _read(row: Mapping[str, Any]) -> Quarantined:
    return Quarantined(
        repo_id=str(row["repo_id"]),
        test_id=str(row["test_id"]),
        reason=str(row.get("reason") or ""),
        actor=str(row.get("actor") or ""),
        since=datetime.fromisoformat(str(row["since"]).removesuffix("Z")),
        expires_at=datetime.fromisoformat(str(row["expires_at"]).removesuffix("Z")),
        evidence=row.get("evidence") or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstable:
    """A test that came out both ways on one revision, with what shows it.

    Args:
        n_runs: Runs of it in the time that was looked at.
        n_failed: Of these, failed in all attempts.
        n_flaky: Of these, attempts of one run disagreed.
        n_disagreed: Revisions on which one run passed and another failed.
        examples: Revisions on which it was unstable, newest first.
        newest_at: When it was last seen so.
    """

    repo_id: str
    test_id: str
    n_runs: int
    n_failed: int
    n_flaky: int
    n_disagreed: int
    examples: tuple[str, ...]
    newest_at: datetime

    @property
    def n_unstable(self) -> int:
        """Times at which it showed itself unstable."""
        return self.n_flaky + self.n_disagreed

    @property
    def words(self) -> str:
        """The evidence in one line."""
        parts = [f"attempts disagreed in {self.n_flaky}"] if self.n_flaky else []
        parts += [f"runs of one revision disagreed on {self.n_disagreed}"] if self.n_disagreed else []
        return (
            f"{' and '.join(parts)} of {self.n_runs} runs, last {self.newest_at:%Y-%m-%d}: {', '.join(self.examples)}"
        )

    def as_evidence(self) -> dict[str, Any]:
        """For the record."""
        return {
            "n_runs": self.n_runs,
            "n_failed": self.n_failed,
            "n_flaky": self.n_flaky,
            "n_disagreed": self.n_disagreed,
            "examples": list(self.examples),
            "newest_at": self.newest_at.isoformat() + "Z",
        }


UNSTABLE_SQL = """
-- grain: test that came out both ways on some revision
with per_revision as (
    select repo_id, test_id, revision,
        count(*) as n_runs,
        count(*) filter (where verdict = 'failed') as n_failed,
        count(*) filter (where verdict = 'flaky') as n_flaky,
        bool_or(verdict = 'failed') and bool_or(verdict = 'passed') as disagreed,
        max(run_ended_at) as seen_at
    from core_ci__test_verdicts
    where verdict <> 'skipped' and run_ended_at > ? and (? = '' or repo_id = ?)
    group by all
)
select repo_id, test_id,
    sum(n_runs)::bigint as n_runs,
    sum(n_failed)::bigint as n_failed,
    sum(n_flaky)::bigint as n_flaky,
    count(*) filter (where disagreed) as n_disagreed,
    list(revision order by seen_at desc) filter (where disagreed or n_flaky > 0) as examples,
    max(seen_at) filter (where disagreed or n_flaky > 0) as newest_at
from per_revision
group by all
having newest_at is not null
"""
"""Parameters: from when on, and the repository twice (empty: all)."""

_EXAMPLES = 3


def proposals(
    rows: Iterable[Mapping[str, Any]], already: Sequence[Quarantined] = (), *, least: int = LEAST_UNSTABLE
) -> tuple[Unstable, ...]:
    """Tests that should be in quarantine, the most unstable first.

    Args:
        rows: Of :data:`UNSTABLE_SQL`.
        already: What is in quarantine: not proposed again.
        least: Times that a test must have been unstable.
    """
    known = {(one.repo_id, one.test_id) for one in already}
    found = [unstable(row) for row in rows if (row["repo_id"], row["test_id"]) not in known]
    return tuple(
        sorted(
            (one for one in found if one.n_unstable >= least),
            key=lambda one: (-one.n_unstable / one.n_runs, -one.n_unstable, one.repo_id, one.test_id),
        )
    )


def unstable(row: Mapping[str, Any]) -> Unstable:
    """A row of :data:`UNSTABLE_SQL` as what it says."""
    return Unstable(
        repo_id=str(row["repo_id"]),
        test_id=str(row["test_id"]),
        n_runs=int(row["n_runs"]),
        n_failed=int(row["n_failed"]),
        n_flaky=int(row["n_flaky"]),
        n_disagreed=int(row["n_disagreed"]),
        examples=tuple(str(revision)[:12] for revision in (row["examples"] or ())[:_EXAMPLES]),
        newest_at=row["newest_at"],
    )
