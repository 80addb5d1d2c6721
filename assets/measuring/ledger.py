"""What ``benchmark ledger`` measures, one function a figure; each is run in a process of its own.

Which figures are held against which bars is in ``ledger_rows``; the rows that are looked up and scored come from
``ledger_corpus``.
"""

import multiprocessing
import multiprocessing.synchronize
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from assets.measuring import ledger_corpus
from weaver_forge.contracts.decision import DecisionSpec
from weaver_forge.ledger import Ledger, queries
from weaver_forge.ledger.appender import Appender
from weaver_forge.ledger.assessing import Circumstances, assess_all
from weaver_forge.policy import parse

Figures = dict[str, Any]

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - naive UTC

LOOKUPS = 400

LOOKS = 3
"""Assessments after a run each, of which the middle one counts."""

ASSESSED = """\
version: 1
decisions:
  test_selection: {scope: development, ceiling: autonomous, skip_below: 0.01}
  deploy_risk: {scope: deployment, ceiling: autonomous, deny_at: 0.7}
"""

BATCH = 200
"""Decisions appended at once where the price of an append is measured against the rows that are there."""


def decision(unit: str) -> dict[str, Any]:
    """A decision as a gate writes one."""
    return {
        "decision": "test_selection", "entity": "tests", "unit": unit, "hook": "ci_gate", "verdict": "review",
        "subject": {"repo_id": "local/shop", "revision": unit}, "prediction_ids": [unit * 2], "level": "supervised",
        "scope": "development", "applied": True, "exit_code": 3, "reasons": ["1 test likely fails"],
        "rules": ["review_at"], "policy_sha256": "0" * 64, "freshness": "fresh", "actor": "ci", "made_at": NOW,
        "inputs": {"probability": 0.42, "review_at": 0.35},
    }  # fmt: skip


def ledger_write(folder: str, n: int, processes: int = 4, threads: int = 16) -> Figures:
    """Decisions that threads of several processes hand in one by one, each waiting until its own is durable.

    Args:
        folder: Where the ledger is made.
        n: Decisions a process.
        processes: Writers.
        threads: Callers a writer.
    """
    url = f"sqlite:///{Path(folder) / 'written.sqlite'}"
    with Ledger.open(url):
        pass
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    writers = [context.Process(target=_writer, args=(url, n // threads, threads, ready, k)) for k in range(processes)]
    for writer in writers:
        writer.start()
    ready.wait()
    began = time.perf_counter()
    for writer in writers:
        writer.join()
    wall = time.perf_counter() - began
    began = time.perf_counter()
    with Ledger.open(url) as ledger:
        found = ledger.verify()
    if not found.ok or any(writer.exitcode for writer in writers) or found.n_rows != n // threads * threads * processes:
        raise RuntimeError(f"{found.n_rows} rows arrived of {processes} x {n}: {found.broken[:1]}")
    verify_s = time.perf_counter() - began
    return {"n": found.n_rows, "wall_s": wall, "n_batches": found.n_batches, "verify_s": verify_s}


def _writer(url: str, n: int, threads: int, ready: multiprocessing.synchronize.Barrier, writer: int) -> None:
    with Appender(partial(Ledger.open, url)) as appender:

        def call(thread: int) -> None:
            for number in range(n):
                appender.append("decisions", [decision(f"{writer:04d}{thread:04d}{number:032d}")], now=NOW)

        callers = [threading.Thread(target=call, args=(thread,)) for thread in range(threads)]
        ready.wait()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()


def ledger_fill(path: str, decisions: int, resolved: int, first: int = 0) -> Figures:
    """Make the ledger that is looked into, or make it larger."""
    began = time.perf_counter()
    ledger_corpus.fill(Path(path), decisions=decisions, resolved=resolved, first=first)
    return {"n": decisions + resolved, "wall_s": time.perf_counter() - began}


def ledger_lookup(path: str, n: int) -> Figures:
    """Decisions looked up by id, and by decision, unit and hook, at random among ``n``; milliseconds."""
    numbers = random.Random(7).choices(range(n), k=LOOKUPS)  # noqa: S311 - which rows, no secrets
    with Ledger.open(f"sqlite:///{path}") as ledger:
        by_id = [_ms(partial(ledger.decision, ledger_corpus.decision_id(number))) for number in numbers]
        by_unit = [
            _ms(
                partial(
                    queries.newest_decision,
                    ledger,
                    decision="deploy_risk",
                    unit=ledger_corpus.decision_unit(number),
                    hook="ci_gate",
                )
            )
            for number in numbers
        ]
    return {
        "n": n, "id_ms": statistics.median(by_id), "unit_ms": statistics.median(by_unit),
        "id_p99_ms": sorted(by_id)[-LOOKUPS // 100], "unit_p99_ms": sorted(by_unit)[-LOOKUPS // 100],
    }  # fmt: skip


def _ms(look: Callable[[], dict[str, Any] | None]) -> float:
    began = time.perf_counter()
    found = look()
    took = time.perf_counter() - began
    if found is None:
        raise RuntimeError("a decision that is there was not found")
    return took * 1000


def ledger_append(path: str) -> Figures:
    """Processor time of appending decisions to a ledger as large as it is."""
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.append("decisions", [decision("warm")], now=NOW)
        began = time.process_time()
        for batch in range(10):
            tag = time.perf_counter_ns()
            ledger.append("decisions", [decision(f"{tag}-{batch}-{n}") for n in range(BATCH)], now=NOW)
        cpu = time.process_time() - began
    return {"n": 10 * BATCH, "cpu_s": cpu}


def ledger_score(path: str) -> Figures:
    """Resolved predictions read, put in units and measured by all of test selection's metrics, with their intervals."""
    from assets.scoring import resolved, score_rows
    from models.test_selection import SPEC

    (kind,) = SPEC.kinds
    with Ledger.open(f"sqlite:///{path}") as ledger:
        counts = ledger.counts(SPEC.name, kind.entity)["live"]
        began, cpu = time.perf_counter(), time.process_time()
        rows = resolved(ledger, SPEC, kind, "live")
        read = time.perf_counter() - began
        scores = score_rows(SPEC, kind, "live", rows, counts, NOW)
    figures = {"n": rows.height, "read_s": read, "wall_s": time.perf_counter() - began}
    return {**figures, "cpu_s": time.process_time() - cpu, "metrics": len(scores)}


def ledger_assess(path: str, folder: str) -> Figures:
    """Autonomy assessed from everything, and again after one more run of tests of which some outcomes come later."""
    circumstances = Circumstances(policy=parse(ASSESSED, "the benchmark's policy"), halted=lambda _: "", now=NOW)
    figures: Figures = {}
    with Ledger.open(f"sqlite:///{path}") as ledger:
        look = partial(assess_all, ledger, list(_assessed()), circumstances)
        figures["whole_s"], figures["whole_cpu_s"], rows = _timed(partial(look, Path(folder)))
        walls, cpus = [], []
        for number in range(LOOKS):
            _append_run(ledger, number)
            wall, cpu, rows = _timed(partial(look, Path(folder)))
            walls.append(wall)
            cpus.append(cpu)
        _, _, anew = _timed(look)
    figures["added_s"], figures["added_cpu_s"] = statistics.median(walls), statistics.median(cpus)
    if [_figures(row) for row in rows] != [_figures(row) for row in anew]:
        raise RuntimeError("what was added to gives other figures than everything")
    return figures


def _assessed() -> Iterator[DecisionSpec]:
    from models.deploy_risk import SPEC as DEPLOY_RISK
    from models.test_selection import SPEC as TEST_SELECTION

    yield from (TEST_SELECTION, DEPLOY_RISK)


def _timed(look: Callable[[], list[dict[str, Any]]]) -> tuple[float, float, list[dict[str, Any]]]:
    began, cpu = time.perf_counter(), _cpu_s()
    rows = look()
    return time.perf_counter() - began, _cpu_s() - cpu, rows


def _cpu_s() -> float:
    """Of this process and of those that it started and that ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _figures(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("action", "scope", "n_trials", "n_right", "n_pending", "bound", "level"))


def _append_run(ledger: Ledger, number: int) -> None:
    """A run of tests predicted and decided; outcomes of half of it, and of what stayed open of the run before."""
    ids = [f"{number}-{n}" for n in range(ledger_corpus.TESTS_A_UNIT)]
    predictions = [
        {
            "prediction_id": id_, "decision": "test_selection", "entity": "tests", "unit": f"local/shop|run{number}",
            "subject": {"repo_id": "local/shop", "revision": f"run{number}", "test_id": f"suite::t{n}"},
            "predicted_at": NOW, "made_at": NOW, "origin": "live", "probability": n / len(ids), "model_name": "forest",
            "model_version": "3", "is_baseline": False, "data_as_of": NOW,
        }
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    known = [*ids[::2], *(f"{number - 1}-{n}" for n in range(1, len(ids), 2) if number)]
    outcomes = [{"prediction_id": id_, "outcome": 0.0, "maturity": "mature", "outcome_known_at": NOW} for id_ in known]
    ledger.append("predictions", predictions, now=NOW)
    ledger.append("decisions", [decision(f"local/shop|run{number}")], now=NOW)
    ledger.append("outcomes", outcomes, now=NOW)


MEASURES: dict[str, Callable[..., Figures]] = {
    "ledger_write": ledger_write,
    "ledger_fill": ledger_fill,
    "ledger_lookup": ledger_lookup,
    "ledger_append": ledger_append,
    "ledger_score": ledger_score,
    "ledger_assess": ledger_assess,
}
