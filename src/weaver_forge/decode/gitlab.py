"""Pipelines and jobs of GitLab CI -> ``raw_gitlab__pipelines`` and ``raw_gitlab__jobs``.

Read are answers of the REST API (a pipeline, a job, lists of these), the webhooks ``pipeline`` (with its builds) and
``build``, received or saved, and JSON lines of any of them. Webhooks write instants like ``2025-04-01 18:31:49 UTC``,
those sent by the test button and the API in RFC 3339; both are read. A test report belongs to the source ``tests``
(``decode.gitlab_test_report``); fetching belongs in ``sources.gitlab``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.identity import repo_id_from_remote
from weaver_forge.contracts.tables.ci import RAW_GITLAB_JOBS, RAW_GITLAB_PIPELINES
from weaver_forge.decode.envelope import envelopes
from weaver_forge.decode.github_actions import newest
from weaver_forge.decode.payload import (
    Json,
    Refused,
    identity,
    instant,
    milliseconds,
    number,
    optional_instant,
    optional_text,
    part,
    text,
)
from weaver_forge.decode.recognise import other_source

_PROGRESS = {
    "created": 0, "waiting_for_resource": 0, "waiting_for_callback": 0, "preparing": 0, "manual": 0, "scheduled": 0,
    "pending": 1, "running": 2, "canceling": 2, "success": 3, "failed": 3, "canceled": 3, "skipped": 3,
}  # fmt: skip
_TIMES = ("created_at", "updated_at", "started_at", "finished_at")
_ENDED = 3


def decode(frames: Iterable[Frame]) -> Batch:
    """Read pipelines and jobs; a bad one is rejected alone, a webhook of another kind is counted and left out.

    Args:
        frames: Whole files or answers.
    """
    rows: dict[str, list[dict[str, Any]]] = {RAW_GITLAB_PIPELINES.name: [], RAW_GITLAB_JOBS.name: []}
    rejected: list[Rejected] = []
    unused: Counter[str] = Counter()
    for envelope in envelopes(frames):
        if isinstance(envelope, Rejected):
            rejected.append(envelope)
            continue
        for place, item in _items(envelope.position, envelope.body):
            try:
                kind = _store(item, rows)
            except Refused as refusal:
                reason = f"{refusal}{other_source(envelope.data, 'gitlab')}"
                rejected.append(envelope.rejected(reason, position=place, piece=item))
            else:
                unused.update([kind] if kind else [])
    tables = {
        table.name: newest(table, from_rows(table, rows[table.name]))
        for table in (RAW_GITLAB_PIPELINES, RAW_GITLAB_JOBS)
    }
    notes = tuple(f"{n} GitLab documents of a kind that is not used: {kind}" for kind, n in sorted(unused.items()))
    return Batch(tables, tuple(rejected), notes)


def _store(item: Any, rows: dict[str, list[dict[str, Any]]]) -> str:
    """Make a row of a pipeline or job; says the kind of anything else that GitLab tells."""
    kind = _other_kind(item)
    if not kind and "pipeline" in item:
        rows[RAW_GITLAB_JOBS.name].append(_job(item))
    elif not kind:
        rows[RAW_GITLAB_PIPELINES.name].append(_pipeline(item))
    return kind


def _items(position: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Unfold lists and webhooks to single pipelines and jobs in the shape of the API, each with its place in words."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _items(f"{position}[{place}]", item)
    elif isinstance(value, dict) and value.get("object_kind") == "pipeline":
        yield from _of_pipeline(position, value)
    elif isinstance(value, dict) and value.get("object_kind") == "build":
        # Everything of the job has the prefix; `commit` is a mixture of the pipeline and the commit.
        job = {key.removeprefix("build_"): item for key, item in value.items() if key.startswith("build_")}
        pipeline = {"id": value.get("pipeline_id"), "sha": value.get("sha")}
        yield position, {**job, "pipeline": pipeline, "project": value.get("repository")}
    else:
        yield position, value


def _of_pipeline(position: str, value: Json) -> Iterator[tuple[str, Any]]:
    pipeline = part(value, "object_attributes")
    builds = [build for build in value.get("builds") or () if isinstance(build, dict)]
    yield f"{position}.object_attributes", {**pipeline, "project": value.get("project"), "builds": builds}
    for place, build in enumerate(builds):
        told = {"id": pipeline.get("id"), "sha": pipeline.get("sha")}
        yield f"{position}.builds[{place}]", {**build, "pipeline": told, "project": value.get("project")}


def _other_kind(item: Any) -> str:
    """The kind of a document that is no pipeline and no job; empty for everything else."""
    if not isinstance(item, dict):
        raise Refused(f"expected a pipeline or a job, found {type(item).__name__}")
    if "test_suites" in item:
        return "test report (take it in as tests)"
    kind = item.get("object_kind") or item.get("event_name")
    return str(kind) if kind else ""


def _pipeline(item: Json) -> dict[str, Any]:
    return {
        "repo_id": _repo_id(item),
        "pipeline_id": identity(item, "id"),
        "number": number(item, "iid"),
        "name": optional_text(item, "name"),
        "event": optional_text(item, "source") or "",
        "branch": optional_text(item, "ref"),
        "revision": text(item, "sha"),
        "status": text(item, "status"),
        "created_at": instant(item, "created_at"),
        "started_at": optional_instant(item, "started_at"),
        "finished_at": _finished_at(item),
        "queued_ms": milliseconds(item, "queued_duration"),
        "touched_at": max(_touched_at(item), *(_touched_at(build) for build in item.get("builds", ())), _FIRST),
        "progress": _progress(item),
    }


def _job(item: Json) -> dict[str, Any]:
    pipeline = part(item, "pipeline")
    return {
        "repo_id": _repo_id(item),
        "job_id": identity(item, "id"),
        "pipeline_id": identity(pipeline, "id"),
        "name": text(item, "name"),
        "stage": optional_text(item, "stage") or "",
        "revision": optional_text(pipeline, "sha"),
        "status": text(item, "status"),
        # Webhooks name a reason for jobs that did not fail, too.
        "failure_reason": optional_text(item, "failure_reason") if item.get("status") == "failed" else None,
        "allow_failure": item.get("allow_failure") is True,
        "created_at": instant(item, "created_at"),
        "started_at": optional_instant(item, "started_at"),
        "finished_at": _finished_at(item),
        "queued_ms": milliseconds(item, "queued_duration"),
        "duration_ms": milliseconds(item, "duration"),
        "touched_at": _touched_at(item),
        "progress": _progress(item),
    }


_FIRST = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC is the house rule


def _finished_at(item: Json) -> datetime | None:
    """When it finished; a pipeline that runs again still names when it had finished before."""
    return optional_instant(item, "finished_at") if _progress(item) == _ENDED else None


def _touched_at(item: Json) -> datetime:
    return max(filter(None, (optional_instant(item, key) for key in _TIMES)), default=_FIRST)


def _progress(item: Json) -> int:
    """How far it has come; a status that is not known is taken for one before the end."""
    return _PROGRESS.get(text(item, "status"), 1)


def _repo_id(item: Json) -> str:
    """The project, by the address of its page: ``https://host/group/project/-/pipelines/1``."""
    project = part(item, "project")
    for address in (project.get("web_url"), project.get("homepage"), item.get("web_url")):
        if repo_id := repo_id_from_remote(str(address or "").split("/-/")[0]):
            return repo_id
    raise Refused("no project is named: project.web_url or web_url is needed")
