"""Boosted trees as plain arrays: grown by scikit-learn, stored as numbers, evaluated in numpy.

Put here how trees are grown, exported and walked. What the columns mean belongs to the estimators.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEARNING_RATE = 0.05
N_TREES = 80
LEAVES = 8
SMALLEST_LEAF = 40
BAGS = 3
COLUMN_SHARE = 0.5

_WHOLE = ("roots", "feature", "left", "right", "missing_left")


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees whose values add up to log-odds; several boosted models are averaged by the scale.

    Args:
        roots: Index of the root node of each tree.
        feature: Column that a node splits on; -1 for a leaf.
        threshold: Go left when value <= threshold.
        left: Index of the left child.
        right: Index of the right child.
        missing_left: 1 where a missing value goes left.
        value: Node's value, inner nodes included: what a split adds is the difference to its parent.
        base: Log-odds before any tree.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: Ints
    value: Floats
    base: float

    def contributions(self, x: Floats) -> Floats:
        """Log-odds that splits on each column add on the way down, shape (n, n_columns) (Saabas 2014)."""
        parts = np.zeros_like(x)
        rows = np.arange(x.shape[0])
        for root in self.roots:
            active, node = rows, np.full(x.shape[0], root)
            while active.size:
                column = self.feature[node]
                inner = column >= 0
                active, node, column = active[inner], node[inner], column[inner]
                value = x[active, column]
                goes_left = np.where(np.isnan(value), self.missing_left[node] == 1, value <= self.threshold[node])
                child = np.where(goes_left, self.left[node], self.right[node])
                # A row passes one node of a tree at a time, so no index repeats and += is safe.
                parts[active, column] += self.value[child] - self.value[node]
                node = child
        return parts

    @property
    def intercept(self) -> float:
        """Log-odds of the roots: what holds before any split."""
        return self.base + float(self.value[self.roots].sum())

    def as_data(self) -> dict[str, Any]:
        """Plain JSON-able numbers; values are rounded to seven digits, which moves no probability by 1e-5."""
        return {
            "roots": self.roots.tolist(),
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "missing_left": self.missing_left.tolist(),
            "value": np.round(self.value, 7).tolist(),
            "base": self.base,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Forest":
        """The inverse of :meth:`as_data`."""
        whole = {name: np.asarray(data[name], np.int64) for name in _WHOLE}
        return cls(
            **whole,
            threshold=np.asarray(data["threshold"], float),
            value=np.asarray(data["value"], float),
            base=data["base"],
        )


def grow(x: Floats, y: Floats, weight: Floats, rng: np.random.Generator) -> Forest:
    """Grow a few small boosted models on random halves of the columns a split, and average them.

    Args:
        x: Shape (n, n_columns), NaN = missing.
        y: 0 or 1, both present.
        weight: Weight of each row.
        rng: Draws the column subsets.
    """
    # Imported here: scikit-learn costs seconds, and predicting must not need it.
    from sklearn.ensemble import HistGradientBoostingClassifier

    # A column without two values cannot split, and one that is all missing cannot even be binned.
    usable = np.flatnonzero([np.unique(column[np.isfinite(column)]).size > 1 for column in x.T])
    if usable.size == 0:
        return _nothing_to_split()
    nodes, base = [], 0.0
    for seed in rng.integers(0, 2**31 - 1, BAGS):
        grown = HistGradientBoostingClassifier(
            learning_rate=LEARNING_RATE,
            max_iter=N_TREES,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=SMALLEST_LEAF,
            l2_regularization=5.0,
            max_features=COLUMN_SHARE,
            early_stopping=False,
            random_state=int(seed),
        ).fit(x[:, usable], y, sample_weight=weight)
        base += float(grown._baseline_prediction.ravel()[0]) / BAGS  # noqa: SLF001 - the only way to its numbers
        nodes += [tree.nodes for (tree,) in grown._predictors]  # noqa: SLF001 - the same
    return _exported(nodes, base, usable)


def _nothing_to_split() -> Forest:
    none = np.zeros(0, np.int64)
    return Forest(none, none, np.zeros(0), none, none, none, np.zeros(0), 0.0)


def _exported(trees: list[Any], base: float, usable: NDArray[np.intp]) -> Forest:
    """Put the trees one after the other, with columns numbered as in the whole matrix."""
    offsets = np.cumsum([0, *(tree.size for tree in trees)])
    whole = np.concatenate(trees)
    shift = np.repeat(offsets[:-1], [tree.size for tree in trees])
    leaf = whole["is_leaf"].astype(bool)
    return Forest(
        roots=offsets[:-1].astype(np.int64),
        feature=np.where(leaf, -1, usable[np.where(leaf, 0, whole["feature_idx"])]).astype(np.int64),
        threshold=np.where(leaf, 0.0, np.clip(whole["num_threshold"], -1e300, 1e300)),
        left=np.where(leaf, 0, whole["left"] + shift).astype(np.int64),
        right=np.where(leaf, 0, whole["right"] + shift).astype(np.int64),
        missing_left=whole["missing_go_to_left"].astype(np.int64),
        value=whole["value"].astype(float) / BAGS,
        base=base,
    )
