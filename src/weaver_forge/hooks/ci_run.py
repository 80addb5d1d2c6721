"""Which CI run this process is part of, by what CI says in its environment. Pure: variables are asked for.

Put here the variables of CI systems and OpenTelemetry that name a run, its revision, its repository and its trace.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from weaver_forge.contracts.identity import pipeline_root_span_id, pipeline_trace_id, repo_id_from_remote

Variable = Callable[[str], str | None]

_MERGE = re.compile(r"refs/pull/\d+/merge")
_WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiRun:
    """A run of CI; empty is what nobody says.

    Args:
        trace_id: Trace of the run, 32 hex digits, where it follows from the run.
        span_id: Its span in that trace.
        branch: As CI's interface will tell it of the run; of a pull request its head's.
    """

    run_id: str = ""
    revision: str = ""
    repo_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    branch: str = ""


def ci_run(variable: Variable, checked_out: Callable[[], Sequence[str]]) -> CiRun:
    """Read the run; attributes of OpenTelemetry hold over what the CI system says.

    Args:
        variable: Gives an environment variable.
        checked_out: Gives the commit that is checked out, then those that it merged in; asked where CI does not say.
    """
    said = attributes(variable("OTEL_RESOURCE_ATTRIBUTES") or "")
    system = _github(variable) if variable("GITHUB_RUN_ID") else _gitlab(variable)
    revision = said.get("vcs.ref.head.revision", "")
    if not _WHOLE.fullmatch(revision):
        revision = system.revision or _tested(variable, checked_out())
    repository = said.get("vcs.repository.url.full", "")
    return CiRun(
        run_id=said.get("cicd.pipeline.run.id") or system.run_id,
        revision=revision,
        repo_id=repo_id_from_remote(repository) or system.repo_id,
        trace_id=system.trace_id,
        span_id=system.span_id,
        branch=said.get("vcs.ref.head.name") or system.branch,
    )


def attributes(text: str) -> dict[str, str]:
    """Read ``OTEL_RESOURCE_ATTRIBUTES``: ``key=value`` with commas between, percent-encoded."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, found, value in pairs if found and key.strip()}


def _github(variable: Variable) -> CiRun:
    """GitHub Actions. The trace is the one in which OpenTelemetry's receiver tells the run."""
    run_id, attempt = variable("GITHUB_RUN_ID") or "", variable("GITHUB_RUN_ATTEMPT") or "1"
    is_whole = run_id.isdecimal() and attempt.isdecimal()
    repository = f"{variable('GITHUB_SERVER_URL') or 'https://github.com'}/{variable('GITHUB_REPOSITORY') or ''}"
    is_merge = _MERGE.fullmatch(variable("GITHUB_REF") or "") is not None
    return CiRun(
        run_id=run_id,
        revision="" if is_merge else _whole(variable("GITHUB_SHA")),
        repo_id=(repo_id_from_remote(repository) or "") if variable("GITHUB_REPOSITORY") else "",
        trace_id=pipeline_trace_id(run_id, int(attempt)) if is_whole else "",
        span_id=pipeline_root_span_id(run_id, int(attempt)) if is_whole else "",
        branch=variable("GITHUB_HEAD_REF")
        or _unless(variable("GITHUB_REF_TYPE") == "tag", variable("GITHUB_REF_NAME")),
    )


def _gitlab(variable: Variable) -> CiRun:
    """GitLab; in a pipeline of merged results the head of the merge request is what others know."""
    merged = variable("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
    return CiRun(
        run_id=variable("CI_PIPELINE_ID") or "",
        revision=_whole(merged or variable("CI_COMMIT_SHA")),
        repo_id=repo_id_from_remote(variable("CI_PROJECT_URL") or "") or "",
        branch=variable("CI_MERGE_REQUEST_REF_PATH")
        or _unless(variable("CI_COMMIT_TAG"), variable("CI_COMMIT_REF_NAME")),
    )


def _tested(variable: Variable, checked_out: Sequence[str]) -> str:
    """What is checked out. Nobody else knows the merge that GitHub tests a pull request as: its head, or nothing."""
    if _MERGE.fullmatch(variable("GITHUB_REF") or ""):
        return next(iter(checked_out[1:]), "")
    return next(iter(checked_out), "")


def _unless(is_other: object, name: str | None) -> str:
    return "" if is_other else name or ""


def _whole(revision: str | None) -> str:
    return revision if revision and _WHOLE.fullmatch(revision) else ""
