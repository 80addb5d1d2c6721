"""demo: simulate an organisation as files, live through its last days with it, and show prediction against truth.

Nothing here predicts or scores: the same ingest, training, publishing, gating and scoring run as on anyone's
data. Only the clock is simulated, and the scoreboard at the end may look at the truth.
"""

import dataclasses
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from assets.report import write_report
from assets.resources import Emit
from assets.scoreboard import Scoreboard, build_scoreboard
from assets.verbs.loop import Runner
from weaver_forge.settings import MARKER, Settings, environment_with, load
from weaver_forge.testing import OrganisationPlan, advance_git, stage, write_organisation

LIVE_DAYS = 4
"""The last days are lived one at a time; everything before is history that is on disk on the first day."""

LATE = ("tests", "github_actions", "deployments", "incidents", "focus")
"""Sources that arrive a day after commits and traces, so that predictions come before outcomes."""

PROMPT = ("git", "otlp")

_CONFIGURATION = """\
# The demo's deployment. Everything in it is simulated, the clock too.
[pipeline]
python = "{python}"

[clock]
now = "{now}"

[decisions]
test_selection = "models.test_selection"
load_forecast = "models.load_forecast"
anomaly = "models.anomaly"
deploy_risk = "models.deploy_risk"

# A change counts as harmless after this many days; sixty days of history are too short for the usual ninety.
[options.deploy_risk]
change_maturity_days = 14

# Incidents are rare: learn from all of the history there is.
[options.anomaly]
history_days = 60

[sources]
git = ["organisation/repo"]
tests = ["input/tests/{{run_id}}/*.xml"]
github_actions = ["input/github_actions/*.json"]
otlp = ["input/otlp/*"]
focus = ["input/focus/*.csv"]
deployments = ["input/deployments/*.jsonl"]
incidents = ["input/incidents/*.jsonl"]
"""


def demo(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Run the whole demo in the deployment at hand; ``{"size": "small"}`` is a quick one for tests."""
    small = arguments.get("size") == "small"
    plan = OrganisationPlan.small() if small else OrganisationPlan.demo()
    story = _Story(settings.root, plan, emit, live_days=2 if small else LIVE_DAYS)
    story.tell()
    return 0


class _Story:
    """The demo's days, in order."""

    def __init__(self, root: Path, plan: OrganisationPlan, emit: Emit, *, live_days: int) -> None:
        self._root, self._plan, self._emit = root, plan, emit
        self._first_live = plan.ends_at - timedelta(days=live_days)
        self._days = [self._first_live + timedelta(days=n) for n in range(live_days + 1)]
        self._started = time.perf_counter()
        self._gate: list[str] = []

    def tell(self) -> None:
        """Simulate, learn from the history, live the last days, score."""
        organisation, repository = self._root / "organisation", self._root / "organisation" / "repo"
        if not organisation.exists():
            self._say("1. Simulating an organisation: 8 services, 60 days, as files of the real formats", "head")
            write_organisation(self._plan, organisation, progress=self._progress)
        self._say(f"2. History until {self._first_live:%d %B}: ingest, marts, training, publishing, in one run", "head")
        advance_git(repository, self._first_live)
        self._hand_over(self._plan.starts_at, self._first_live, (*PROMPT, *LATE))
        self._at(self._first_live).whole_loop(self._plan.starts_at, self._first_live)
        self._say("3. The newest change at the gate, and its tests in order", "head")
        self._ask_hooks(repository)
        self._say(f"4. {len(self._days) - 1} days, one at a time: predict, then see what happened", "head")
        before = self._first_live
        for day in self._days[1:]:
            advance_git(repository, day)
            self._hand_over(before, day, PROMPT)
            self._hand_over(before - timedelta(days=1), before, LATE)
            self._at(day).a_day()
            before = day
        last = before + timedelta(hours=6)
        self._hand_over(before - timedelta(days=1), before, LATE)
        self._at(last).a_day()
        self._scores(last)

    def _at(self, now: datetime) -> "_Day":
        text = _CONFIGURATION.format(python=sys.executable, now=f"{now.isoformat()}Z")
        (self._root / MARKER).write_text(text, encoding="utf-8")
        return _Day(dataclasses.replace(load(self._root), fixed_now=now), self._emit)

    def _hand_over(self, start: datetime, end: datetime, sources: tuple[str, ...]) -> None:
        stage(self._root / "organisation", self._root / "input", start, end, sources=sources)

    def _ask_hooks(self, repository: Path) -> None:
        """Ask as a CI job would: real commands, in the repository."""
        for words in (
            ["gate", "--decision", "deploy_risk", "--change", "HEAD"],
            ["rank-tests", "--change", "HEAD", "--budget", "25%"],
        ):
            command = [sys.executable, "-m", "weaver_forge", *words, "--from", str(self._root)]
            begun = time.perf_counter()
            done = subprocess.run(
                command,
                cwd=repository,
                capture_output=True,
                text=True,
                check=False,
                env=environment_with(WEAVER_FORGE_HOME=str(self._root)),
            )
            took = time.perf_counter() - begun
            self._say(f"$ weaver-forge {' '.join(words)}    (exit code {done.returncode}, {took:.2f} s)", "dim")
            for line in (done.stdout + done.stderr).splitlines()[:14]:
                self._say(f"    {line}")
            self._gate.append(
                f"$ weaver-forge {' '.join(words)}\n{done.stdout}{done.stderr}(exit code {done.returncode})"
            )

    def _scores(self, now: datetime) -> None:
        settings = dataclasses.replace(load(self._root), fixed_now=now)
        board = build_scoreboard(settings, self._root / "organisation", self._first_live)
        self._say("5. Prediction against truth, and against the naive baseline", "head")
        for table in board.tables:
            self._emit(
                {
                    "event": "table",
                    "title": table.title,
                    "columns": list(table.columns),
                    "rows": [list(r) for r in table.rows],
                }
            )
        page = write_report(self._root / "scoreboard.html", board, gate=self._gate)
        seconds = time.perf_counter() - self._started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._say(f"Done in {seconds:.0f} s, peak memory {peak:.0f} MB.", "ok")
        self._next_steps(page)
        self._emit({"event": "result", "data": _as_data(board, seconds, peak, page)})

    def _next_steps(self, page: Path) -> None:
        self._say("Where to look next", "head")
        for text in (
            f"{page}    the same with plots; one file, no network",
            f"cd {self._root} && weaver-forge dev    the asset graph in the Dagster UI",
            f"cd {self._root} && weaver-forge ledger tail    what was predicted, decided and seen",
            f"cd {self._root} && weaver-forge doctor    what is there and what is missing",
            "weaver-forge init DIR    a deployment for your own data",
        ):
            self._say(f"  {text}")

    def _say(self, text: str, style: str = "") -> None:
        self._emit({"event": "line", "text": text, "style": style})

    def _progress(self, step: str, share: float) -> None:
        self._emit({"event": "progress", "step": f"simulating {step}", "done": round(100 * share), "total": 100})


class _Day(Runner):
    """One day of the story: the deployment's own jobs, quiet about what they took in."""

    def whole_loop(self, start: datetime, end: datetime) -> None:
        """Sources to scores in one in-process run over the days of the history."""
        from assets.partitions import range_tags

        self.job("loop", tags=range_tags(start.date(), (end - timedelta(days=1)).date()))

    def a_day(self) -> None:
        """Take in what has come, predict, publish, score."""
        self.ingest(None)
        self.job("publish")


def _as_data(board: Scoreboard, seconds: float, peak: float, page: Path) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak),
        "page": str(page),
        "tables": {
            table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in board.tables
        },
    }
