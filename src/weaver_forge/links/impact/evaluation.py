"""How well the files of a change are told from one of them: the protocol, and every single signal beside ours.

Protocol: changes in the order in which they became known; the newest fifth is held out. A held-out change is asked
about once by each of its files that was known before; wanted are its other files that were known before (a file that
is born with the change cannot be recalled; renames are not followed, so a renamed file is born anew). Changes of
more than ``learning.MOST_FILES`` files, and those with fewer than two known ones, are no questions. What is known at
a change is what changed strictly before its instant; the clock of the committer counts. Ours and every baseline rank
every known file but the asked one; the measure is the share of the wanted files among the first five, the mean over
a change's questions, then over changes, with a 95 % bootstrap interval over changes. Ties are broken at random by
the seed.

Weights are learned on questions of the other four fifths, the newest of them, and chosen within these: the held-out
part is looked at once, at the end.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from weaver_forge.links.impact.grouped import Floats, Ints
from weaver_forge.links.impact.history import History
from weaver_forge.links.impact.learning import (
    FIRST,
    MOST_QUESTIONS,
    Learned,
    examples,
    learn,
    newest,
    questions,
    recall,
    score,
    wanted,
)
from weaver_forge.links.impact.signals import NAMES, Asked, every
from weaver_forge.links.impact.weights import Examples, Weights

HELD_OUT = 0.2
MOST_HELD_OUT = 4_000
"""Questions of the held-out part that are asked: the first ones, so that a long history takes minutes, not hours."""

_RESAMPLES = 1_000


def measure(history: History, prior: Weights, rng: np.random.Generator) -> dict[str, Any] | None:
    """Value, interval, n (changes), ``baselines`` and how the weights came about; None where nothing can be asked."""
    cut = int(history.n * (1 - HELD_OUT))
    learned = learn(train_part(history), prior)
    asked, about = questions(history, cut, history.n)
    asked, about = asked.part(0, MOST_HELD_OUT), about[:MOST_HELD_OUT]
    if not len(asked):
        return None
    made = examples(history, asked, about)
    ours = recall(made, score(learned.weights, made) + 1e-9 * rng.random(len(made.owner)))
    return _row(made, ours, learned, single(history, asked, about, rng), rng)


def train_part(history: History) -> Examples:
    """The examples that may be learned from: the newest before the held-out part."""
    return examples(history, *newest(*questions(history, 0, int(history.n * (1 - HELD_OUT))), MOST_QUESTIONS))


def single(history: History, asked: Asked, about: Ints, rng: np.random.Generator) -> Mapping[str, Floats]:
    """Recall of each question by each signal alone, over all known files."""
    n_files = len(history.paths.names)
    owner, file = wanted(history, asked, about)
    is_wanted = np.zeros((len(asked), n_files), bool)
    is_wanted[owner, file] = True
    n_wanted = is_wanted.sum(axis=1)
    found: dict[str, list[Floats]] = {name: [] for name in NAMES}
    first = min(FIRST, n_files)
    for begin, known, values in every(history, asked):
        part = slice(begin, begin + len(known))
        noise = 1e-9 * rng.random(known.shape)
        for name in NAMES:
            value = np.where(known, values[name] + noise, -np.inf)
            best = np.argpartition(-value, first - 1, axis=1)[:, :first]
            found[name].append(np.take_along_axis(is_wanted[part], best, 1).sum(axis=1) / n_wanted[part])
    return {name: np.concatenate(some) for name, some in found.items()}


def _row(
    made: Examples, ours: Floats, learned: Learned, alone: Mapping[str, Floats], rng: np.random.Generator
) -> dict[str, Any]:
    weight = made.share
    changes, place = np.unique(made.change, return_inverse=True)
    each = np.bincount(place, ours * weight, len(changes))
    drawn = each[rng.integers(len(each), size=(_RESAMPLES, len(each)))].mean(axis=1) if len(each) > 1 else None
    return {
        "value": float(each.mean()),
        "low": None if drawn is None else float(np.quantile(drawn, 0.025)),
        "high": None if drawn is None else float(np.quantile(drawn, 0.975)),
        "n": len(changes),
        "baselines": {name: float(some @ weight / weight.sum()) for name, some in alone.items()},
        "weights": learned.source,
    }
