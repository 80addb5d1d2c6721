"""Runs and jobs of GitHub Actions -> ``raw_github_actions__runs`` and ``raw_github_actions__jobs``.

Read are answers of the REST API (``{"workflow_runs": [...]}``, ``{"jobs": [...]}``, one run or job alone, lists of
these), the webhooks ``workflow_run`` and ``workflow_job``, received or saved, and JSON lines of any of them. Exports
from before 2021-06 have no ``run_attempt`` and ``run_started_at``: attempt 1, start unknown. Fetching belongs in
``sources.github``; which run a test report is from is decided in ``links.ci``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_JOBS, RAW_GITHUB_ACTIONS_RUNS
from weaver_forge.decode.envelope import envelopes
from weaver_forge.decode.payload import (
    Json,
    Refused,
    identity,
    instant,
    number,
    optional_instant,
    optional_text,
    part,
    text,
)
from weaver_forge.decode.recognise import other_source

_API = re.compile(r"https?://(?P<host>[^/]+)/(?:api/v3/)?repos/(?P<name>[^/]+/[^/]+)/")
_WEB = re.compile(r"https?://(?P<host>[^/]+)/(?P<name>[^/]+/[^/]+)/(?:actions|runs|commit)/")
_PROGRESS = {"waiting": 0, "requested": 0, "pending": 1, "queued": 1, "in_progress": 2, "completed": 3}
_EVENTS = ("workflow_run", "workflow_job")


def decode(frames: Iterable[Frame]) -> Batch:
    """Read runs and jobs; a bad one is rejected alone, a webhook of another kind is counted and left out.

    Args:
        frames: Whole files or answers.
    """
    runs: list[dict[str, Any]] = []
    jobs: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    unused: Counter[str] = Counter()
    for envelope in envelopes(frames):
        if isinstance(envelope, Rejected):
            rejected.append(envelope)
            continue
        for place, item in _items(envelope.position, envelope.body):
            if kind := _other_kind(item, envelope.event):
                unused[kind] += 1
                continue
            try:
                _store(item, runs, jobs)
            except Refused as refusal:
                reason = f"{refusal}{other_source(envelope.data, 'github_actions')}"
                rejected.append(envelope.rejected(reason, position=place, piece=item))
    tables = {
        table.name: newest(table, from_rows(table, rows))
        for table, rows in ((RAW_GITHUB_ACTIONS_RUNS, runs), (RAW_GITHUB_ACTIONS_JOBS, jobs))
    }
    notes = tuple(f"{n} GitHub webhooks of a kind that is not used: {kind}" for kind, n in sorted(unused.items()))
    return Batch(tables, tuple(rejected), notes)


def newest(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the newest report on each row: the same thing may be told before and after it ended, in any order."""
    ordered = frame.with_row_index("place").sort(table.newest_by_columns, nulls_last=False, maintain_order=True)
    return ordered.unique(table.key, keep="last").sort("place").drop("place")


def _items(position: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Unfold lists, answers and webhooks to single runs and jobs, each with its place in words."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _items(f"{position}[{place}]", item)
    elif isinstance(value, dict) and isinstance(listed := value.get("workflow_runs", value.get("jobs")), list):
        name = "workflow_runs" if "workflow_runs" in value else "jobs"
        for place, item in enumerate(listed):
            yield f"{position}.{name}[{place}]", item
    elif isinstance(value, dict) and (event := _event(value)):
        # The job itself names no repository.
        yield f"{position}.{event}", {"repository": value.get("repository"), **value[event]}
    else:
        yield position, value


def _event(value: Json) -> str:
    """Which of the two webhooks it is: that of a job may tell of a deployment, and that of a deployment of a run."""
    about = [name for name in _EVENTS if part(value, name)]
    return "" if about == ["workflow_run"] and "deployment" in value else (about or [""])[-1]


def _other_kind(item: Any, event: str) -> str:
    """The kind of a webhook that is not about a run or job; empty for everything else.

    A payload that was saved without its headers does not say its event; it is told by the keys that only it has.
    """
    if not isinstance(item, dict) or "workflow_id" in item or "run_id" in item:
        return ""
    if event and event not in _EVENTS:
        return event
    if not isinstance(item.get("sender"), dict):
        return ""
    known = ("check_run", "check_suite", "deployment_status", "deployment", "pull_request", "merge_group", "alert")
    return next((kind for kind in known if kind in item), "push" if "pusher" in item else "other")


def _store(item: Any, runs: list[dict[str, Any]], jobs: list[dict[str, Any]]) -> None:
    if not isinstance(item, dict):
        raise Refused(f"expected a run or a job, found {type(item).__name__}")
    if "run_id" in item:
        jobs.append(_job(item))
    elif "workflow_id" in item or "run_attempt" in item or "run_number" in item:
        runs.append(_run(item))
    else:
        raise Refused("neither a workflow run (workflow_id, run_number) nor a job (run_id)")


def _run(item: Json) -> dict[str, Any]:
    return {
        "repo_id": _repo_id(item),
        "run_id": identity(item, "id"),
        "run_attempt": number(item, "run_attempt") or 1,
        "run_number": number(item, "run_number"),
        "workflow": str(item.get("name") or item.get("path") or item.get("workflow_id") or ""),
        "event": str(item.get("event") or ""),
        "branch": optional_text(item, "head_branch"),
        "revision": text(item, "head_sha"),
        "status": text(item, "status"),
        "conclusion": optional_text(item, "conclusion"),
        "created_at": instant(item, "created_at"),
        "started_at": optional_instant(item, "run_started_at"),
        "updated_at": instant(item, "updated_at"),
        "progress": _progress(item),
    }


def _job(item: Json) -> dict[str, Any]:
    labels = item.get("labels") or []
    progress = _progress(item)
    return {
        "repo_id": _repo_id(item),
        "job_id": identity(item, "id"),
        "run_id": identity(item, "run_id"),
        "run_attempt": number(item, "run_attempt") or 1,
        "name": text(item, "name"),
        "revision": text(item, "head_sha"),
        "status": text(item, "status"),
        "conclusion": optional_text(item, "conclusion"),
        "created_at": optional_instant(item, "created_at"),
        # A job that waits in the queue is said to have started when it was made.
        "started_at": optional_instant(item, "started_at") if progress >= _PROGRESS["in_progress"] else None,
        "completed_at": optional_instant(item, "completed_at"),
        "labels": ",".join(map(str, labels)) if isinstance(labels, list) else "",
        "progress": progress,
    }


def _repo_id(item: Json) -> str:
    repository = part(item, "repository")
    if repo_id := repo_id_from_remote(str(repository.get("html_url") or "")):
        return repo_id
    if name := repository.get("full_name"):
        return f"github.com/{name}"
    for key in ("run_url", "url", "html_url"):
        address = str(item.get(key) or "")
        if match := _API.match(address) or _WEB.match(address):
            host = match["host"].lower()
            return f"{'github.com' if host == 'api.github.com' else host}/{match['name']}"
    raise Refused("no repository is named: repository.full_name, url or run_url is needed")


def _progress(item: Json) -> int:
    """How far it has come; a status that is not known is taken for one before the end."""
    return _PROGRESS.get(text(item, "status"), 1)
