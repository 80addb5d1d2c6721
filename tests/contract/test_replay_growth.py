"""Replaying twice as much takes about twice as long: the work grows with the history, not with its square."""

import time
from datetime import timedelta

from models.replaying import Window, replay
from models.test_selection import SPEC
from weaver_forge.benchmarks.verdict_corpus import verdict_history

LARGER = 4


def cpu_of(n_changes: int) -> float:
    tables = verdict_history(n_changes, 100)
    now = tables["core_ci__runs"]["known_at"].max() + timedelta(hours=1)  # type: ignore[operator] # an instant
    begun = time.process_time()
    replay(SPEC.kinds[0], tables, Window(until=now, last=n_changes), now=now, n_steps=2)
    return time.process_time() - begun


def test_four_times_the_changes_take_at_most_about_four_times_the_time() -> None:
    cpu_of(20)  # what is loaded and compiled once

    small, large = min(cpu_of(40) for _ in range(2)), cpu_of(40 * LARGER)

    assert large < 2.5 * LARGER * small
