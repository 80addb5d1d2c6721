"""ingest, run, train and publish: Dagster runs in this process, with progress and a readable summary."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from assets.autonomy import assess_deployment
from assets.core.traces import pending_days
from assets.definitions import build_defs, open_deployment
from assets.jobs import AFTER_MARTS, MARTS_KEYS, SELDOM_OTHER, raw_keys, run_config, stale_ops
from assets.partitions import contiguous, range_tags
from assets.publishing import OVERVIEW, overview_holds
from assets.resources import Deployment, Emit
from assets.unread import settle
from assets.verbs.guessed import UNSAID, named_inputs
from assets.verbs.instance import instance
from assets.verbs.summary import report_gaps, report_intake, report_next, report_notes, report_predictions
from weaver_forge.contracts.decision import DecisionSpec
from weaver_forge.errors import PolicyError, SourceError, UsageError, WeaverForgeError
from weaver_forge.policy import parse
from weaver_forge.settings import SOURCES, Settings

_SPANS = "core_trace_spans"
"""The op after which days may have marts to be computed."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's own console log is for its UI and daemon; a verb reports events, and failures with their trace."""


class Runner:
    """Runs the deployment's jobs one after the other in this process."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.intakes: list[Mapping[str, Any]] = []
        self.begun = settings.now()
        self._emit = emit
        self.deployment: Deployment = open_deployment(settings, self._relay)
        self._defs = build_defs(self.deployment)
        self._instance = instance(settings)

    def _relay(self, event: Mapping[str, Any]) -> None:
        if event.get("event") == "intake":
            self.intakes.append(event)
        self._emit(event)

    def job(
        self,
        name: str,
        *,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """Run a job to its end.

        Args:
            name: Of the job.
            config: Its run config.
            tags: Of the run.
            only: Keys of its assets that are made; all where none is named.

        Raises:
            WeaverForgeError: The error of ours that stopped it, else one that names the failed steps.
        """
        result = self._defs.resolve_job_def(name).execute_in_process(
            run_config={**_QUIET, **(config or {})},
            tags=dict(tags or {}),
            instance=self._instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(key) for key in only] or None,
        )
        self.deployment.forget()
        if not result.success:
            raise _failure(name, result)

    def ingest(self, inputs: dict[str, dict[str, Any]] | None) -> None:
        """Take in sources, rebuild core, and recompute the marts of the days that were touched.

        Without inputs, what the code hosts have that is new is fetched first.
        """
        for said in self._fetched() if inputs is None else ():
            if isinstance(said, WeaverForgeError):
                self.deployment.problems.append(said)
            else:
                self._emit({"event": "line", "text": said, "style": "ok"})
        if raw := raw_keys(self.deployment.settings, inputs):
            self.job("ingest", config=run_config(inputs), only=raw)
        self._core()
        self.marts()
        self._overview()

    def _fetched(self) -> Iterable[str | WeaverForgeError]:
        if not self.deployment.settings.code_hosts:
            return ()
        from assets.fetching import fetch_all  # an HTTP client is loaded only where something is fetched

        return fetch_all(self.deployment)

    def _core(self) -> None:
        """Compute anew what would not come out as it is stored; what is made of marts too only if none are to come."""
        ran: set[str] = set()
        while True:
            stale, unchanged = stale_ops(self.deployment, self._defs)
            todo = {op: keys for op, keys in stale.items() if op not in ran}
            if not ran and unchanged:
                self._emit({"event": "progress", "step": "unchanged", "message": ", ".join(unchanged)})
            keys = [key for made in todo.values() for key in made]
            if _SPANS in todo or self._pending():
                keys = [key for key in keys if key not in AFTER_MARTS]
            elif keys:
                keys.append(OVERVIEW)
            if keys:
                self.job("ingest", only=keys)
            ran |= todo.keys()
            if not SELDOM_OTHER & todo.keys():
                return

    def _pending(self) -> set[date]:
        return set(pending_days(self.deployment.warehouse, self.deployment.settings))

    def marts(self) -> None:
        """Recompute the marts of every day whose spans changed, and at the end what is made of them as a whole."""
        done: set[date] = set()
        # A service seen for the first time on an old day changes what later days say about it: they follow.
        while pending := self._pending() - done:
            done |= pending
            ranges = list(contiguous(pending))
            for number, (first, last) in enumerate(ranges, 1):
                after = AFTER_MARTS if number == len(ranges) else ()
                self.job("marts", tags=range_tags(first, last), only=(*MARTS_KEYS, *after))

    def _overview(self) -> None:
        """Count anew what nothing before it did, as where no day has a partition or only the books were written."""
        if not overview_holds(self.deployment):
            stale, _ = stale_ops(self.deployment, self._defs)
            self.job("ingest", only=[*(key for keys in stale.values() for key in keys), OVERVIEW])


def _failure(name: str, result: dg.ExecuteInProcessResult) -> WeaverForgeError:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            root = error
            while root.cause is not None:
                root = root.cause
            ours = next((kind for kind in _our_errors() if kind.__name__ == root.cls_name), WeaverForgeError)
            return ours(
                root.message.strip().removeprefix(f"{root.cls_name}: "),
                where=f"job {name}, step {event.step_key}",
                do="" if ours is not WeaverForgeError else f"Trace:\n{root.to_string()}",
            )
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    broken = "; ".join(f"{e.asset_key.to_user_string()}: {e.metadata['broken'].value}" for e in failed)
    return WeaverForgeError(f"a contract check failed: {broken}" if broken else "the run failed", where=f"job {name}")


def _our_errors() -> list[type[WeaverForgeError]]:
    found, stack = [], [WeaverForgeError]
    while stack:
        kind = stack.pop()
        found.append(kind)
        stack += kind.__subclasses__()
    return found


def ingest(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Take in what is named (or the standing sources) and say what came of it."""
    unknown = arguments.keys() - {*SOURCES, UNSAID}
    if unknown:
        raise UsageError(f"unknown sources {sorted(unknown)}", do=f"Known: {', '.join(SOURCES)}")
    inputs, unread = named_inputs(arguments, settings, emit)
    runner = Runner(settings, emit)
    runner.ingest(inputs or None)
    for spec in runner.deployment.specs:
        _resolve(runner.deployment, spec)
    _assess(runner.deployment)
    return _finish(runner, emit, taken=True, unread=unread)


def _resolve(deployment: Deployment, spec: DecisionSpec) -> None:
    from assets.decisions import resolve_and_score

    for kind in spec.kinds:
        resolve_and_score(deployment, spec, kind)


def _assess(deployment: Deployment) -> None:
    """Look at standings again; a policy that cannot be read is said, and what was taken in stays."""
    try:
        assess_deployment(deployment)
    except PolicyError as error:
        deployment.notes.append(f"what has been earned was not assessed: {error}")


def run(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """Everything: standing sources and inbox, marts, training, predictions, snapshot, scores."""
    check_policy(settings)
    runner = Runner(settings, emit)
    runner.ingest(None)
    runner.job("retrain")
    return _finish(runner, emit, taken=True, predicted=True)


def train(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """Train, judge, predict, publish and score on what has been taken in."""
    check_policy(settings)
    runner = Runner(settings, emit)
    runner.job("retrain")
    return _finish(runner, emit, predicted=True)


def publish(settings: Settings, _arguments: Mapping[str, Any], emit: Emit) -> int:
    """Predict with what is trained, publish and score."""
    check_policy(settings)
    runner = Runner(settings, emit)
    runner.job("publish")
    return _finish(runner, emit, predicted=True)


def check_policy(settings: Settings) -> None:
    """Refuse a policy that every gate would stop at, before it is published and before minutes are spent.

    Raises:
        PolicyError: With file and line.
    """
    if settings.policy.is_file():
        parse(settings.policy.read_text(encoding="utf-8"), str(settings.policy))


def _finish(
    runner: Runner,
    emit: Emit,
    *,
    taken: bool = False,
    predicted: bool = False,
    unread: Sequence[Mapping[str, str]] = (),
) -> int:
    deployment = runner.deployment
    with deployment.warehouse.connect(read_only=True):  # held: DuckDB opens its file once, not at every question
        if taken:
            settle(deployment)
            report_intake(deployment, runner.intakes, emit, begun=runner.begun)
        report_notes(deployment.notes, emit)
        if predicted:
            report_predictions(deployment, emit)
        report_gaps(deployment, emit)
        if not predicted:
            report_next(deployment, emit)
    for problem in deployment.problems:
        emit(
            {
                "event": "error",
                "what": problem.what,
                "where": problem.where,
                "do": problem.do,
                "exit_code": problem.exit_code,
            }
        )
    emit({
        "event": "result",
        "data": {
            "intake": [dict(intake) for intake in runner.intakes],
            "problems": [str(problem) for problem in deployment.problems],
            **({"unread": list(unread)} if taken else {}),
        },
    })  # fmt: skip
    return SourceError.exit_code if deployment.problems else 0
