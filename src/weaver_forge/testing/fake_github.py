"""A GitHub of this machine: workflow runs, attempts, jobs and deployments by the REST API's paths and rules.

Only what ``sources.github`` asks for is there. How a server misbehaves stands in ``fake_server``.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from weaver_forge.testing.fake_server import FakeServer, Served

Json = dict[str, Any]

_RUNS = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs")
_ATTEMPT = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs/(\d+)/attempts/(\d+)")
_JOBS = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs/(\d+)/jobs")
_DEPLOYMENTS = re.compile(r"/repos/([^/]+/[^/]+)/deployments")
_STATUSES = re.compile(r"/repos/([^/]+/[^/]+)/deployments/(\d+)/statuses")


@dataclass(slots=True)
class Run:
    """A workflow run: its attempts, each with its jobs; the newest attempt is what the run shows."""

    id: int
    created_at: datetime
    attempts: list[Json] = field(default_factory=list)
    jobs: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class FakeGitHub(FakeServer):
    """The server.

    Args:
        repository: ``owner/name``.
    """

    repository: str = "acme/shop"
    listed: int = 1000
    runs: dict[int, Run] = field(default_factory=dict)
    deployments: dict[int, tuple[Json, list[Json]]] = field(default_factory=dict)

    def add_run(self, created_at: datetime, *, status: str = "completed", conclusion: str = "success") -> Run:
        """Start a run, and end it after five minutes unless another status is given."""
        run = Run(10_000 + len(self.runs), created_at)
        self.runs[run.id] = run
        self.attempt(run, created_at, status=status, conclusion=conclusion)
        return run

    def attempt(self, run: Run, at: datetime, *, status: str = "completed", conclusion: str = "success") -> None:
        """Run it (again), with two jobs."""
        number = len(run.attempts) + 1
        run.attempts.append({})
        for name in ("build", "test"):
            run.jobs.append(
                {
                    "id": run.id * 100 + len(run.jobs), "run_id": run.id, "run_attempt": number, "name": name,
                    "run_url": f"https://api.github.com/repos/{self.repository}/actions/runs/{run.id}",
                    "head_sha": f"{run.id:040x}", "created_at": _text(at), "started_at": _text(at), "labels": ["linux"],
                    "status": "queued", "conclusion": None, "completed_at": None,
                }
            )  # fmt: skip
        self.set(run, at, status=status, conclusion=conclusion)

    def set(self, run: Run, at: datetime, *, status: str = "completed", conclusion: str = "success") -> None:
        """Bring the newest attempt of a run, and its jobs, to a status."""
        ended = status == "completed"
        number = len(run.attempts)
        end = at + timedelta(minutes=5) if ended else at
        run.attempts[-1] = {
            "id": run.id, "run_attempt": number, "run_number": run.id - 9_999, "workflow_id": 7, "name": "CI",
            "event": "push", "head_branch": "main", "head_sha": f"{run.id:040x}", "status": status,
            "conclusion": conclusion if ended else None, "created_at": _text(run.created_at),
            "run_started_at": _text(at), "updated_at": _text(end),
            "html_url": f"https://github.com/{self.repository}/actions/runs/{run.id}",
            "repository": {
                "full_name": self.repository, "html_url": f"https://github.com/{self.repository}"
            },
        }  # fmt: skip
        for job in run.jobs:
            if job["run_attempt"] == number and ended:
                job.update(status="completed", conclusion=conclusion, completed_at=_text(end))

    def add_deployment(self, at: datetime, *states: str) -> int:
        """Deploy, a minute from state to state; returns its id."""
        number = 500 + len(self.deployments)
        statuses = [
            {
                "id": number * 10 + n, "state": state, "environment": "production",
                "created_at": _text(at + timedelta(minutes=n)), "updated_at": _text(at + timedelta(minutes=n)),
            }
            for n, state in enumerate(states)
        ]  # fmt: skip
        deployment = {
            "id": number, "sha": f"{number:040x}", "ref": "main", "task": "deploy", "environment": "production",
            "created_at": _text(at), "updated_at": statuses[-1]["updated_at"] if statuses else _text(at),
        }  # fmt: skip
        self.deployments[number] = (deployment, statuses)
        return number

    def add_history(self, n_runs: int, start: datetime, end: datetime, *, seed: int = 0) -> None:
        """Add runs at random instants, every tenth run again, some of them three times."""
        chance = random.Random(seed)  # noqa: S311 - test data
        span = (end - start).total_seconds()
        for number, second in enumerate(sorted(chance.randrange(int(span)) for _ in range(n_runs))):
            at = start + timedelta(seconds=second)
            failed = number % 10 == 0
            run = self.add_run(at, conclusion="failure" if failed else "success")
            for again in range(chance.randint(1, 2) if failed else 0):
                self.attempt(run, at + timedelta(hours=1 + again))

    def route(self, path: str, query: Mapping[str, str]) -> Served | None:
        """What is at a path."""
        routes: tuple[tuple[re.Pattern[str], Callable[..., Served | None]], ...] = (
            (_RUNS, lambda: self._listed(query)),
            (_ATTEMPT, self._attempt),
            (_JOBS, lambda number: self._jobs(int(number), query)),
            (_DEPLOYMENTS, lambda: Served([d for d, _ in reversed(self.deployments.values())])),
            (_STATUSES, self._statuses),
        )
        for pattern, give in routes:
            if (match := pattern.fullmatch(path)) and match[1] == self.repository:
                return give(*match.groups()[1:])
        return None

    def _listed(self, query: Mapping[str, str]) -> Served:
        first, _, last = query.get("created", "..").partition("..")
        runs = [run for run in self.runs.values() if first <= _text(run.created_at) <= (last or "~")]
        runs.sort(key=lambda run: (run.created_at, run.id), reverse=True)
        return Served(
            [run.attempts[-1] for run in runs],
            lambda part, total: {"total_count": total, "workflow_runs": part},
            self.listed if "created" in query else None,
        )

    def _attempt(self, run_id: str, number: str) -> Served | None:
        run = self.runs.get(int(run_id))
        return Served(run.attempts[int(number) - 1]) if run and int(number) <= len(run.attempts) else None

    def _jobs(self, run_id: int, query: Mapping[str, str]) -> Served | None:
        run = self.runs.get(run_id)
        if run is None:
            return None
        newest = len(run.attempts)
        jobs = [job for job in run.jobs if query.get("filter") == "all" or job["run_attempt"] == newest]
        return Served(jobs, lambda part, total: {"total_count": total, "jobs": part})

    def _statuses(self, number: str) -> Served | None:
        found = self.deployments.get(int(number))
        return Served(list(reversed(found[1]))) if found else None


def _text(instant: datetime) -> str:
    return f"{instant.isoformat(timespec='seconds')}Z"
