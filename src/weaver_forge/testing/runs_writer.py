"""Simulated runs and jobs in the shapes of GitHub's REST API (``/actions/runs`` and ``/actions/runs/{id}/jobs``)."""

from datetime import datetime, timedelta
from typing import Any

from weaver_forge.testing.ci import Run
from weaver_forge.testing.plan import REMOTE, iso

_WEB = REMOTE.removesuffix(".git")
_REPOSITORY = {"full_name": _WEB.removeprefix("https://github.com/"), "html_url": _WEB}


def runs_document(runs: list[Run], revisions: tuple[str, ...]) -> dict[str, Any]:
    """The list of runs as the API answers it."""
    return {"total_count": len(runs), "workflow_runs": [_run(run, revisions[run.number]) for run in runs]}


def jobs_document(runs: list[Run], revisions: tuple[str, ...]) -> dict[str, Any]:
    """The jobs of these runs in one list, as the answers' ``jobs`` joined."""
    jobs = [job for run in runs for job in _jobs(run, revisions[run.number])]
    return {"total_count": len(jobs), "jobs": jobs}


def _run(run: Run, revision: str) -> dict[str, Any]:
    return {
        "id": int(run.run_id),
        "name": _workflow(run),
        "run_number": run.run_number,
        "run_attempt": 1,
        "workflow_id": 4201 if run.event == "push" else 4202,
        "event": run.event,
        "status": "completed",
        "conclusion": "failure" if run.broken_services else "success",
        "head_branch": "main",
        "head_sha": revision,
        "created_at": iso(run.created_at),
        "run_started_at": iso(run.created_at),
        "updated_at": iso(run.ended_at),
        "html_url": f"{_WEB}/actions/runs/{run.run_id}",
        "repository": _REPOSITORY,
    }


def _jobs(run: Run, revision: str) -> list[dict[str, Any]]:
    lint_ends = run.started_at + timedelta(seconds=41)
    found = [_job(run, revision, 0, "lint", lint_ends, "success")]
    for position, (service, end) in enumerate(run.job_ends.items(), 1):
        conclusion = "failure" if service in run.broken_services else "success"
        found.append(_job(run, revision, position, f"test ({service})", end, conclusion))
    return found


def _job(run: Run, revision: str, position: int, name: str, end: datetime, conclusion: str) -> dict[str, Any]:
    job_id = int(run.run_id) * 10 + position
    return {
        "id": job_id,
        "run_id": int(run.run_id),
        "run_attempt": 1,
        "run_url": f"https://api.github.com/repos/{_REPOSITORY['full_name']}/actions/runs/{run.run_id}",
        "html_url": f"{_WEB}/actions/runs/{run.run_id}/job/{job_id}",
        "workflow_name": _workflow(run),
        "name": name,
        "head_branch": "main",
        "head_sha": revision,
        "status": "completed",
        "conclusion": conclusion,
        "created_at": iso(run.created_at),
        "started_at": iso(run.started_at),
        "completed_at": iso(end),
        "labels": ["ubuntu-latest"],
    }


def _workflow(run: Run) -> str:
    return "tests" if run.event == "push" else "nightly"
