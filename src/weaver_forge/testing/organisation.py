"""Writing a simulated organisation as a folder of files in their real formats.

Everything here is simulation: no service, person, commit, bill or incident in it exists. The folder says so too, in
its README. Put the simulation of one part in its own module; here the parts are called and their files laid out.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaver_forge.errors import UsageError
from weaver_forge.testing import billing, records
from weaver_forge.testing.cases import cases
from weaver_forge.testing.ci import Run, run_everything
from weaver_forge.testing.git_writer import advance_git, write_repository
from weaver_forge.testing.history import develop
from weaver_forge.testing.junit_writer import report
from weaver_forge.testing.operations import Production, operate
from weaver_forge.testing.otlp_writer import traces_json, traces_protobuf
from weaver_forge.testing.plan import OrganisationPlan, iso, unix_ns
from weaver_forge.testing.runs_writer import jobs_document, runs_document
from weaver_forge.testing.topology import services
from weaver_forge.testing.traffic import Traffic
from weaver_forge.testing.truth import Truth, truth_of

INDEX = "index.json"
"""Path in the folder -> when its data was complete, for :func:`weaver_forge.testing.stage`."""

Progress = Callable[[str, float], None]

_README = """# A simulated organisation

Everything in this folder is **simulated** (seed {seed}, {start} to {end}): the services, people, commits, test
results, traces, bills and incidents were made by `weaver_forge.testing` and describe nobody and nothing real. The
file formats are the real ones.

| path | what |
|---|---|
| `repo` | git work tree; `main` is where it stood at the end, the whole history is under `refs/simulation/future` |
| `reports/<run>/TEST-<service>.xml` | JUnit reports as pytest-rerunfailures and Maven surefire write them |
| `runs/<day>.json`, `runs/<day>-jobs.json` | workflow runs and jobs as GitHub's REST API answers them |
| `traces/<day>.pb.gz`, `traces/<day>.jsonl.gz` | OTLP as the collector's file exporter writes it, protobuf or JSON |
| `cost/focus-<month>.csv` | FOCUS 1.2 |
| `deployments/<day>.jsonl`, `incidents/<day>.jsonl` | records; one that changes is reported again, the newest holds |
| `index.json` | when each file was complete |
| `truth.json` | the answers; no pipeline may read it |
"""


def write_organisation(
    plan: OrganisationPlan,
    folder: Path,
    *,
    until: datetime | None = None,
    progress: Progress = lambda _step, _share: None,
) -> Truth:
    """Simulate an organisation and write it as files; the same plan gives the same bytes.

    Args:
        plan: Size, time and seed.
        folder: Made if absent; must be empty.
        until: Files hold only what was there before this instant (naive UTC); None for everything. The truth
            returned, and ``truth.json``, are always of the whole history.
        progress: Called with the step's name and the share done, 0-1.

    Raises:
        UsageError: If the folder is not empty.
        SourceError: If git fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("the folder is not empty", where=str(folder), do="Name a new one")
    end = min(until or plan.ends_at, plan.ends_at)
    folder.mkdir(parents=True, exist_ok=True)
    progress("history", 0.0)
    all_cases = cases(plan)
    history = develop(plan, all_cases)
    revisions = write_repository(history, folder / "repo")
    advance_git(folder / "repo", end)
    progress("tests", 0.05)
    runs = run_everything(plan, history, all_cases)
    production = operate(plan, history, runs)
    files = _Files(folder)
    _write_ci(plan, runs, revisions, end, files)
    for name, days in (
        ("deployments", records.deployment_files(plan, production, revisions, end)),
        ("incidents", records.incident_files(plan, production, revisions, end)),
    ):
        for day, text in days.items():
            files.write(f"{name}/{day}.jsonl", text.encode(), _close_of(datetime.combine(day, time()), end))
    _write_bills(plan, end, files)
    _write_traces(plan, production, end, files, progress)
    truth = truth_of(plan, history, all_cases, production, revisions)
    (folder / "truth.json").write_text(truth.as_json(), encoding="utf-8")
    (folder / INDEX).write_text(json.dumps(files.index, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    readme = _README.format(seed=plan.seed, start=plan.start, end=end)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    progress("done", 1.0)
    return truth


class _Files:
    """Writes files, dates them by the simulated clock and keeps the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[str, str] = {}

    def write(self, name: str, data: bytes, complete_at: datetime) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        # Readers take the modification time as the time of arrival.
        stamp = complete_at.replace(tzinfo=UTC).timestamp()
        os.utime(path, (stamp, stamp))
        self.index[name] = iso(complete_at)


def _write_ci(
    plan: OrganisationPlan, runs: tuple[Run, ...], revisions: tuple[str, ...], end: datetime, files: _Files
) -> None:
    ended = [run for run in runs if run.ended_at < end]
    for run in ended:
        for service in services(plan.services):
            name = f"reports/{run.run_id}/TEST-{service.name}.xml"
            files.write(name, report(run, service, revisions[run.number]).encode(), run.ended_at)
    for day in range(plan.days):
        start = plan.starts_at + timedelta(days=day)
        of_day = [run for run in ended if run.ended_at.date() == start.date()]
        if of_day:
            close = _close_of(start, end)
            for suffix, document in (("", runs_document), ("-jobs", jobs_document)):
                text = json.dumps(document(of_day, revisions), separators=(",", ":")) + "\n"
                files.write(f"runs/{start:%Y-%m-%d}{suffix}.json", text.encode(), close)


def _write_bills(plan: OrganisationPlan, end: datetime, files: _Files) -> None:
    rows = [charge for charge in billing.charges(plan) if charge.end <= end]
    for month in sorted({row.start.replace(day=1) for row in rows}):
        of_month = [row for row in rows if row.start.replace(day=1) == month]
        name = f"cost/focus-{month:%Y-%m}.csv"
        files.write(name, billing.export(month, of_month).encode(), max(row.end for row in of_month))


def _write_traces(
    plan: OrganisationPlan, production: Production, end: datetime, files: _Files, progress: Progress
) -> None:
    traffic = Traffic(plan, production)
    versions = _Versions(plan, production)
    for day in range(plan.days):
        start = plan.starts_at + timedelta(days=day)
        if start >= end:
            break
        is_json = day % plan.json_every == plan.json_every - 1
        write = traces_json if is_json else traces_protobuf
        name = f"traces/{start:%Y-%m-%d}.{'jsonl' if is_json else 'pb'}.gz"
        files.write(name, write(traffic.day(day), versions, unix_ns(end)), _close_of(start, end))
        progress("traces", 0.15 + 0.84 * (day + 1) / plan.days)


class _Versions:
    """Which version of a service ran at an instant."""

    def __init__(self, plan: OrganisationPlan, production: Production) -> None:
        self._lines = {}
        for service in services(plan.services):
            timeline = production.versions(service.name, plan.starts_at)
            since = np.array([unix_ns(at) for at, _ in timeline], dtype=np.int64)
            self._lines[service.name] = since, [version for _, version in timeline]

    def __call__(self, service: str, start_ns: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
        since, versions = self._lines[service]
        return np.searchsorted(since, start_ns, side="right") - 1, versions


def _close_of(day: datetime, end: datetime) -> datetime:
    """When a daily file is complete: at midnight, or where the writing was cut off."""
    return min(day + timedelta(days=1), end)
