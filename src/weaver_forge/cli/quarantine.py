"""``quarantine``: flaky tests that run and are recorded and stop nobody, until a date. The record is the ledger's."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.autonomy import user
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import SourceError, UsageError, WeaverForgeError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.hooks.publishing_quarantine import publish_quarantine
from weaver_forge.hooks.quarantine import (
    IN,
    LEAST_UNSTABLE,
    OUT,
    UNSTABLE_SQL,
    Quarantined,
    Unstable,
    held,
    of_one_repository,
    proposals,
    unstable,
)
from weaver_forge.hooks.revision import repository_at
from weaver_forge.hooks.selecting.reading import TESTS
from weaver_forge.ledger import Ledger
from weaver_forge.ledger import spool as ledger_spool
from weaver_forge.ledger.queries_quarantine import quarantines
from weaver_forge.policy import effective, in_force

Json = Annotated[bool, Parameter(negative="")]
From = Annotated[Path | None, Parameter(name="--from")]
DAYS = 30
SHOWN = 20
_LASTING = re.compile(r"(?P<number>\d+)\s*(?P<unit>[dhw])")
_HOURS = {"h": 1, "d": 24, "w": 168}
_COLUMNS = ("test", "repository", "since", "expires", "actor", "reason")


def listed(*, all: Json = False, from_: From = None, json: Json = False) -> int:  # noqa: A002 - the flag's name
    """Show which tests are in quarantine. They run and are recorded; their failures stop nobody until they expire.

    Args:
        all: Everything that was ever put in or let out, oldest first, from the ledger.
        from_: A deployment or a published folder; wins over the deployment found from here.
        json: Print as JSON.
    """
    at = place(from_)
    if all:
        rows = _events(at)
        if json:
            text.as_json(plain(rows))
            return 0
        names = ("made_at", "state", "test_id", "expires_at", "actor", "reason")
        cells = [[instant(row[n]) if n.endswith("_at") else row[n] for n in names] for row in rows]
        for line in text.table(names, cells):
            text.out(line)
        return 0
    found, problem = at.quarantined("")
    if problem:
        text.note(f"WARNING: {problem}")
    if json:
        text.as_json([one.as_data() for one in found])
    elif not found:
        text.out("No test is in quarantine.")
    else:
        for line in text.table(_COLUMNS, [_cells(one) for one in found]):
            text.out(line)
    return 0


def add(test: str, /, *, expires: str, reason: str, actor: str = "", repo: str = "", json: Json = False) -> int:
    """Put a flaky test in quarantine until a date: it runs and is recorded, and its failures stop nobody.

    The date is required, and the policy's `quarantine_days` is the longest that it may lie ahead. What past runs showed
    of the test is written down with it.

    Args:
        test: Its id, or a unique part of it.
        expires: From when on its failures count again: a date (2026-04-01) or a time from now (14d, 2w, 48h).
        reason: Why, in words; it stands in the ledger.
        actor: Who says so; the user's name where it is not said.
        repo: Its repository, where several have such a test.
        json: Print the record as JSON.
    """
    at = _deployment()
    now = at.settings.now()
    _refuse_no_reason(reason)
    until = _until(expires, now, _most_days(at))
    repo_id, test_id = _known(at, test, repo)
    shown = next((row for row in _unstable_rows(at, now, DAYS, repo_id) if row["test_id"] == test_id), None)
    row = {
        "repo_id": repo_id, "test_id": test_id, "state": IN, "reason": reason, "actor": actor or user(),
        "made_at": now, "expires_at": until, "evidence": unstable(shown).as_evidence() if shown else None,
    }  # fmt: skip
    where = _written(at, row, now)
    if json:
        text.as_json(plain({**row, "recorded": where}))
        return 0
    text.out(f"In quarantine until {instant(until)}: {test_id} ({where})")
    text.out(f"  past {DAYS} days: {unstable(shown).words}" if shown else f"  never seen unstable in {DAYS} days")
    text.out("It runs and is recorded; where its failures alone stopped a run, they do not until then.")
    return 0


def remove(test: str, /, *, reason: str, actor: str = "", repo: str = "", json: Json = False) -> int:
    """Let a test out of quarantine before its date: its failures count again.

    Args:
        test: Its id, or a unique part of it.
        reason: Why, in words; it stands in the ledger.
        actor: Who says so; the user's name where it is not said.
        repo: Its repository, where several have such a test.
        json: Print the record as JSON.
    """
    at = _deployment()
    now = at.settings.now()
    _refuse_no_reason(reason)
    inside = [one for one in held(_events(at), now) if test in one.test_id and repo in {"", one.repo_id}]
    inside = [one for one in inside if one.test_id == test] or inside
    if len(inside) != 1:
        some = ", ".join(one.test_id for one in inside[:3]) or "none that is called so"
        raise UsageError(f"{test!r} is not one test in quarantine: {some}", do="See weaver-forge quarantine")
    row = {
        "repo_id": inside[0].repo_id, "test_id": inside[0].test_id, "state": OUT, "reason": reason,
        "actor": actor or user(), "made_at": now, "expires_at": None, "evidence": None,
    }  # fmt: skip
    where = _written(at, row, now)
    if json:
        text.as_json(plain({**row, "recorded": where}))
    else:
        text.out(f"Out of quarantine: {inside[0].test_id} ({where}). Its failures count again.")
    return 0


def propose(*, days: int = DAYS, least: int = LEAST_UNSTABLE, from_: From = None, json: Json = False) -> int:
    """Say which tests came out both ways on one revision, with the evidence, and how to put them in quarantine.

    Args:
        days: How far back runs are looked at.
        least: Times that a test must have been unstable.
        from_: A deployment or a published folder; wins over the deployment found from here.
        json: Print as JSON.
    """
    at = place(from_)
    now = at.settings.now()
    inside, problem = at.quarantined("")
    if problem:
        text.note(f"WARNING: {problem}")
    found = proposals(_unstable_rows(at, now, days), inside, least=least)
    if json:
        text.as_json([{"repo_id": one.repo_id, "test_id": one.test_id, **one.as_evidence()} for one in found])
        return 0
    if not found:
        text.out(f"No test was unstable {least} times or more in the last {days} days.")
        return 0
    for one in found[:SHOWN]:
        text.out(f"{one.test_id}\n  {one.words}")
    if len(found) > SHOWN:
        text.out(f"and {len(found) - SHOWN} more: --json")
    text.out(f"\n{_how(found[0])}")
    return 0


def check(*reports: Path, repo: str = "", from_: From = None, json: Json = False) -> int:
    """Say whether anything failed in test reports besides tests in quarantine: exit code 0 if not, 1 if so.

    For runners that know nothing of a quarantine: let them end without an error, then ask here. A test that failed and
    passed within the reports is flaky and does not count; what was not collected or did not build counts.

    Args:
        reports: Files as ingest takes them: JUnit, CTRF, go test, TRX, NUnit, xUnit.
        repo: The repository that they are of; else the one around the working directory.
        from_: A deployment or a published folder; wins over the deployment found from here.
        json: Print as JSON.
    """
    from weaver_forge.hooks.quarantine_verdict import verdict_of

    if not reports:
        raise UsageError("no report is named", where="quarantine check", do="Name the files that the runner wrote")
    at = place(from_)
    repository = repository_at(Path.cwd())
    repo_id = repo or (repository.repo_id if repository else "")
    entries, problem = at.quarantined(repo_id)
    inside, ambiguous = of_one_repository(entries)
    if problem or ambiguous:
        text.note(f"WARNING: {problem or ambiguous}" + (" (--repo)" if ambiguous else ""))
    found = verdict_of(reports, inside, at.settings.now())
    if json:
        text.as_json(found.as_data())
    else:
        for line in found.lines():
            text.out(line)
    return 1 if found.counts else 0


def _refuse_no_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("no reason is given", where="quarantine", do="Give --reason WHY; it stands in the ledger")


def _deployment() -> Place:
    """The deployment found from here: only there can something be put in or let out."""
    at = place(None)
    if not at.is_deployment:
        raise SourceError("there is no deployment here", where="quarantine", do="Run it in the deployment")
    return at


def _events(at: Place) -> list[dict[str, Any]]:
    if not at.is_deployment:
        raise SourceError("the ledger is not in reach", where="quarantine", do="Run it in the deployment")
    with Ledger.open(at.settings.ledger_url, create=False) as ledger:
        return quarantines(ledger)


def _written(at: Place, row: Mapping[str, Any], now: datetime) -> str:
    """Write to the ledger and publish; where the ledger does not take it, to the spool, and it holds from then on."""
    try:
        with Ledger.open(at.settings.ledger_url) as ledger:
            ledger.append("quarantines", [row], now=now)
            publish_quarantine(at.settings.published, ledger, now=now)
    except (OSError, WeaverForgeError) as error:
        kept = ledger_spool.append(at.settings.spool, row, now=now, kind="quarantines")
        text.note(f"WARNING: the ledger did not take it, so it holds from the next ingest on: {error}")
        return f"spool {kept}"
    return "ledger"


def _most_days(at: Place) -> float:
    policy = in_force(at.policy_text, at.policy_name)
    return effective(policy, "test_selection", "skip_tests").quarantine_days


def _until(said: str, now: datetime, most_days: float) -> datetime:
    """The instant that is meant.

    Raises:
        UsageError: If it cannot be read, has passed, or lies further ahead than the policy allows.
    """
    from weaver_forge.ledger.canonical import instant_of

    lasting = _LASTING.fullmatch(said.strip())
    try:
        until = now + timedelta(hours=int(lasting["number"]) * _HOURS[lasting["unit"]]) if lasting else instant_of(said)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{said!r} is no date", where="--expires", do="Write 2026-04-01, or 14d from now") from error
    if until <= now:
        raise UsageError(f"{said} has passed", where="--expires", do="Give a date that is still to come")
    if until > now + timedelta(days=most_days):
        raise UsageError(
            f"{said} is more than {most_days:g} days ahead, the policy's quarantine_days",
            where="--expires",
            do="Give an earlier date; it may be put in again then",
        )
    return until


def _known(at: Place, test: str, repo: str) -> tuple[str, str]:
    """Repository and id of the one known test that is meant.

    Raises:
        UsageError: If none or several are.
    """
    if at.snapshot is None or TESTS not in at.snapshot.tables():
        raise SourceError("no test results are published", where="quarantine add", do="Run `weaver-forge run`")
    sql = f"select distinct repo_id, test_id from {TESTS} where contains(test_id, ?) order by all"  # noqa: S608 - a constant
    rows = [row for row in at.snapshot.rows(sql, [test]) if repo in {"", row["repo_id"]}]
    rows = [row for row in rows if row["test_id"] == test] or rows
    if len(rows) != 1:
        some = ", ".join(f"{row['test_id']} ({row['repo_id']})" for row in rows[:3])
        what = f"{test!r} is a part of {len(rows)} tests: {some}" if rows else f"no test is called {test!r}"
        raise UsageError(what, where="quarantine add", do="Give its whole id, and --repo where several have it")
    return str(rows[0]["repo_id"]), str(rows[0]["test_id"])


def _unstable_rows(at: Place, now: datetime, days: int, repo_id: str = "") -> Sequence[dict[str, Any]]:
    if at.snapshot is None or TESTS not in at.snapshot.tables():
        return []
    return at.snapshot.rows(UNSTABLE_SQL, [now - timedelta(days=days), repo_id, repo_id])


def _cells(one: Quarantined) -> list[Any]:
    return [one.test_id, one.repo_id, instant(one.since), instant(one.expires_at), one.actor, one.reason]


def _how(one: Unstable) -> str:
    return f"To put one in: weaver-forge quarantine add '{one.test_id}' --expires 14d --reason WHY"
