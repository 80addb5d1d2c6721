"""Examples out of a repository's own past, and weights that are chosen by how they do on its later part.

Put the choosing here. Every example is as of its own change: only changes known strictly before it count. The
weights in use are one of: the pooled prior, or the repository's own, drawn to the prior more or less strongly;
whichever ranks the newest quarter of the examples best after learning on the rest. With little history the prior
speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weaver_forge.links.impact.grouped import Floats, Ints
from weaver_forge.links.impact.history import History
from weaver_forge.links.impact.signals import NAMES, Asked, candidates
from weaver_forge.links.impact.weights import Examples, Weights, calibrated, fit, times

MOST_FILES = 30
"""Changes of more files are asked about no more: what belongs to them is no question of coupling."""

MOST_QUESTIONS = 2_000
PULLS = (3.0, 30.0, 300.0)
LEAST_CHANGES = 20
"""Changes with several known files below which nothing is learned of a repository's own."""

FIRST = 5
"""How many files a reader looks at: what ranking is chosen for."""

_LATER = 0.25


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights and where they are from.

    Args:
        weights: In use.
        source: In words.
        n_changes: Changes that they were learned from.
    """

    weights: Weights
    source: str
    n_changes: int


def questions(history: History, begin: int, end: int) -> tuple[Asked, Ints]:
    """Each file of the changes ``begin`` to ``end``, where it and at least another one were known before.

    Returns:
        The questions, and which change each is about.
    """
    change = np.arange(begin, end)
    change = change[(history.size[change] >= 2) & (history.size[change] <= MOST_FILES)]
    owner, file = history.of_change.all(change)
    limit = np.searchsorted(history.at, history.at[change], side="left")
    known = history.first[file] < limit[owner]
    keep = known & (np.bincount(owner, known, len(change))[owner] >= 2)
    owner, file = owner[keep], file[keep]
    about = change[owner]
    return Asked(file=file, limit=limit[owner], at=history.at[about], author=history.author[about]), about


def newest(asked: Asked, about: Ints, most: int) -> tuple[Asked, Ints]:
    """The last ``most`` questions."""
    begin = max(0, len(about) - most)
    return asked.part(begin, len(about)), about[begin:]


def wanted(history: History, asked: Asked, about: Ints) -> tuple[Ints, Ints]:
    """The other files of each question's change that were known before: which question, and the file."""
    owner, file = history.of_change.all(about)
    right = (history.first[file] < asked.limit[owner]) & (file != asked.file[owner])
    return owner[right], file[right]


def examples(history: History, asked: Asked, about: Ints) -> Examples:
    """Candidates of each question, and whether they were changed."""
    found = candidates(history, asked)
    owner, file = wanted(history, asked, about)
    span = len(history.paths.names)
    is_changed = np.isin(found.owner * span + found.file, owner * span + file)
    return Examples(
        owner=found.owner, x=found.x, is_changed=is_changed.astype(np.float64),
        n_wanted=np.bincount(owner, minlength=len(asked)), change=about,
    )  # fmt: skip


def learn(made: Examples, prior: Weights, pulls: Sequence[float] = PULLS) -> Learned:
    """Choose weights on the later part of the examples, and fit them on all.

    Args:
        made: Of one repository's changes.
        prior: What is learned elsewhere.
        pulls: How strongly own weights may be drawn to the prior; the best of these is taken, or the prior.
    """
    changes = np.unique(made.change)
    if prior.names != NAMES or len(changes) < LEAST_CHANGES:
        return Learned(prior, "other repositories' changes: there are too few here", 0)
    later = made.change >= changes[int(len(changes) * (1 - _LATER))]
    before, after = made.of(~later), made.of(later)
    tried = [(np.inf, prior), *((pull, fit(before, prior, pull)) for pull in pulls)]
    # Of equals the one that stays nearest to the prior.
    _, pull = max((mean_recall(after, score(weights, after)), pull) for pull, weights in tried)
    if pull == np.inf:
        return Learned(calibrated(prior, made), "other repositories' changes: this one's own did no better", 0)
    return Learned(fit(made, prior, pull), "this repository's own changes", len(changes))


def score(weights: Weights, made: Examples) -> Floats:
    """Score of each candidate."""
    total: Floats = times(weights.standardised(made.x), weights.weight)
    return total


def recall(made: Examples, value: Floats, first: int = FIRST) -> Floats:
    """Share of the wanted files among the first candidates of each question."""
    order = np.lexsort((-value, made.owner))
    owner = made.owner[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    found = np.bincount(owner, made.is_changed[order] * (place < first), len(made.n_wanted))
    share: Floats = found / np.maximum(made.n_wanted, 1)
    return share


def mean_recall(made: Examples, value: Floats) -> float:
    """Mean over changes of the mean over their questions."""
    weight = made.share
    return float(recall(made, value) @ weight / max(weight.sum(), 1e-12))


def pooled(histories: Sequence[Examples], pull: float = 30.0) -> Weights:
    """Weights from several repositories' examples, each repository counting as much as the others.

    Args:
        histories: Examples of each.
        pull: How strongly weights are drawn to nothing.
    """
    x = np.concatenate([made.x for made in histories])
    offsets = np.cumsum([0, *(len(made.n_wanted) for made in histories)])
    changes = np.cumsum([0, *(int(made.change.max(initial=0)) + 1 for made in histories)])
    together = Examples(
        owner=np.concatenate([made.owner + first for made, first in zip(histories, offsets, strict=False)]),
        x=x,
        is_changed=np.concatenate([made.is_changed for made in histories]),
        n_wanted=np.concatenate([made.n_wanted for made in histories]),
        change=np.concatenate([made.change + first for made, first in zip(histories, changes, strict=False)]),
    )
    n = len(NAMES)
    nothing = Weights(names=NAMES, mean=x.mean(axis=0), scale=x.std(axis=0) + 1e-6, weight=np.zeros(n))
    return fit(together, nothing, pull)
