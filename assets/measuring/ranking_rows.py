"""The figures of ``benchmark ranking`` and the bars that they are held against: seconds of two idle cores."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets.measuring.rows import Row

MILLION = 1_000_000
LEARN_S, LEARN_MB = 60.0, 2_000.0
WARM_MS, COLD_S = 300.0, 2.0
NEAR_LINEAR = 1.3
"""Processor time a result, to that of a tenth of the results."""

Run = Callable[..., dict[str, Any]]
"""``run(measure, **arguments)`` gives a measure's figures."""


def learn(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Learning from all results, and from a tenth: the bars are of a million, in proportion of more."""
    del folder
    few, many = run("ranking_learn", n=n_rows // 10), run("ranking_learn", n=n_rows)
    times = max(n_rows / MILLION, 1.0)
    price = many["cpu_s"] / many["n"] / (few["cpu_s"] / few["n"])
    said = f"{many['features_s']:.0f} s features, {many['fit_s']:.0f} s fits; {many['cpu_s']:.0f} s CPU"
    memory = f"{many['history_mb']:,.0f} MB of it before, for the history"
    return [
        Row(
            figure=f"learning from {many['n']:,} results", value=f"{many['wall_s']:.1f} s",
            measured=many["wall_s"], most=LEARN_S * times, ratio=said,
        ),
        Row(
            figure="the same, peak memory", value=f"{many['peak_mb']:,.0f} MB", measured=many["peak_mb"],
            most=LEARN_MB if times == 1 else None, ratio=memory,
        ),
        Row(figure="the same, CPU a result, to among a tenth", value=f"{price:.2f}", measured=price, most=NEAR_LINEAR),
        Row(figure="keeping what all of them left", value=f"{many['keep_s']:.1f} s", measured=many["keep_s"]),
    ]  # fmt: skip


def rank(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Ranking for a change that nobody has seen, in a process that lives and in one that is started for it."""
    where = str(folder)
    filled = run("ranking_fill", folder=where, n=n_rows)
    warm, cold = run("ranking_warm", folder=where), run("ranking_cold", folder=where)
    after = f"after {filled['n']:,} results"
    return [
        Row(
            figure=f"{warm['n']:,} tests ranked, warm, {after}", value=f"{warm['wall_s'] * 1e3:.0f} ms",
            measured=warm["wall_s"] * 1e3, most=WARM_MS,
            ratio=f"{warm['cpu_s'] * 1e3:.0f} ms CPU; the first of the process {warm['first_s'] * 1e3:.0f} ms",
        ),
        Row(
            figure=f"{cold['n']:,} tests ranked, cold, {after}", value=f"{cold['wall_s']:.2f} s",
            measured=cold["wall_s"], most=COLD_S,
            ratio=f"{cold['cpu_s']:.2f} s CPU; the quickest {cold['least_s']:.2f} s",
        ),
    ]  # fmt: skip


GROUPS: Mapping[str, Callable[[Run, Path, int], list[Row]]] = {"learn": learn, "rank": rank}
"""Names for --only."""
