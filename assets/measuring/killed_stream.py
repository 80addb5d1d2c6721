"""A stream of real decisions lived through by a hook process that is killed at random: is anything ever done twice?

The hook has no memory but the ledger: it takes the stream up where its newest decision stands. Before each run it
hands in the outcomes that became known, has the standing assessed, writes its predictions and one decision a test, and
only then acts, through ``hooks.acts``; an action leaves a line in a file that is only ever appended to, which is what
is counted in the end. Put here this process, run as ``python -m assets.measuring.killed_stream FOLDER``, and who kills
it; what the stream is made of is ``decision_stream``'s.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.measuring.decision_stream import DECISION, HOOK, decided_per
from models.test_selection import SPEC
from weaver_forge.contracts.values import Level, Maturity
from weaver_forge.errors import SourceError
from weaver_forge.hooks.acts import Act, act_once
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.assessing import Circumstances, assess_all
from weaver_forge.ledger.queries_autonomy import history, newest_standings, uncertain_acts
from weaver_forge.policy import Policy, PredictionView, Question, Ruling, draw_of, effective, evaluate, parse

KIND = decided_per("test")
ACTION = KIND.actions[0]

_LEDGER, _STREAM, _POLICY, _DONE, _KEPT = "ledger.sqlite", "stream.parquet", "policy.yaml", "done", "assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What is left in the end.

    Args:
        n_decisions: In the ledger, one a test and run.
        n_kills: Of the hook.
        n_actions: Tests left out, as they were counted outside.
        n_doubled: Of these, left out more than once.
        n_uncertain: Claimed by a hook that died before it said what came of it.
        n_unearned: Left out although the decision's level was not autonomous, or without a decision.
        n_escaped: Tests left out that failed.
        changes: Standings in which a level changed, oldest first.
        is_whole: Whether every decision of the stream is there once, and the ledger verifies.
    """

    n_decisions: int
    n_kills: int
    n_actions: int
    n_doubled: int
    n_uncertain: int
    n_unearned: int
    n_escaped: int
    changes: list[dict[str, Any]]
    is_whole: bool


def survive(
    stream: pl.DataFrame, folder: Path, policy: str, *, mean_s: float, rng: np.random.Generator, most: int = 10_000
) -> Survived:
    """Have the stream lived through, killing the hook again and again until it is through.

    Args:
        stream: As ``decision_stream.spliced`` gives it.
        folder: Empty; the ledger and the actions are left there.
        policy: The text of the policy.
        mean_s: How long the hook lives on average once it has begun.
        rng: Draws how long.
        most: Kills after which it is left alone.

    Raises:
        SourceError: If the hook fails by itself.
    """
    stream.write_parquet(folder / _STREAM)
    (folder / _POLICY).write_text(policy, encoding="utf-8")
    with Ledger.open(_url(folder)):
        pass
    n_kills = 0
    while not _is_through(folder, None if n_kills >= most else float(rng.exponential(mean_s))):
        n_kills += 1
    return _counted(stream, folder, n_kills)


def _is_through(folder: Path, lives_s: float | None) -> bool:
    """Let the hook live for a while, killed with nothing said; whether it came to the end before."""
    command = [sys.executable, "-m", "assets.measuring.killed_stream", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as hook:
        assert hook.stdout is not None
        hook.stdout.readline()  # it has begun
        try:
            _, said = hook.communicate(timeout=lives_s)
        except subprocess.TimeoutExpired:
            hook.kill()
            hook.communicate()
            return False
    if hook.returncode:
        raise SourceError(f"the hook failed: {said.strip().rpartition(chr(10))[2]}", where="killed stream")
    return True


def _counted(stream: pl.DataFrame, folder: Path, n_kills: int) -> Survived:
    done = Counter((folder / _DONE).read_text(encoding="utf-8").split("\n")[:-1])
    failed = set(stream.filter(pl.col("outcome") > 0).select(_unit()).to_series())
    with Ledger.open(_url(folder)) as ledger:
        decisions = ledger.rows("decisions", columns=("unit", "level"))
        levels = {row["unit"]: row["level"] for row in decisions}
        is_whole = ledger.verify().ok and Counter(row["unit"] for row in decisions) == Counter(_units(stream))
        return Survived(
            n_decisions=len(decisions),
            n_kills=n_kills,
            n_actions=sum(done.values()),
            n_doubled=sum(1 for times in done.values() if times > 1),
            n_uncertain=len(uncertain_acts(ledger)),
            n_unearned=sum(1 for unit in done if levels.get(unit) != Level.AUTONOMOUS),
            n_escaped=len(failed & done.keys()),
            changes=[row for row in history(ledger) if row["level"] != row["previous_level"]],
            is_whole=is_whole,
        )


def _unit() -> pl.Expr:
    return pl.concat_str("set", "revision", "test_id", separator="|").alias("unit")


def _units(stream: pl.DataFrame) -> list[str]:
    return stream.select(_unit()).to_series().to_list()


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / _LEDGER}"


class _Hook:
    """The process that is killed: everything that it knows is in the ledger."""

    def __init__(self, ledger: Ledger, folder: Path, do: Callable[[str], str]) -> None:
        stream = pl.read_parquet(folder / _STREAM).with_columns(_unit())
        self._ledger, self._folder, self._do = ledger, folder, do
        self._policy: Policy = parse((folder / _POLICY).read_text(encoding="utf-8"), "the stream's policy")
        self._scope = effective(self._policy, DECISION).scope
        self._runs = stream.partition_by("set", "revision", maintain_order=True)
        self._outcomes = stream.sort("known_at", maintain_order=True)

    def live(self) -> None:
        """From the newest decision on; what was decided is not decided again, but perhaps was not done yet."""
        newest = self._ledger.tail("decisions", 1)
        first = int(newest[0]["decision_id"].partition("|")[0]) if newest else -1
        if newest:
            self._act(first, self._ruled(self._runs[first], Level(newest[0]["level"])))
        for number in range(first + 1, len(self._runs)):
            run = self._runs[number]
            level = self._look(number, run)
            ruled = self._ruled(run, level)
            self._decide(number, run, level, ruled)
            self._act(number, ruled)

    def _look(self, number: int, run: pl.DataFrame) -> Level:
        """Hand in what became known since two runs ago, some of it again, and have the standing assessed."""
        now = run["predicted_at"][0]
        since = self._runs[number - 2]["predicted_at"][0] if number > 1 else datetime.min  # noqa: DTZ901 - naive UTC
        known = self._outcomes.filter(pl.col("known_at") > since, pl.col("known_at") <= now)
        rows = [
            {
                "outcome_id": f"o|{row['unit']}", "prediction_id": row["unit"], "outcome": row["outcome"],
                "maturity": Maturity.MATURE.value, "outcome_known_at": row["known_at"],
            }
            for row in known.iter_rows(named=True)
        ]  # fmt: skip
        self._ledger.append("outcomes", rows, now=now)
        around = Circumstances(policy=self._policy, halted=lambda _: "", now=now)
        assess_all(self._ledger, [replace(SPEC, kinds=(KIND,))], around, self._folder / _KEPT)
        [standing] = newest_standings(self._ledger)
        return Level(standing["level"])

    def _decide(self, number: int, run: pl.DataFrame, level: Level, ruled: Mapping[str, Ruling]) -> None:
        now = run["predicted_at"][0]
        predictions = [
            {
                "prediction_id": unit, "decision": DECISION, "entity": KIND.entity, "unit": unit,
                "subject": {"repo_id": run["set"][0], "revision": run["revision"][0], "test_id": test},
                "predicted_at": now, "made_at": now, "origin": "live", "probability": probability, "model_name": "m",
                "model_version": "1", "is_baseline": False, "data_as_of": now,
            }
            for unit, test, probability in zip(run["unit"], run["test_id"], run["probability"], strict=True)
        ]  # fmt: skip
        decisions = [
            {
                "decision_id": f"{number:06d}|{unit}", "decision": DECISION, "entity": KIND.entity, "unit": unit,
                "hook": HOOK, "prediction_ids": [unit], "verdict": ruling.verdict.value, "level": level.value,
                "scope": str(self._scope), "applied": ruling.acts, "exit_code": 0, "made_at": now,
                "action": ACTION.name, "earned": level.value, "held_out": ruling.held_out,
            }
            for unit, ruling in ruled.items()
        ]  # fmt: skip
        self._ledger.append("predictions", predictions, now=now)
        self._ledger.append("decisions", decisions, now=now)

    def _act(self, number: int, ruled: Mapping[str, Ruling]) -> None:
        clock = partial(_seconds_after, self._runs[number]["predicted_at"][0])
        for unit, ruling in ruled.items():
            if ruling.acts:
                decision_id = f"{number:06d}|{unit}"
                act = Act(decision_id=decision_id, decision=DECISION, action=ACTION.name, unit=unit, hook=HOOK)
                act_once(self._ledger, act, partial(self._do, unit), clock=clock, halted=str)

    def _ruled(self, run: pl.DataFrame, level: Level) -> dict[str, Ruling]:
        """What policy says of each test. Whole runs are held out: tests of one run are judged together."""
        now, name = run["predicted_at"][0], f"{run['set'][0]}|{run['revision'][0]}"
        asked = Question(
            decision=DECISION, action=ACTION.name, on="low", holds=False, now=now, earned=level,
            draw=draw_of(DECISION, name, HOOK),
        )  # fmt: skip
        views = [PredictionView(probability=probability, made_at=now) for probability in run["probability"]]
        rulings = [evaluate(self._policy, replace(asked, prediction=view)) for view in views]
        return dict(zip(run["unit"], rulings, strict=True))


def _seconds_after(instant: datetime) -> datetime:
    return instant + timedelta(seconds=1)


def main(folder: Path) -> None:
    """The hook's process."""
    print("begun", flush=True)  # noqa: T201 - the protocol with who kills it
    descriptor = os.open(folder / _DONE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Ledger.open(_url(folder)) as ledger:
        _Hook(ledger, folder, lambda unit: str(os.write(descriptor, f"{unit}\n".encode()))).live()
    os.close(descriptor)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
