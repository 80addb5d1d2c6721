"""Evidence as every decision writes it: a JSON list of facts, strongest first.

Put here what is the same for all; the wording of a fact belongs in its decision's package.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.logistic import Floats

LEAST = 0.02
"""Facts that move the log-odds by less are not worth a line."""


def strongest(texts: Sequence[pl.Series], parts: Floats, *, most: int) -> pl.Series:
    """Join the ``most`` texts with the largest absolute parts, row by row; the first always stands.

    Args:
        texts: Facts as JSON objects, a series of length n each.
        parts: Their share of the log-odds, shape (n, n_facts).
        most: How many facts a row shows at most.
    """
    n = parts.shape[0]
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :most]
    weight = np.abs(np.take_along_axis(parts, order, 1))
    every = pl.concat([series.rename("text") for series in texts])
    chosen = [every.gather(order[:, place] * n + np.arange(n)).alias(str(place)) for place in range(order.shape[1])]
    kept = [pl.Series(weight[:, place] >= LEAST) for place in range(order.shape[1])]
    others = [
        pl.when(kept[place]).then(pl.format(",{}", str(place))).otherwise(pl.lit("")) for place in range(1, len(kept))
    ]
    return pl.DataFrame(chosen).select(text=pl.concat_str(pl.lit("["), "0", *others, pl.lit("]"))).to_series()
