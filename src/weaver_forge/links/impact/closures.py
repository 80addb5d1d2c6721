"""Who depends on a file through imports, over stored edges: arrays, asked once a file and kept.

Put here the walk over edges that are known already. Finding them in texts belongs in ``python_imports``; the answer
for people, with its chain, is ``ImportGraph.dependents``'.
"""

import numpy as np
import polars as pl

from weaver_forge.links.impact.grouped import Grouped, Ints

FARTHEST = 8
"""Imports between two files beyond which nothing is said."""


class Closures:
    """The files of one tree and who imports whom.

    Args:
        edges: path, imported (empty where the row only says that the file is there); any repetition counts once.
    """

    def __init__(self, edges: pl.DataFrame) -> None:
        paths = edges["path"].unique().sort()
        self.paths = paths
        self._number = {path: place for place, path in enumerate(paths.to_list())}
        code = pl.Enum(paths)
        pairs = edges.filter(pl.col("imported").is_in(paths.implode())).select(
            pl.col("path", "imported").cast(code).to_physical().cast(pl.Int64)
        )
        self._importers = Grouped.of(pairs["imported"].to_numpy(), pairs["path"].to_numpy(), len(paths), len(paths) + 1)
        self._known: dict[str, tuple[Ints, Ints]] = {}

    def __contains__(self, path: str) -> bool:
        """Whether the tree has the file."""
        return path in self._number

    def dependents(self, path: str) -> tuple[Ints, Ints]:
        """Numbers of the files that import a file, directly or through others, and over how many imports.

        The file itself is among them, with distance 0; a file that is not in the tree has none.
        """
        if path not in self._known:
            self._known[path] = self._walk(path)
        return self._known[path]

    def _walk(self, path: str) -> tuple[Ints, Ints]:
        start = self._number.get(path)
        if start is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        distance = np.full(len(self._number), -1, np.int64)
        edge = np.array([start], np.int64)
        distance[edge] = 0
        for step in range(1, FARTHEST + 1):
            near = np.unique(self._importers.all(edge)[1])
            edge = near[distance[near] < 0]
            if not edge.size:
                break
            distance[edge] = step
        found = np.flatnonzero(distance >= 0)
        return found, distance[found]
