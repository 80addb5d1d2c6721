"""The figures of ``benchmark ledger`` and the bars that they are held against.

Ratios within one run say how a price grows with the rows that are there; absolute figures are of an idle machine.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets.measuring.rows import Row

PROCESSES = 4

LEAST_RESOLVED = 1_000_000
"""Predictions that the bar of scoring is about; of fewer, in proportion."""

Run = Callable[..., dict[str, Any]]
"""``run(measure, **arguments)`` gives a measure's figures."""


def write(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Decisions written by four processes, against one; and how fast they verify."""
    n = max(n_rows // 100, 400)
    four, one = folder / "four", folder / "one"
    for place in (four, one):
        place.mkdir()
    found = run("ledger_write", folder=str(four), n=n, processes=PROCESSES)
    alone = run("ledger_write", folder=str(one), n=n, processes=1)
    rate, rate_alone = found["n"] / found["wall_s"], alone["n"] / alone["wall_s"]
    rows_a_batch = found["n"] / found["n_batches"]
    verified = found["n"] / found["verify_s"]
    return [
        Row(
            figure=f"decisions written, {PROCESSES} processes", value=f"{rate:,.0f}/s", measured=rate, least=2_000,
            ratio=f"{rate / rate_alone:.2f} x one process, {rows_a_batch:.0f} a commit",
        ),
        Row(figure="rows verified", value=f"{verified:,.0f}/s", measured=verified),
    ]  # fmt: skip


def lookup(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Decisions looked up and appended among few and among ten times as many."""
    path, few = str(folder / "decisions.sqlite"), n_rows // 10
    run("ledger_fill", path=path, decisions=few, resolved=0)
    small, small_append = run("ledger_lookup", path=path, n=few), run("ledger_append", path=path)
    run("ledger_fill", path=path, decisions=n_rows, resolved=0, first=few)
    large, large_append = run("ledger_lookup", path=path, n=n_rows), run("ledger_append", path=path)
    rows = []
    for name, words in (("id", "by id"), ("unit", "by decision, unit and hook")):
        took, ratio = large[f"{name}_ms"], large[f"{name}_ms"] / small[f"{name}_ms"]
        rows += [
            Row(
                figure=f"look-up {words} among {n_rows:,}", value=f"{took:.3f} ms", measured=took, most=2,
                ratio=f"p99 {large[f'{name}_p99_ms']:.2f} ms",
            ),
            Row(figure=f"the same, to among a tenth, {words}", value=f"{ratio:.2f}", measured=ratio, most=3),
        ]  # fmt: skip
    ratio = large_append["cpu_s"] / small_append["cpu_s"]
    price = large_append["cpu_s"] / large_append["n"] * 1e6
    rows.append(
        Row(
            figure=f"CPU of an append among {n_rows:,}, to a tenth", value=f"{ratio:.2f}", measured=ratio, most=1.5,
            ratio=f"{price:.0f} us a decision",
        )
    )  # fmt: skip
    return rows


def score(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Resolved predictions scored."""
    path, n = str(folder / "resolved.sqlite"), min(n_rows, LEAST_RESOLVED)
    run("ledger_fill", path=path, decisions=0, resolved=n)
    found = run("ledger_score", path=path)
    seconds = found["wall_s"] * LEAST_RESOLVED / found["n"]
    said = f"{found['read_s']:.1f} s of it reading, {found['metrics']} metrics with intervals"
    return [
        Row(
            figure="1M resolved predictions scored", value=f"{seconds:.1f} s", measured=seconds, most=10,
            ratio=said if n == LEAST_RESOLVED else f"in proportion, from {n:,}; {said}",
        )
    ]  # fmt: skip


def assess(run: Run, folder: Path, n_rows: int) -> list[Row]:
    """Autonomy assessed among few and among ten times as many predictions, outcomes and decisions."""
    found = []
    for name, n in (("few", max(n_rows // 10, 200)), ("many", n_rows)):
        path, kept = str(folder / f"{name}.sqlite"), str(folder / name)
        run("ledger_fill", path=path, decisions=n, resolved=n)
        found.append(run("ledger_assess", path=path, folder=kept))
    few, many = found
    share, ratio = many["added_cpu_s"] / many["whole_cpu_s"], many["added_cpu_s"] / few["added_cpu_s"]
    said = f"{many['added_s']:.2f} s; {many['whole_cpu_s']:.1f} s CPU of everything"
    return [
        Row(
            figure=f"autonomy assessed after a run, among {n_rows:,}", value=f"{many['added_cpu_s']:.2f} s CPU",
            measured=many["added_cpu_s"], most=2 * max(n_rows, LEAST_RESOLVED) / LEAST_RESOLVED, ratio=said,
        ),
        Row(figure="the same, to assessing everything", value=f"{share:.2f}", measured=share, most=0.2),
        Row(figure="the same, to among a tenth", value=f"{ratio:.2f}", measured=ratio),
    ]  # fmt: skip


GROUPS: Mapping[str, Callable[[Run, Path, int], list[Row]]] = {
    "write": write,
    "lookup": lookup,
    "score": score,
    "assess": assess,
}
"""Names for --only."""
