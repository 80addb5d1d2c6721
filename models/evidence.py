"""Evidence as every decision writes it: a JSON list of facts, strongest first.

Put here what is the same for all; the wording of a fact belongs in its decision's package.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.logistic import Floats

LEAST = 0.02
"""Facts that move the log-odds by less are not worth a line."""


def strongest(rows: pl.DataFrame, facts: Sequence[tuple[pl.Expr, pl.Expr]], parts: Floats, *, most: int) -> pl.Series:
    """JSON list of the ``most`` facts with the largest absolute parts, row by row; the first always stands.

    Args:
        rows: What the facts are worded from, one row a subject.
        facts: A fact in words and its link.
        parts: Their share of the log-odds, shape (n_rows, n_facts); written to four places.
        most: How many facts a row shows at most.
    """
    parts = np.round(parts, 4) + 0.0
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :most]
    shown = np.abs(np.take_along_axis(parts, order, 1)) >= LEAST
    shown[:, 0] = True
    told = np.where(shown, order, -1).ravel()
    # Ten thousand rows show few of their facts: only those are put into words, and then laid out in their places.
    texts, at, n = [pl.Series("text", [None], dtype=pl.String)], np.zeros(told.size, np.intp), 1
    for number, (fact, link) in enumerate(facts):
        places = np.flatnonzero(told == number)
        row = places // order.shape[1]
        needed = {*fact.meta.root_names(), *link.meta.root_names()} or rows.columns[:1]
        said = pl.struct(fact=fact, contribution=pl.Series(parts[row, number], dtype=pl.Float64), link=link)
        texts.append(rows.select(needed)[row].select(text=said.struct.json_encode()).to_series())
        at[places] = n + np.arange(row.size)
        n += row.size
    every = pl.concat(texts)
    chosen = pl.DataFrame([every.gather(column).alias(str(i)) for i, column in enumerate(at.reshape(order.shape).T)])
    joined = pl.concat_str(pl.all(), separator=",", ignore_nulls=True)
    return chosen.select(text=pl.format("[{}]", joined)).to_series()
