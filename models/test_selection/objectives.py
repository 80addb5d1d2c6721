"""What an order is for, and which of the candidate orders has served that best so far.

Put here the objectives and the choice between candidates: how much the learnt order and the probability weigh, and how
much a long test has to wait. The choice is made on blocks of the history that follow what each fit has seen, never on
what is to be predicted.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.logistic import Floats

Objective = Literal["time", "failures", "budget"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)

SHARES = (0.5, 0.0, 1.0)
"""Weight of the learnt order against the log-odds of the probability."""

WAITS = (0.25, 0.5, 0.75, 1.0)
"""Power of the duration by which a chance is divided; 1 would be right if chances were known exactly."""

DEFAULTS: dict[str, tuple[float, float]] = {"failures": (0.5, 0.0), "time": (0.5, 0.5), "budget": (0.5, 0.5)}
"""What holds until the history says otherwise by more than :data:`SURE` standard errors."""

SURE = 2.0

BUDGET = 0.25
"""Share of the suite's time for which the objective ``budget`` orders."""

BEHIND = 1e3
"""Log-odds by which a test that alone outlasts the budget stands behind all that fit into it."""

LEAST_RANKINGS = 10
"""Rankings below which nothing is chosen: the default holds."""


def score(share: float, wait: float, log_odds: Floats, value: Floats, duration: Floats) -> Floats:
    """The order, higher first, shape (n,).

    Args:
        share: Weight of the learnt order.
        wait: Power of the duration.
        log_odds: Log-odds of the probability.
        value: Of the learnt order, in log-odds too.
        duration: Milliseconds by which it waits, without missing ones.
    """
    result: Floats = (1 - share) * log_odds + share * value - wait * np.log1p(duration)
    return result


def in_budget(order: Floats, duration: Floats, whole: Floats) -> Floats:
    """The order for a budget: a test that alone outlasts it would spend all of it, so it stands behind the others.

    Args:
        order: Higher first, shape (n,).
        duration: Expected milliseconds.
        whole: Sum of these over the test's ranking.
    """
    result: Floats = order - BEHIND * (duration > BUDGET * whole)
    return result


def choose(
    y: Floats,
    unit: NDArray[np.intp],
    log_odds: Floats,
    value: Floats,
    duration: Floats,
    patience: Floats,
    weight: Floats,
) -> dict[str, Any]:
    """Share and wait of each objective, by mean APFD, APFDc and recall within a quarter of the time.

    Args:
        y: 0 or 1, shape (n,).
        unit: Ranking of each row, ascending, shape (n,).
        log_odds: As said before the outcome was known.
        value: The same of the learnt order.
        duration: Expected milliseconds.
        patience: Milliseconds that a test counts as in the order by time.
        weight: How many tests of its ranking and outcome each row stands for.
    """
    edges = np.append(np.flatnonzero(np.diff(unit, prepend=-1)), y.size)
    rankings = [
        slice(start, end)
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if 0 < y[start:end].sum() < end - start
    ]
    if len(rankings) < LEAST_RANKINGS:
        return {name: list(default) for name, default in DEFAULTS.items()}
    rows = np.concatenate([np.arange(part.start, part.stop) for part in rankings])
    lengths = [part.stop - part.start for part in rankings]
    each = np.repeat(np.arange(len(rankings)), lengths)
    kept = (y[rows], log_odds[rows], value[rows], duration[rows], patience[rows], weight[rows], each)
    flat = {(share, 0.0): _by_ranking(share, 0.0, *kept) for share in SHARES}
    timed = {(share, wait): _by_ranking(share, wait, *kept) for share in SHARES for wait in WAITS}
    return {
        name: _best({candidate: found[name] for candidate, found in (flat if name == "failures" else timed).items()},
                    default)
        for name, default in DEFAULTS.items()
    }  # fmt: skip


def _best(values: Mapping[tuple[float, float], Floats], default: tuple[float, float]) -> list[float]:
    """The candidate with the best mean, unless the default is within its errors: few rankings tell little."""
    best = max(values, key=lambda candidate: float(values[candidate].mean()))
    gain = values[best] - values[default]
    error = float(gain.std(ddof=1)) / np.sqrt(gain.size)
    return list(best if float(gain.mean()) > SURE * error else default)


def _by_ranking(
    share: float,
    wait: float,
    y: Floats,
    log_odds: Floats,
    value: Floats,
    duration: Floats,
    patience: Floats,
    weight: Floats,
    unit: NDArray[np.intp],
) -> Mapping[str, Floats]:
    """What each objective wants, a value a ranking, with expected durations."""
    said = score(share, wait, log_odds, value, duration)
    whole = np.bincount(unit, weights=weight * duration)[unit].astype(np.float64)
    apfd, _, _ = _measured(said, y, duration, weight, unit)
    _, apfdc, _ = _measured(score(share, wait, log_odds, value, patience), y, duration, weight, unit)
    recall = _measured(in_budget(said, duration, whole), y, duration, weight, unit)[2]
    return {"failures": apfd, "time": apfdc, "budget": recall}


def _measured(
    said: Floats, y: Floats, duration: Floats, weight: Floats, unit: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """APFD, APFDc and recall within the budget, a value a ranking; a row stands for ``weight`` tests like it."""
    order = np.lexsort((-said, unit))
    y, unit, weight = (y * weight)[order], unit[order], weight[order]
    cost = (duration[order] + 1.0) * weight
    n, m, total = (np.bincount(unit, weights=part) for part in (weight, y, cost))
    position = np.cumsum(weight) - np.concatenate([[0.0], np.cumsum(n)[:-1]])[unit]
    ends = np.cumsum(cost) - np.concatenate([[0.0], np.cumsum(total)[:-1]])[unit]
    apfd = 1 - np.bincount(unit, weights=position * y) / (n * m)
    apfdc = np.bincount(unit, weights=y * (total[unit] - ends + cost / 2)) / (m * total)
    recall = np.bincount(unit, weights=y * (ends <= BUDGET * total[unit])) / m
    return apfd, apfdc, recall
