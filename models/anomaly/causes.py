"""Which service made a window unusual: the service itself and those it calls, ranked with reasons.

Put how unusual the window is in ``estimator.py``.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import polars as pl

LIKELY = 0.2
"""Windows from this probability on get candidates; so do the most probable ones, whatever theirs is."""
MOST = 50
NEARER = 0.85
"""Discount of a cause for each call between it and the hurt service."""
DEEPER = 0.35
"""Share of a service's evidence that a service it calls, as unusual as itself, explains away."""
Row = Mapping[str, Any]


def candidates(features: pl.DataFrame, probability: pl.Series, key: list[str]) -> pl.DataFrame:
    """Ranked causes of the most probable windows; probabilities of a window's causes sum to 1."""
    rows = features.select(*key, "reachable").with_columns(probability.alias("p"))
    by = pl.col("p").rank("ordinal", descending=True)
    rows = rows.sort(key).filter(pl.col("reachable").is_not_null())
    rows = rows.filter((pl.col("p") >= LIKELY) | (by <= MOST))
    out: dict[str, list[Any]] = {name: [] for name in (*key, "candidate", "rank", "probability", "evidence")}
    for row in rows.iter_rows(named=True):
        for rank, (service, share, evidence) in enumerate(
            ranked(json.loads(row["reachable"]), row["window_at"].hour), 1
        ):
            for name in key:
                out[name].append(row[name])
            out["candidate"].append(service)
            out["rank"].append(rank)
            out["probability"].append(share)
            out["evidence"].append(evidence)
    numbers = {"candidate": pl.String, "rank": pl.Int32, "probability": pl.Float64, "evidence": pl.String}
    return pl.DataFrame(out, schema={**{name: features.schema[name] for name in key}, **numbers})


def ranked(reachable: list[Row], hour: int) -> list[tuple[str, float, str]]:
    """(service, probability, evidence as JSON), most likely first.

    A service's own evidence is discounted by its distance, and by what a service farther down that is as unusual
    explains: slowness and errors travel up the calls, so the deepest unusual service is the likelier cause.
    """
    own = [_own(row) for row in reachable]
    scores = []
    for row, mine in zip(reachable, own, strict=True):
        below = max((o for r, o in zip(reachable, own, strict=True) if r["distance"] > row["distance"]), default=0.0)
        explained = DEEPER * min(below, mine)
        scores.append(max(mine - explained, 0.0) * NEARER ** row["distance"])
    weights = [math.exp(score) * NEARER ** row["distance"] for score, row in zip(scores, reachable, strict=True)]
    total = sum(weights)
    order = sorted(range(len(own)), key=lambda i: (-weights[i], reachable[i]["distance"], reachable[i]["service"]))
    return [(reachable[i]["service"], weights[i] / total, json.dumps(_facts(reachable[i], hour))) for i in order]


def _own(row: Row) -> float:
    """Evidence of a service's own trouble: errors count fully, slowness nearly, silence least."""
    errors, slow, silent = _up(row["errors_z"]), _up(row["latency_z"]), _up(-(row["requests_z"] or 0.0))
    return 1.2 * math.log1p(errors) + math.log1p(slow) + 0.4 * math.log1p(silent)


def _up(z: float | None) -> float:
    """The part of a deviation that lies beyond ordinary noise."""
    return max((z or 0.0) - 1.5, 0.0)


def _facts(row: Row, hour: int) -> list[dict[str, Any]]:
    said = []
    if _up(row["errors_z"]):
        said.append((row["errors_z"], f"{row['error_ratio']:.1%} errors, usually {row['errors_usual']:.1%}"))
    if _up(row["latency_z"]):
        said.append((row["latency_z"], f"latency p95 {row['latency_ratio']:.1f}x its usual {hour:02d}:00 level"))
    requests = row["requests_z"]
    if requests is not None and abs(requests) > 1.5 and row["requests_ratio"] is not None:
        said.append((abs(requests), f"requests {row['requests_ratio']:.1f}x the expected level"))
    if row["distance"]:
        said.append((0.0, f"{row['distance']} call{'s' if row['distance'] > 1 else ''} downstream"))
    if not said:
        said.append((0.0, "nothing unusual of its own"))
    said.sort(key=lambda fact: -fact[0])
    return [{"fact": fact, "contribution": round(float(z), 2), "link": ""} for z, fact in said]
