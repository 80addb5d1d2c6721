"""The CI history of a GitHub repository, by its REST API, as files in the inbox.

Runs with all their attempts (a rerun overwrites its run's conclusion, so earlier attempts are asked for one by one),
their jobs, and deployments with their statuses. Webhooks tell the same sooner, but one that failed is not delivered
again: this fills the gaps. Files are read by ``decode.github_actions`` and ``decode.github_deployments``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from weaver_forge.errors import ConfigurationError
from weaver_forge.sources.fetched import Fetched, Item, write_whole
from weaver_forge.sources.listing import Json, Listed, pages, whole
from weaver_forge.sources.rest import Rest
from weaver_forge.sources.rest_limits import Absent

API = "https://api.github.com"
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

LISTED = 1000
"""A filtered list of runs ends after so many, whatever its total says."""
WINDOW_S = 32 * 86400
"""First length of the windows of creation time that runs are listed by; halved until at most LISTED are in one.

They lie on a fixed grid, so that the addresses, and with them the ETags, are the same in every import."""
KEPT = timedelta(days=400)
"""GitHub keeps runs so long; what is read when no start is named."""
RERUN = timedelta(days=31)
"""A run can be run again for 30 days: younger ones are listed again each time."""
FLUSH = 25
"""Things fetched with all that belongs to them before they are written: what a crash costs at most."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC is the house rule
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_ENDED = frozenset({"success", "failure", "error", "inactive"})


@dataclass(slots=True)
class Imported:
    """What one import of a repository brought. Counts are of things written now, not of what was known."""

    repository: str
    runs: int = 0
    attempts: int = 0
    jobs: int = 0
    deployments: int = 0
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_github(
    rest: Rest, fetched: Fetched, repository: str, inbox: Path, *, now: datetime, since: datetime | None = None
) -> Imported:
    """Fetch what is new of a repository; what is known and unchanged costs a free request a page.

    Args:
        rest: A conversation with the API, ``HEADERS`` and token included.
        fetched: The memory; keep one for each API address.
        repository: ``owner/name``.
        inbox: The deployment's inbox.
        now: The current instant, naive UTC.
        since: Runs and deployments created before it are left out; None for all that GitHub keeps.

    Raises:
        SourceError: If the server refuses or cannot be reached; what was fetched before that is kept.
        ConfigurationError: If the repository is not named owner/name.
    """
    if not _NAME.fullmatch(repository):
        raise ConfigurationError(f"repository {repository!r} is not owner/name", where="[github] repositories")
    work = _Import(rest, fetched, repository, inbox, since, Imported(repository))
    work.all_runs(now)
    work.all_deployments(now)
    return work.done


@dataclass(slots=True)
class _Import:
    """One import under way."""

    rest: Rest
    fetched: Fetched
    repository: str
    inbox: Path
    since: datetime | None
    done: Imported

    def all_runs(self, now: datetime) -> None:
        """List the runs window by window, oldest first, and fetch those that are new or have changed."""
        scope = f"runs {self.repository}"
        since = "" if self.since is None else _text(self.since)
        began, reached = (self.fetched.mark(scope) or "..").split("..")
        joins = bool(reached) and began <= since <= reached
        for first, last in self._windows(scope, reached if joins else "", now):
            self._window(scope, first, last)
        self.fetched.set_mark(scope, f"{began if joins else since}..{_text(now)}")

    def _windows(self, scope: str, reached: str, now: datetime) -> Iterator[tuple[int, int]]:
        """What to list: from the start, or (all up to ``reached`` is known) from where something may have changed."""
        named = 0 if self.since is None else _seconds(self.since)
        start = named or _seconds(now - KEPT)
        if reached:
            open_from = self.fetched.oldest_open(scope)
            again = _seconds(_instant(reached) - RERUN)
            start = max(start, min(again, _seconds(_instant(open_from)) if open_from else again))
        for first in range(start - start % WINDOW_S, _seconds(now) + 1, WINDOW_S):
            # A start that was named is kept to the second; one of our own making begins with its window.
            yield max(first, named), first + WINDOW_S - 1

    def _window(self, scope: str, first: int, last: int) -> None:
        """Read the runs created from ``first`` to ``last``, both included, or in halves where they are too many."""
        times = f"{_text(_EPOCH + timedelta(seconds=first))}..{_text(_EPOCH + timedelta(seconds=last))}"
        address = f"/repos/{self.repository}/actions/runs?per_page=100&exclude_pull_requests=true&created={times}"
        for is_again in (False, True):
            n_listed, n_total = 0, 0
            for listed in pages(self.rest, self.fetched, address, "workflow_runs"):
                n_total = max(n_total, listed.page.n_total or 0)
                if n_total > LISTED and first < last:
                    self.fetched.remember(scope, (), listed.address, listed.page)
                    middle = (first + last + 1) // 2
                    self._window(scope, first, middle - 1)
                    self._window(scope, middle, last)
                    return
                n_listed += listed.page.n_items
                self._runs(scope, listed)
            if n_listed >= min(n_total, LISTED) or is_again:
                break  # else runs were deleted while the pages were turned, and others moved up unseen
        if n_listed < n_total:
            self.done.notes.append(f"{self.repository}: {n_listed} of {n_total} runs of {times} are listed")

    def _runs(self, scope: str, listed: Listed) -> None:
        changed = [run for run in listed.items or () if self._version(run) != self.fetched.version(scope, _id(run))]
        for part in _parts(changed):
            items: list[Item] = []
            lines = [msgspec.json.encode({"workflow_runs": part})]
            for run in part:
                more, attempts = self._belonging(run)
                lines += more
                is_open = run.get("status") != "completed"
                items.append(Item(_id(run), self._version(run), str(run.get("created_at")), is_open))
                self.done.runs += 1
                self.done.attempts += attempts
            self._write("github_actions", "runs", lines)
            self.fetched.remember(scope, items)
        self.fetched.remember(scope, (), listed.address, listed.page)

    def _belonging(self, run: Json) -> tuple[list[bytes], int]:
        """Earlier attempts that were not seen to their end, and the jobs of all attempts once the run has ended."""
        lines: list[bytes] = []
        attempts = 0
        at = f"/repos/{self.repository}/actions/runs/{_id(run)}"
        seen = self.fetched.version(f"runs {self.repository}", _id(run)).split()
        # The attempt that was stored as completed needs no second look.
        first = int(seen[0]) + (seen[1] == "completed") if seen else 1
        for number in range(first, int(run.get("run_attempt") or 1)):
            try:
                lines.append(msgspec.json.encode(self.rest.get(f"{at}/attempts/{number}").data))
                attempts += 1
            except Absent:
                self.done.notes.append(f"{self.repository}: attempt {number} of run {_id(run)} is gone")
        if run.get("status") != "completed":
            return lines, attempts
        try:
            jobs = whole(self.rest, f"{at}/jobs?filter=all&per_page=100", "jobs")
        except Absent:
            self.done.notes.append(f"{self.repository}: the jobs of run {_id(run)} are gone")
            return lines, attempts
        self.done.jobs += len(jobs)
        return [*lines, msgspec.json.encode({"jobs": jobs})], attempts

    def all_deployments(self, now: datetime) -> None:
        """List deployments, newest first, until those come that are known and too old to change."""
        scope = f"deployments {self.repository}"
        old = _text(now - RERUN)
        for listed in pages(self.rest, self.fetched, f"/repos/{self.repository}/deployments?per_page=100", None):
            created = [str(item.get("created_at")) for item in listed.items or ()]
            changed = [
                item
                for item in listed.items or ()
                if str(item.get("updated_at")) != self.fetched.version(scope, _id(item))
                and (self.since is None or str(item.get("created_at")) >= _text(self.since))
            ]
            for part in _parts(changed):
                items = [self._deployment(item) for item in part]
                self._write("deployments", "github", [line for _, lines in items for line in lines])
                self.fetched.remember(scope, [item for item, _ in items])
            self.fetched.remember(scope, (), listed.address, listed.page)
            if created and not changed and max(created) < min(old, self.fetched.oldest_open(scope) or old):
                break

    def _deployment(self, deployment: Json) -> tuple[Item, list[bytes]]:
        """Every status of a deployment, in the form in which the webhook ``deployment_status`` tells it."""
        at = f"/repos/{self.repository}/deployments/{_id(deployment)}/statuses?per_page=100"
        statuses = sorted(whole(self.rest, at, None), key=lambda status: str(status.get("created_at")))
        host = self.rest.base.removeprefix("https://").removeprefix("http://").split("/", maxsplit=1)[0]
        page = f"https://{'github.com' if host == 'api.github.com' else host}/{self.repository}"
        repository = {"full_name": self.repository, "html_url": page}
        lines = [
            msgspec.json.encode({"deployment_status": status, "deployment": deployment, "repository": repository})
            for status in statuses
        ]
        self.done.deployments += 1
        is_open = not statuses or statuses[-1].get("state") not in _ENDED
        created = str(deployment.get("created_at"))
        return Item(_id(deployment), str(deployment.get("updated_at")), created, is_open), lines

    def _write(self, source: str, stem: str, lines: list[bytes]) -> None:
        if lines:
            folder = self.inbox / source / "fetched" / self.repository.replace("/", "__")
            self.done.files.append(write_whole(folder, stem, lines))

    @staticmethod
    def _version(run: Json) -> str:
        """What tells whether a run has changed; begins with its attempt and status, which are read back."""
        return f"{run.get('run_attempt') or 1} {run.get('status')} {run.get('conclusion')} {run.get('updated_at')}"


def _id(item: Json) -> str:
    return str(item.get("id"))


def _parts(items: list[Json]) -> Iterator[list[Json]]:
    for start in range(0, len(items), FLUSH):
        yield items[start : start + FLUSH]


def _seconds(instant: datetime) -> int:
    return int((instant - _EPOCH).total_seconds())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))


def _text(instant: datetime) -> str:
    return f"{instant.isoformat(timespec='seconds')}Z"
