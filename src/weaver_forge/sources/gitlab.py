"""The CI history of a GitLab project, by its REST API, as files in the inbox.

Pipelines, their jobs with those that were retried, their test reports, and deployments. Files are read by
``decode.gitlab``, ``decode.gitlab_test_report`` and ``decode.gitlab_deployments``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from weaver_forge.sources.fetched import Fetched, Item, write_whole
from weaver_forge.sources.github import FLUSH, Imported
from weaver_forge.sources.listing import Json, Listed, pages, whole
from weaver_forge.sources.rest import Rest
from weaver_forge.sources.rest_limits import Absent

API = "https://gitlab.com/api/v4"
HEADERS = {"Accept": "application/json"}

OVERLAP = timedelta(hours=1)
"""What was updated so long before the last import is listed again: a page may be older than its answer."""

_NOT_BEGUN = frozenset({"created", "blocked"})
_ENDED = frozenset({"success", "failed", "canceled", "skipped"})


def import_gitlab(
    rest: Rest, fetched: Fetched, project: str, inbox: Path, *, now: datetime, since: datetime | None = None
) -> Imported:
    """Fetch what is new of a project; what is known and unchanged is not fetched again.

    Args:
        rest: A conversation with the API, token included.
        fetched: The memory; keep one for each API address.
        project: ``group/name`` with all subgroups, or its number.
        inbox: The deployment's inbox.
        now: The current instant, naive UTC.
        since: Pipelines and deployments not updated since then are left out; None for all.

    Raises:
        SourceError: If the server refuses or cannot be reached; what was fetched before that is kept.
    """
    work = _Import(rest, fetched, project.strip("/"), inbox, since, Imported(project))
    work.all_pipelines(now)
    work.all_deployments(now)
    return work.done


@dataclass(slots=True)
class _Import:
    """One import under way."""

    rest: Rest
    fetched: Fetched
    project: str
    inbox: Path
    since: datetime | None
    done: Imported

    @property
    def _at(self) -> str:
        return f"/projects/{quote(self.project, safe='')}"

    def all_pipelines(self, now: datetime) -> None:
        """List the pipelines updated since the last import, and fetch each with its jobs and test report."""
        scope = f"pipelines {self.project}"
        for listed in pages(self.rest, self.fetched, self._listing(scope, "pipelines"), None):
            self._pipelines(scope, listed)
        self._reached(scope, now)

    def all_deployments(self, now: datetime) -> None:
        """List the deployments updated since the last import; the list tells all of them."""
        scope = f"deployments {self.project}"
        for listed in pages(self.rest, self.fetched, self._listing(scope, "deployments"), None):
            changed = [item for item in self._changed(scope, listed) if item.get("status") not in _NOT_BEGUN]
            self._write("deployments", "gitlab", [line for item in changed for line in self._deployment(item)])
            self.done.deployments += len(changed)
            self.fetched.remember(scope, [self._item(item) for item in changed], listed.address, listed.page)
        self._reached(scope, now)

    def _listing(self, scope: str, what: str) -> str:
        """The address of what was updated since the last time.

        Ordered by id, newest first: what is added or updated while the pages are turned moves others to later pages,
        so that some are seen twice and none is missed; ordered by update, they would move to earlier ones.
        """
        address = f"{self._at}/{what}?per_page=100&order_by=id&sort=desc"
        since = self._start(scope)
        return address if since is None else f"{address}&updated_after={since.isoformat(timespec='seconds')}Z"

    def _start(self, scope: str) -> datetime | None:
        began, reached = (self.fetched.mark(scope) or "..").split("..")
        since = "" if self.since is None else self.since.isoformat()
        if reached and began <= since <= reached:
            again = datetime.fromisoformat(reached) - OVERLAP
            return again if self.since is None else max(again, self.since)
        return self.since

    def _reached(self, scope: str, now: datetime) -> None:
        began, reached = (self.fetched.mark(scope) or "..").split("..")
        since = "" if self.since is None else self.since.isoformat()
        joins = bool(reached) and began <= since <= reached
        # To the day: the address, and with it the ETag, is the same all day long.
        day = datetime(now.year, now.month, now.day)  # noqa: DTZ001 - naive UTC is the house rule
        self.fetched.set_mark(scope, f"{began if joins else since}..{day.isoformat()}")

    def _changed(self, scope: str, listed: Listed) -> list[Json]:
        return [item for item in listed.items or () if _version(item) != self.fetched.version(scope, str(item["id"]))]

    def _pipelines(self, scope: str, listed: Listed) -> None:
        for part in _parts(self._changed(scope, listed)):
            lines: list[bytes] = []
            for item in part:
                pipeline, jobs = self._pipeline(item)
                lines += [msgspec.json.encode(pipeline), msgspec.json.encode(jobs)]
                self._write("tests", f"pipeline-{item['id']}", self._report(pipeline))
            self._write("gitlab", "pipelines", lines)
            self.fetched.remember(scope, [self._item(item) for item in part])
        self.fetched.remember(scope, (), listed.address, listed.page)

    def _pipeline(self, item: Json) -> tuple[Json, list[Json]]:
        """The pipeline itself, which alone tells when it started and finished, and its jobs once it has ended."""
        at = f"{self._at}/pipelines/{item['id']}"
        pipeline = self.rest.get(at).data
        self.done.runs += 1
        if item.get("status") not in _ENDED:
            return pipeline, []
        try:
            jobs = whole(self.rest, f"{at}/jobs?include_retried=true&per_page=100", None)
        except Absent:
            self.done.notes.append(f"{self.project}: the jobs of pipeline {item['id']} are gone")
            return pipeline, []
        self.done.jobs += len(jobs)
        return pipeline, jobs

    def _report(self, pipeline: Json) -> list[bytes]:
        """The test report of a pipeline that has ended and has one, with the pipeline that it is of."""
        if pipeline.get("status") not in _ENDED:
            return []
        try:
            report = self.rest.get(f"{self._at}/pipelines/{pipeline['id']}/test_report").data
        except Absent:
            return []  # the project does not collect test reports
        if not report.get("total_count"):
            return []
        told = {name: pipeline.get(name) for name in ("id", "sha", "web_url", "started_at", "finished_at")}
        return [msgspec.json.encode({"pipeline": told, "test_report": report})]

    def _deployment(self, item: Json) -> Iterator[bytes]:
        """A deployment as the webhook tells it: once when it begins, and once when it has ended."""
        page = f"{self.rest.base.split('/api/', maxsplit=1)[0]}/{self.project}"
        environment, job = item.get("environment"), item.get("deployable")
        told = {
            "object_kind": "deployment",
            "deployment_id": item["id"],
            "environment": environment.get("name") if isinstance(environment, dict) else "",
            "project": {"web_url": page, "path_with_namespace": self.project},
            "ref": item.get("ref"),
            "short_sha": str(item.get("sha"))[:8],
            "commit_url": f"{page}/-/commit/{item.get('sha')}",
        }
        started = (isinstance(job, dict) and job.get("started_at")) or item.get("created_at")
        yield msgspec.json.encode({**told, "status": "running", "status_changed_at": started})
        if item.get("status") in _ENDED:
            ended = (isinstance(job, dict) and job.get("finished_at")) or item.get("updated_at")
            yield msgspec.json.encode({**told, "status": item.get("status"), "status_changed_at": ended})

    def _item(self, item: Json) -> Item:
        is_open = item.get("status") not in _ENDED
        return Item(str(item["id"]), _version(item), str(item.get("created_at")), is_open)

    def _write(self, source: str, stem: str, lines: list[bytes]) -> None:
        if lines:
            folder = self.inbox / source / "fetched" / self.project.replace("/", "__")
            self.done.files.append(write_whole(folder, stem, lines))


def _version(item: Json) -> str:
    return f"{item.get('status')} {item.get('updated_at')}"


def _parts(items: list[Json]) -> Iterator[list[Json]]:
    for start in range(0, len(items), FLUSH):
        yield items[start : start + FLUSH]
