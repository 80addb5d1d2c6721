"""How strongly each file is tied to a given one at a moment, by every signal that a history gives.

Put a signal between files here: one function a kind, each giving arrays of shape (asked, files). A signal at a
moment uses the changes known strictly before it, and nothing else; :data:`SIGNALS` says in words what each is.
Combining them belongs in ``weights``.

Changes of many files say little about each pair of them: beyond :data:`MOST_TOGETHER` files they count for nothing
between files (a rename of the whole tree, a new licence header), below that by their size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from weaver_forge.links.impact.grouped import Bools, Floats, Ints, table
from weaver_forge.links.impact.history import History

MOST_TOGETHER = 50
"""Files of a change beyond which nothing is read from two of them being together."""

MOST_CHANGES_OF_FILE = 400
MOST_CHANGES_OF_GROUP = 150
MOST_CHANGES_OF_AUTHOR = 30
_POPULAR = ((8, 80), (40, 400), (250, 2500))
"""Half-lives in changes, and how many changes back are looked at."""

_CELLS = 150_000
"""How many (asked, file) cells are held at a time: memory stays small, and arrays within the caches."""

SIGNALS: dict[str, str] = {
    "cochange": "changed together with it before",
    "cochange_small": "changed together with it in small changes",
    "cochange_newest": "changed together with it in its newest changes",
    "cochange_half_year": "changed together with it in the last months",
    "cochange_year_small": "changed together with it in small changes of the last year",
    "jaccard": "one seldom changes without the other",
    "reverse": "seldom changes without it",
    "cosine": "often changed together, for how often they change",
    "together": "number of changes that touched both",
    "ever_together": "changed together with it at least once",
    "popular_8": "changed in the newest changes",
    "popular_40": "changed often lately",
    "popular_250": "changed often in the last hundreds of changes",
    "popular": "changes often",
    "recent_changes": "changed a short while ago, in changes",
    "recent_days": "changed a short while ago, in days",
    "folder_cochange": "changes along with files of its folder",
    "folder_cochange_newest": "changes along with files of its folder lately",
    "extension_cochange": "changes along with files of its kind",
    "extension_cochange_newest": "changes along with files of its kind lately",
    "stem_cochange": "changes along with its namesakes",
    "stem_cochange_newest": "changes along with its namesakes lately",
    "author": "the author changed it lately",
    "author_today": "the author changed it in the last hours",
    "path_words": "similar path",
    "path_prefix": "near it in the tree",
    "same_folder": "in the same folder",
    "same_extension": "of the same kind",
    "same_stem": "same name, as a source and its test",
    "same_folder_extension": "same folder and kind",
    "same_folder_popular": "in the same folder, and changes often",
}
"""Every signal and what it says, in the order of the columns."""

NAMES = tuple(SIGNALS)

_PROPOSE = (
    "cochange", "cochange_small", "cochange_newest", "cochange_year_small", "popular_40", "popular_8",
    "folder_cochange_newest", "stem_cochange_newest", "author", "author_today", "path_words", "extension_cochange",
)  # fmt: skip
_PROPOSED_EACH = 30
"""Candidates are the first few by each of these signals: the others have no chance, and cost the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Files asked about, each at a moment; arrays of one length.

    Args:
        file: Which file.
        limit: How many changes of the history are known then.
        at: The moment, seconds since 1970.
        author: Who makes the change; the last author is nobody.
    """

    file: Ints
    limit: Ints
    at: Floats
    author: Ints

    def __len__(self) -> int:
        """Count them."""
        return len(self.file)

    def part(self, begin: int, end: int) -> "Asked":
        """Some of them."""
        return Asked(
            file=self.file[begin:end], limit=self.limit[begin:end], at=self.at[begin:end], author=self.author[begin:end]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Files that may be tied to those asked about, a row each, in the order of the asked.

    Args:
        owner: Which of the asked.
        file: The candidate.
        x: Signals, shape (n, len(NAMES)), in the order of :data:`NAMES`.
    """

    owner: Ints
    file: Ints
    x: Floats


def candidates(history: History, asked: Asked) -> Candidates:
    """The likely candidates of each file asked about, with all signals."""
    parts = []
    for begin, known, found in every(history, asked):
        chosen = np.zeros(known.shape, bool)
        most = min(_PROPOSED_EACH, known.shape[1])
        for name in _PROPOSE:
            value = np.where(known, found[name], -np.inf)
            np.put_along_axis(chosen, np.argpartition(-value, most - 1, axis=1)[:, :most], True, 1)
        owner, file = np.nonzero(chosen & known)
        parts.append((owner + begin, file, np.stack([found[name][owner, file] for name in NAMES], axis=1)))
    if not parts:
        none = np.zeros(0, np.int64)
        return Candidates(owner=none, file=none, x=np.zeros((0, len(NAMES))))
    owner, file, x = (np.concatenate(some) for some in zip(*parts, strict=True))
    return Candidates(owner=owner, file=file, x=x)


def every(history: History, asked: Asked) -> Iterator[tuple[int, Bools, dict[str, Floats]]]:
    """All signals of all files, a bounded piece at a time.

    Yields:
        The place of the piece's first in ``asked``; which files were known then and are not the asked one itself,
        shape (asked, files); and each signal, same shape.
    """
    n_files = len(history.paths.names)
    step = max(1, _CELLS // max(n_files, 1))
    for begin in range(0, len(asked), step):
        some = asked.part(begin, begin + step)
        known = history.first[None, :] < some.limit[:, None]
        known[np.arange(len(some)), some.file] = False
        yield begin, known, _signals(history, some)


def _signals(history: History, asked: Asked) -> dict[str, Floats]:
    found = _popularity(history, asked)
    base = (found.pop("_share_250") + found.pop("_share")) / 2 + 1e-6
    found |= _cochange(history, asked, base, found.pop("_changes"))
    found |= _group_cochange(history, asked, base)
    found |= _author(history, asked)
    found |= _names(history, asked)
    found["same_folder_popular"] = found["same_folder"] * (found["popular_40"] - np.log(1e-4))
    return found


_Weigh = Callable[[Ints, Ints, Floats], Floats]
"""(changes, rank from the newest, age in days) -> what each counts."""


def _weighted(
    history: History, asked: Asked, newest: tuple[Ints, Ints, Ints], weights: dict[str, _Weigh]
) -> Iterator[tuple[str, Floats, Floats]]:
    """For each weighting: its name, the weight of changes with each file, and of all changes."""
    owner, change, rank = newest
    small = history.size[change] <= MOST_TOGETHER
    owner, change, rank = owner[small], change[small], rank[small]
    days = np.maximum(asked.at[owner] - history.at[change], 0.0) / 86_400
    row, file = history.of_change.all(change)
    shape = (len(asked), len(history.paths.names))
    for name, weigh in weights.items():
        weight = weigh(change, rank, days)
        yield (
            name,
            table(owner[row], file, weight[row], shape),
            np.bincount(owner, weight, len(asked)).astype(np.float64),
        )


def _log_share(part: Floats, whole: Floats, base: Floats, prior: float) -> Floats:
    """Log of a share, drawn towards the file's own popularity where little is known."""
    share: Floats = np.log((part + prior * base) / (whole[:, None] + prior))
    return share


def _cochange(history: History, asked: Asked, base: Floats, changes: Floats) -> dict[str, Floats]:
    others = np.maximum(history.size - 1, 1).astype(np.float64)
    weights: dict[str, _Weigh] = {
        "cochange": lambda change, _rank, _days: np.ones(len(change)),
        "cochange_small": lambda change, _rank, _days: 1 / others[change],
        "cochange_newest": lambda _change, rank, _days: 0.5 ** (rank / 3),
        "cochange_half_year": lambda _change, _rank, days: 0.5 ** (days / 180),
        "cochange_year_small": lambda change, _rank, days: 0.5 ** (days / 365) / np.sqrt(others[change]),
    }
    prior = {"cochange": 0.5, "cochange_year_small": 0.2}
    newest = history.of_file.newest(asked.file, asked.limit, MOST_CHANGES_OF_FILE)
    found: dict[str, Floats] = {}
    for name, part, whole in _weighted(history, asked, newest, weights):
        found[name] = _log_share(part, whole, base, prior.get(name, 0.3))
        if name == "cochange":
            mine = whole[:, None]
            found["jaccard"] = part / np.maximum(mine + changes - part, 1)
            found["reverse"] = part / np.maximum(changes, 1)
            found["cosine"] = part / np.sqrt(np.maximum(mine * changes, 1))
            found["together"] = np.log1p(part)
            found["ever_together"] = (part > 0).astype(np.float64)
    return found


def _group_cochange(history: History, asked: Asked, base: Floats) -> dict[str, Floats]:
    """What changes along with files of the same folder, extension or stem: speaks where the file itself is new."""
    root = np.sqrt(np.maximum(history.size, 1))
    found: dict[str, Floats] = {}
    for group, of_group in history.of_group.items():
        newest = of_group.newest(history.paths.group[group][asked.file], asked.limit, MOST_CHANGES_OF_GROUP)
        weights: dict[str, _Weigh] = {
            f"{group}_cochange": lambda change, _rank, _days: np.ones(len(change)),
            f"{group}_cochange_newest": lambda change, rank, _days: 0.5 ** (rank / 10) / root[change],
        }
        for name, part, whole in _weighted(history, asked, newest, weights):
            found[name] = _log_share(part, whole, base, 0.3 if name.endswith("newest") else 1.0)
    return found


def _popularity(history: History, asked: Asked) -> dict[str, Floats]:
    """How often and how lately each file changed; large changes count for a tenth."""
    limits, back = np.unique(asked.limit, return_inverse=True)
    n_files = len(history.paths.names)
    large = np.where(history.size > MOST_TOGETHER, 0.1, 1.0)
    shares = np.zeros((len(_POPULAR), len(limits), n_files))
    for place, limit in enumerate(limits):
        for scale, (half_life, most) in enumerate(_POPULAR):
            first = max(0, limit - most)
            begin, end = history.of_change.start[[first, limit]]
            change = np.repeat(np.arange(first, limit), history.size[first:limit])
            weight = 0.5 ** ((limit - 1 - change) / half_life) * large[change] * (1 - 0.5 ** (1 / half_life))
            shares[scale, place] = np.bincount(history.of_change.values[begin:end], weight, n_files)
    keys = np.broadcast_to(np.arange(n_files), (len(limits), n_files))
    end = history.of_file.before(keys, limits[:, None])
    changes = (end - history.of_file.start[:-1]).astype(np.float64)
    last = (
        np.where(changes > 0, history.of_file.values[np.maximum(end - 1, 0)], 0)[back] if history.n else 0 * keys[back]
    )
    when = history.at[last] if history.n else np.zeros(last.shape)
    share = (changes / np.maximum(limits, 1)[:, None])[back]
    found = {f"popular_{half}": np.log(shares[n][back] + 1e-4) for n, (half, _) in enumerate(_POPULAR)}
    found["popular"] = np.log(share + 1e-4)
    found["recent_changes"] = -np.log1p(asked.limit[:, None] - last)
    found["recent_days"] = -np.log1p(np.maximum(asked.at[:, None] - when, 0) / 86_400)
    return found | {"_share": share, "_share_250": shares[-1][back], "_changes": changes[back]}


def _author(history: History, asked: Asked) -> dict[str, Floats]:
    owner, change, rank = history.of_author.newest(asked.author, asked.limit, MOST_CHANGES_OF_AUTHOR)
    days = np.maximum(asked.at[owner] - history.at[change], 0.0) / 86_400
    large = np.where(history.size[change] > MOST_TOGETHER, 0.1, 1.0)
    row, file = history.of_change.all(change)
    shape = (len(asked), len(history.paths.names))
    weights = {"author": large * 0.5 ** (rank / 4), "author_today": large * 0.5 ** (days / 0.5)}
    return {name: np.log(table(owner[row], file, w[row], shape) + 0.02) for name, w in weights.items()}


def _names(history: History, asked: Asked) -> dict[str, Floats]:
    """Likeness of paths; how telling a word is, is counted over the files known at the first of these moments."""
    paths, shape = history.paths, (len(asked), len(history.paths.names))
    known = history.first < asked.limit.min()
    file, word = paths.words.all(np.arange(shape[1]))
    n_words = len(paths.of_word.start) - 1
    telling = np.log((known.sum() + 1) / (np.bincount(word[known[file]], minlength=n_words) + 0.5)).clip(0) ** 2
    length = np.sqrt(np.bincount(file, telling[word], shape[1])) + 1e-9
    owner, mine = paths.words.all(asked.file)
    row, other = paths.of_word.all(mine)
    shared = table(owner[row], other, telling[mine][row], shape)
    owner, folder = paths.above.all(asked.file)
    row, below = paths.below.all(folder)
    deepest = np.maximum(paths.depth[None, :], paths.depth[asked.file][:, None])
    same = {name: (of[None, :] == of[asked.file][:, None]).astype(np.float64) for name, of in paths.group.items()}
    return {
        "path_words": shared / length[None, :] / length[asked.file][:, None],
        "path_prefix": (1 + table(owner[row], below, None, shape)) / (1 + deepest),
        **{f"same_{name}": likeness for name, likeness in same.items()},
        "same_folder_extension": same["folder"] * same["extension"],
    }
