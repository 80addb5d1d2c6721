"""A GitLab of this machine: pipelines, jobs, test reports and deployments by the REST API's paths and rules.

Only what ``sources.gitlab`` asks for is there. How a server misbehaves stands in ``fake_server``.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from weaver_forge.testing.fake_server import FakeServer, Served

Json = dict[str, Any]

_PROJECT = r"/api/v4/projects/([^/]+)"
_ENDED = ("success", "failed", "canceled", "skipped")


@dataclass(slots=True)
class Pipeline:
    """A pipeline with its jobs, retried ones included, and its test report."""

    told: Json
    jobs: list[Json] = field(default_factory=list)
    report: Json = field(default_factory=lambda: {"total_count": 0, "test_suites": []})


@dataclass(slots=True)
class FakeGitLab(FakeServer):
    """The server.

    Args:
        project: ``group/name``.
    """

    project: str = "acme/web/shop"
    prefix: str = "ratelimit"
    limit_status: int = 429
    pipelines: dict[int, Pipeline] = field(default_factory=dict)
    deployments: dict[int, Json] = field(default_factory=dict)

    def add_pipeline(self, at: datetime, *, status: str = "success", retries: int = 0) -> Pipeline:
        """Run a pipeline of five minutes with a job that is retried so often."""
        number = 100 + len(self.pipelines)
        page = f"https://gitlab.example.com/{self.project}/-"
        made = Pipeline({
            "id": number, "iid": number - 99, "sha": f"{number:040x}", "ref": "main", "source": "push",
            "created_at": _text(at), "web_url": f"{page}/pipelines/{number}",
        })  # fmt: skip
        self.pipelines[number] = made
        for attempt in range(retries + 1):
            made.jobs.append({
                "id": number * 100 + attempt, "name": "test", "stage": "test", "created_at": _text(at),
                "status": "failed" if attempt < retries else status, "allow_failure": False, "duration": 60.0,
                "queued_duration": 2.0, "started_at": _text(at), "finished_at": _text(at + timedelta(minutes=1)),
                "pipeline": {"id": number, "sha": f"{number:040x}"}, "web_url": f"{page}/jobs/{number}",
            })  # fmt: skip
        made.report = _report()
        self.set(made, at, status=status)
        return made

    def set(self, pipeline: Pipeline, at: datetime, *, status: str) -> None:
        """Bring a pipeline to a status."""
        ended = status in _ENDED
        end = at + timedelta(minutes=5)
        pipeline.told |= {
            "status": status, "updated_at": _text(end if ended else at), "started_at": _text(at),
            "finished_at": _text(end) if ended else None, "duration": 300 if ended else None,
        }  # fmt: skip

    def retry(self, pipeline: Pipeline, at: datetime, *, status: str = "success") -> None:
        """Retry the last job."""
        last = pipeline.jobs[-1]
        pipeline.jobs.append({**last, "id": last["id"] + 1, "status": status, "created_at": _text(at)})
        self.set(pipeline, at, status=status)

    def add_history(self, n_pipelines: int, start: datetime, end: datetime, *, seed: int = 0) -> None:
        """Add pipelines at random instants, every fifth with retried jobs."""
        chance = random.Random(seed)  # noqa: S311 - test data
        span = int((end - start).total_seconds()) - 600
        for number, second in enumerate(sorted(chance.randrange(span) for _ in range(n_pipelines))):
            self.add_pipeline(start + timedelta(seconds=second), retries=2 if number % 5 == 0 else 0)

    def add_deployment(self, at: datetime, *, status: str = "success") -> None:
        """Deploy."""
        number = 40 + len(self.deployments)
        self.deployments[number] = {
            "id": number, "sha": f"{number:040x}", "ref": "main", "status": status, "created_at": _text(at),
            "updated_at": _text(at + timedelta(minutes=2)), "environment": {"name": "production"},
            "deployable": {"started_at": _text(at), "finished_at": _text(at + timedelta(minutes=2))},
        }  # fmt: skip

    def route(self, path: str, query: Mapping[str, str]) -> Served | None:
        """What is at a path."""
        routes: tuple[tuple[str, Callable[..., Served | None]], ...] = (
            ("/pipelines", lambda: _listed([p.told for p in self.pipelines.values()], query)),
            (r"/pipelines/(\d+)", lambda n: self._of(n, lambda p: Served(p.told))),
            (r"/pipelines/(\d+)/jobs", lambda n: self._of(n, lambda p: Served(_jobs(p, query)))),
            (r"/pipelines/(\d+)/test_report", lambda n: self._of(n, lambda p: Served(p.report))),
            ("/deployments", lambda: _listed(list(self.deployments.values()), query)),
        )
        for pattern, give in routes:
            if (match := re.fullmatch(_PROJECT + pattern, path)) and unquote(match[1]) == self.project:
                return give(*match.groups()[1:])
        return None

    def _of(self, number: str, give: Callable[[Pipeline], Served]) -> Served | None:
        found = self.pipelines.get(int(number))
        return give(found) if found else None


def _listed(items: list[Json], query: Mapping[str, str]) -> Served:
    after = query.get("updated_after", "")
    ordered = sorted(items, key=lambda item: int(item["id"]), reverse=query.get("sort") == "desc")
    return Served([item for item in ordered if item["updated_at"] >= after])


def _jobs(pipeline: Pipeline, query: Mapping[str, str]) -> list[Json]:
    """Without being asked for, a retried job is not shown."""
    if query.get("include_retried") == "true":
        return pipeline.jobs
    return list({job["name"]: job for job in pipeline.jobs}.values())


def _report() -> Json:
    cases = [{"status": "success", "name": "adds", "classname": "Cart", "execution_time": 0.5}]
    return {"total_count": 1, "test_suites": [{"name": "test", "test_cases": cases}]}


def _text(instant: datetime) -> str:
    return f"{instant.isoformat(timespec='seconds')}Z"
