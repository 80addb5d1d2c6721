"""The dice of the simulated development: how likely a change breaks something, what it breaks, how long it stays.

Pure functions of what can be seen and a generator. The state they are asked about is in ``workplace`` and ``history``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from weaver_forge.testing.cases import Case
from weaver_forge.testing.changes_made import Bug

OFFSETS = {"feat": 0.2, "perf": 0.3, "refactor": 0.0, "rename": -0.5}
"""Kinds that can break something. Configuration, text and tests break nothing here."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What anybody could see of a change when it was made.

    Args:
        n_recent_changes: Changes to its files in the 14 days before, summed.
        n_own_changes: The author's earlier changes to the service.
        n_earlier_bugs: Bugs repaired in its files before.
        is_late: Made between 20:00 and 06:00 UTC.
        is_chronic: It touches one of the areas that break again and again.
    """

    n_lines: int
    n_files: int
    n_recent_changes: int
    n_own_changes: int
    n_earlier_bugs: int
    is_late: bool
    is_chronic: bool


def probability_of_a_bug(kind: str, seen: Seen) -> float:
    """True probability that a change is bug-inducing; the intercept gives about 18 in 100 over all changes."""
    if kind not in OFFSETS:
        return 0.0
    z = (
        -1.85
        + OFFSETS[kind]
        + 0.38 * (np.log1p(seen.n_lines) - 2.2)
        + 0.35 * (np.log1p(seen.n_recent_changes) - 1.5)
        - 0.40 * (np.log1p(seen.n_own_changes) - 1.8)
        + 0.70 * (seen.is_late)
        + 0.20 * np.log1p(seen.n_earlier_bugs)
        + 0.80 * seen.is_chronic
        + 0.10 * (seen.n_files - 2)
    )
    return float(1.0 / (1.0 + np.exp(-z)))


def failing_tests(
    service: str,
    module: str,
    known: list[Case],
    upstream: set[str],
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Draw which of the known tests fail: mostly the module's own, some of the service, some of its callers."""
    own = [case for case in known if case.service == service and case.module == module]
    near = [case for case in known if case.service == service and case.module != module]
    wide = [case for case in known if case.is_integration and case.service in upstream]
    chances = [(own, 0.6), (near, 0.04), (wide, 0.25)]
    found = [case.test_id for group, chance in chances for case in group if rng.random() < chance]
    if not found and (own or near):
        group = own or near
        found = [group[int(rng.integers(len(group)))].test_id]
    return tuple(sorted(found))


def time_to_fix(bug: Bug, at: datetime, rng: np.random.Generator) -> timedelta:
    """Time until the fix. One that hurts production is repaired after the incident, so not before 6 hours."""
    if bug.failing:
        hours = float(np.clip(rng.lognormal(1.3, 0.8), 0.5, 72.0))
    elif bug.hits_production:
        hours = 6.0 + float(rng.lognormal(2.2, 0.7))
    else:
        hours = 12.0 + float(rng.lognormal(3.6, 0.8))
    due = at + timedelta(hours=hours)
    asleep = timedelta(hours=8 - due.hour + float(rng.uniform(0, 2))) if due.hour < 7 else timedelta()
    return due + asleep - at
