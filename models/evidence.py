"""Evidence as every decision writes it: a JSON list of facts, strongest first.

Put here what is the same for all; the wording of a fact belongs in its decision's package.
"""

import numpy as np

from models.logistic import Floats

LEAST = 0.02
"""Facts that move the log-odds by less are not worth a line."""


def strongest(texts: "np.ndarray[tuple[int, int], np.dtype[np.object_]]", parts: Floats, *, most: int) -> list[str]:
    """Join the ``most`` texts with the largest absolute parts, row by row; the first always stands.

    Args:
        texts: Facts as JSON objects, shape (n, n_facts).
        parts: Their share of the log-odds, same shape.
        most: How many facts a row shows at most.
    """
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :most]
    chosen, weight = np.take_along_axis(texts, order, 1), np.abs(np.take_along_axis(parts, order, 1))
    keep = weight >= LEAST
    keep[:, :1] = True
    return [
        "[" + ",".join(text for text, kept in zip(row, mask, strict=True) if kept) + "]"
        for row, mask in zip(chosen.tolist(), keep.tolist(), strict=True)
    ]
