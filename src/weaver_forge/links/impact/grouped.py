"""Sorted pairs as arrays: everything that belongs to a key, cut off at a moment, for many keys at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Values of each key in ascending order.

    Args:
        start: Where each key's values begin, shape (n_keys + 1,).
        values: The values, key by key.
        pairs: ``key * span + value``, ascending.
        span: Larger than every value.
    """

    start: Ints
    values: Ints
    pairs: Ints
    span: int

    @classmethod
    def of(cls, keys: Ints, values: Ints, n_keys: int, span: int) -> "Grouped":
        """Group the pairs; equal pairs count once."""
        pairs = np.unique(keys * span + values)
        start = np.searchsorted(pairs, np.arange(n_keys + 1) * span)
        return cls(start, pairs % span, pairs, span)

    def before(self, keys: Ints, limit: Ints) -> Ints:
        """Where each key's values from ``limit`` on begin, shape of ``keys``."""
        return np.searchsorted(self.pairs, keys * self.span + limit)

    def newest(self, keys: Ints, limit: Ints, most: int) -> tuple[Ints, Ints, Ints]:
        """The largest ``most`` values of each key below its limit.

        Returns:
            Which key (its place in ``keys``), the value, and its rank from the largest (0) on, one row a value.
        """
        end = self.before(keys, limit)
        begin = np.maximum(self.start[keys], end - most)
        owner, place = spread(begin, end)
        return owner, self.values[place], end[owner] - 1 - place

    def all(self, keys: Ints) -> tuple[Ints, Ints]:
        """Every value of each key: which key (its place in ``keys``), and the value."""
        owner, place = spread(self.start[keys], self.start[keys + 1])
        return owner, self.values[place]


def spread(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Every place of the ranges: which range, and the place."""
    n = np.maximum(end - begin, 0)
    owner = np.repeat(np.arange(len(n)), n)
    place = np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n) + np.repeat(begin, n)
    return owner, place


def table(owner: Ints, column: Ints, weight: "Floats | None", shape: tuple[int, int]) -> Floats:
    """Sum of the weights at each (owner, column); counts where there are none."""
    flat = np.bincount(owner * shape[1] + column, weight, shape[0] * shape[1])
    return flat.astype(np.float64).reshape(shape)
