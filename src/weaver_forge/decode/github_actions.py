"""Saved answers of the GitHub Actions REST API -> ``raw_github_actions__runs`` and ``raw_github_actions__jobs``.

Read are ``{"workflow_runs": [...]}``, ``{"jobs": [...]}``, one run or job alone, lists of these, and JSON lines of
any of them. Exports from before 2021-06 have no ``run_attempt`` and ``run_started_at``: attempt 1, start unknown.
Fetching belongs in ``sources``; which run a test report is from is decided in ``links.ci``.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_JOBS, RAW_GITHUB_ACTIONS_RUNS
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.json_values import Unreadable, values

_API = re.compile(r"https?://(?P<host>[^/]+)/(?:api/v3/)?repos/(?P<name>[^/]+/[^/]+)/")
_WEB = re.compile(r"https?://(?P<host>[^/]+)/(?P<name>[^/]+/[^/]+)/(?:actions|runs|commit)/")

_PROGRESS = {"waiting": 0, "requested": 0, "pending": 1, "queued": 1, "in_progress": 2, "completed": 3}

Json = Mapping[str, Any]


class _Refused(Exception):  # noqa: N818 - carries the reason of one rejected row
    """One run or job cannot be stored."""


def decode(frames: Iterable[Frame]) -> Batch:
    """Read saved runs and jobs; a bad one is rejected alone.

    Args:
        frames: Whole files or answers.
    """
    runs: list[dict[str, Any]] = []
    jobs: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for frame in frames:
        for position, value in values(frame):
            for place, item in _items(position, value):
                try:
                    _store(item, runs, jobs)
                except _Refused as refusal:
                    raw = item.raw if isinstance(item, Unreadable) else json.dumps(item, default=str)
                    rejected.append(Rejected(frame.name, place, str(refusal), raw[:4000]))
    tables = {
        table.name: _newest(table, from_rows(table, rows))
        for table, rows in ((RAW_GITHUB_ACTIONS_RUNS, runs), (RAW_GITHUB_ACTIONS_JOBS, jobs))
    }
    return Batch(tables, tuple(rejected))


def _newest(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the newest report of a run or job: the same one may be exported before and after it ended."""
    ordered = frame.with_row_index("place").sort(table.newest_by_columns, nulls_last=False, maintain_order=True)
    return ordered.unique(table.key, keep="last").sort("place").drop("place")


def _items(position: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Unfold lists and the API's envelopes to single runs and jobs, each with its place in words."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _items(f"{position}[{number}]", item)
    elif isinstance(value, dict) and isinstance(envelope := value.get("workflow_runs", value.get("jobs")), list):
        name = "workflow_runs" if "workflow_runs" in value else "jobs"
        for number, item in enumerate(envelope):
            yield f"{position}.{name}[{number}]", item
    else:
        yield position, value


def _store(item: Any, runs: list[dict[str, Any]], jobs: list[dict[str, Any]]) -> None:
    if isinstance(item, Unreadable):
        raise _Refused(item.reason)
    if not isinstance(item, dict):
        raise _Refused(f"expected a run or a job, found {type(item).__name__}")
    if "run_id" in item:
        jobs.append(_job(item))
    elif "workflow_id" in item or "run_attempt" in item or "run_number" in item:
        runs.append(_run(item))
    else:
        raise _Refused("neither a workflow run (workflow_id, run_number) nor a job (run_id)")


def _run(item: Json) -> dict[str, Any]:
    return {
        "repo_id": _repo_id(item),
        "run_id": _id(item, "id"),
        "run_attempt": _attempt(item),
        "run_number": _number(item, "run_number"),
        "workflow": str(item.get("name") or item.get("path") or item.get("workflow_id") or ""),
        "event": str(item.get("event") or ""),
        "branch": _optional_text(item, "head_branch"),
        "revision": _text(item, "head_sha"),
        "status": _text(item, "status"),
        "conclusion": _optional_text(item, "conclusion"),
        "created_at": _instant(item, "created_at"),
        "started_at": _optional_instant(item, "run_started_at"),
        "updated_at": _instant(item, "updated_at"),
        "progress": _progress(item),
    }


def _job(item: Json) -> dict[str, Any]:
    labels = item.get("labels") or []
    return {
        "repo_id": _repo_id(item),
        "job_id": _id(item, "id"),
        "run_id": _id(item, "run_id"),
        "run_attempt": _attempt(item),
        "name": _text(item, "name"),
        "revision": _text(item, "head_sha"),
        "status": _text(item, "status"),
        "conclusion": _optional_text(item, "conclusion"),
        "created_at": _optional_instant(item, "created_at"),
        "started_at": _optional_instant(item, "started_at"),
        "completed_at": _optional_instant(item, "completed_at"),
        "labels": ",".join(map(str, labels)) if isinstance(labels, list) else "",
        "progress": _progress(item),
    }


def _repo_id(item: Json) -> str:
    repository = item.get("repository")
    if isinstance(repository, dict):
        if repo_id := repo_id_from_remote(str(repository.get("html_url") or "")):
            return repo_id
        if name := repository.get("full_name"):
            return f"github.com/{name}"
    for key in ("run_url", "url", "html_url"):
        address = str(item.get(key) or "")
        if match := _API.match(address) or _WEB.match(address):
            host = match["host"].lower()
            return f"{'github.com' if host == 'api.github.com' else host}/{match['name']}"
    raise _Refused("no repository is named: repository.full_name, url or run_url is needed")


def _attempt(item: Json) -> int:
    attempt = _number(item, "run_attempt")
    return 1 if attempt is None else attempt


def _progress(item: Json) -> int:
    """How far it has come; a status that is not known is taken for one before the end."""
    return _PROGRESS.get(_text(item, "status"), 1)


def _number(item: Json, key: str) -> int | None:
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise _Refused(f"{key} {value!r} is not a positive number")
    return value


def _optional_text(item: Json, key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise _Refused(f"{key} {value!r} is not a text")
    return value or None


def _id(item: Json, key: str) -> str:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value):
        raise _Refused(f"{key} is missing")
    return str(value)


def _text(item: Json, key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise _Refused(f"{key} is missing")
    return value


def _instant(item: Json, key: str) -> datetime:
    value = _optional_instant(item, key)
    if value is None:
        raise _Refused(f"{key} is missing")
    return value


def _optional_instant(item: Json, key: str) -> datetime | None:
    value = item.get(key)
    if not value:
        return None
    parsed = parse_instant(str(value))
    if parsed is None:
        raise _Refused(f"{key} {value!r} is not an instant")
    return parsed
