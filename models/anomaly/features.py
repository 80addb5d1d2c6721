"""What was unusual about a window when it was judged: one row a subject.

Put a new signal of a service's own points in ``evidence.py``; here stands what subjects and tables add: the
neighbours along the edges, deployments, and the services that may be the cause. Only rows with
``known_at <= predicted_at`` of that subject are read (:meth:`Windows.states`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.anomaly.evidence import COLUMNS, evidence
from models.anomaly.topology import Topology
from models.anomaly.windows import Floats, Ints, micros, windows_of
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.table import Column

POINTS, EDGES = "core_service__points", "core_trace__edges"
DEPLOYMENTS, INCIDENTS = "core_deployments__deployments", "core_incidents__incidents"
NOTABLE = 3.0
"""Windows whose strongest deviation is below this carry no candidates: there is nothing to explain."""
CAUSE_FIELDS = ("requests_z", "requests_ratio", "errors_z", "error_ratio", "errors_usual", "latency_z", "latency_ratio")

FEATURE_COLUMNS: tuple[Column, ...] = (
    *(Column(name, "DOUBLE", f"{about} Null where unknown.", nullable=True) for name, about in COLUMNS.items()),
    Column("downstream_z", "DOUBLE", "Strongest error or latency deviation among services it calls.", nullable=True),
    Column("upstream_z", "DOUBLE", "Strongest error or latency deviation among services calling it.", nullable=True),
    Column("deployed_min", "DOUBLE", "Minutes since its last known deployment began; null without one.", nullable=True),
    Column(
        "reachable",
        "VARCHAR",
        "JSON list of the service and those downstream with their deviations; null for a quiet window.",
        nullable=True,
    ),
)


Triple = tuple[str, int, int]
"""Service, window start and prediction time, both in microseconds since 1970."""


def features(tables: Tables, subjects: pl.DataFrame, *, length: int) -> pl.DataFrame:
    """One row a subject in the order of ``subjects``; a service without points gets nulls.

    Args:
        tables: Core tables by name.
        subjects: ``service_key``, ``window_at``, ``predicted_at``.
        length: Length of a window in microseconds.
    """
    wanted = subjects.select("service_key", "window_at", "predicted_at")
    topology = Topology.of(tables[EDGES])
    near = _neighbourhoods(wanted, topology)
    table = _own(tables[POINTS], near.triples, length)
    own = [pl.Series(name, table[name][near.own]).fill_nan(None) for name in COLUMNS]
    return wanted.with_columns(*own, *_neighbours(near, table), _since_deployment(tables[DEPLOYMENTS], wanted)).select(
        "service_key", "window_at", "predicted_at", *(column.name for column in FEATURE_COLUMNS)
    )


@dataclass(frozen=True, slots=True)
class _Near:
    """Whose evidence each subject needs, as positions in ``triples``.

    Args:
        triples: Distinct (service, window, prediction time).
        own: Position of each subject itself, shape (n,).
        downstream: Per subject: (position, distance) of the service itself and of those it reaches, nearest first.
        callers: Per subject: positions of the services that call it.
    """

    triples: list[Triple]
    own: Ints
    downstream: list[list[tuple[int, int]]]
    callers: list[list[int]]


def _neighbourhoods(wanted: pl.DataFrame, topology: Topology) -> _Near:
    versions = {at: topology.version(at) for at in wanted["predicted_at"].unique()}
    position: dict[Triple, int] = {}
    downstream, callers = [], []
    window, predicted = micros(wanted["window_at"]).tolist(), micros(wanted["predicted_at"]).tolist()
    rows = zip(wanted["service_key"], wanted["predicted_at"], window, predicted, strict=True)
    own = np.zeros(wanted.height, dtype=np.int64)
    for i, (service, at, w, p) in enumerate(rows):
        version = versions[at]
        reached = topology.downstream(version, service)
        places = [(position.setdefault((key, w, p), len(position)), far) for key, far in reached.items()]
        downstream.append(places)
        callers.append([position.setdefault((key, w, p), len(position)) for key in topology.callers(version, service)])
        own[i] = places[0][0]
    return _Near(list(position), own, downstream, callers)


def _own(points: pl.DataFrame, triples: list[Triple], length: int) -> dict[str, Floats]:
    """The evidence of each triple from that service's own points."""
    table = {name: np.full(len(triples), np.nan) for name in COLUMNS}
    keys = np.array([key for key, _, _ in triples], dtype=np.str_)
    start, predicted = np.array([[w, p] for _, w, p in triples], dtype=np.int64).reshape(-1, 2).T
    needed = points.filter(pl.col("service_key").is_in(np.unique(keys).tolist()))
    for key, windows in windows_of(needed, length).items():
        mine = np.flatnonzero(keys == key)
        window = start[mine] // length - windows.first
        mine, window = mine[(window >= 0) & (window < windows.n)], window[(window >= 0) & (window < windows.n)]
        for some, known in windows.states(window, predicted[mine]):
            found = evidence(known)
            for name, column in found.items():
                table[name][mine[some]] = column[window[some]]
    return table


def strongest(table: Mapping[str, Floats]) -> Floats:
    """What a neighbour would feel of a service: its errors, its slowness, or its silence; 0 where unknown."""
    parts = (table["errors_z"], table["latency_z"], -table["requests_z"])
    return np.asarray(np.max([np.nan_to_num(part) for part in parts], axis=0).clip(0.0), dtype=np.float64)


def _neighbours(near: _Near, table: dict[str, Floats]) -> list[pl.Series]:
    strength = strongest(table)
    alarming = np.maximum(strength, np.nan_to_num(np.abs(table["requests_z"])))
    below = [max((strength[i] for i, far in places if far == 1), default=None) for places in near.downstream]
    above = [max((strength[i] for i in places), default=None) for places in near.callers]
    reachable = [
        _reachable(near, table, places) if alarming[places[0][0]] >= NOTABLE else None for places in near.downstream
    ]
    return [
        pl.Series("downstream_z", below, dtype=pl.Float64, strict=False),
        pl.Series("upstream_z", above, dtype=pl.Float64, strict=False),
        pl.Series("reachable", reachable, dtype=pl.String),
    ]


def _reachable(near: _Near, table: dict[str, Floats], places: list[tuple[int, int]]) -> str:
    rows = []
    for place, far in places:
        numbers = {name: float(table[name][place]) for name in CAUSE_FIELDS}
        known = {name: None if np.isnan(value) else round(value, 4) for name, value in numbers.items()}
        rows.append({"service": near.triples[place][0], "distance": far, **known})
    return json.dumps(rows)


def _since_deployment(deployments: pl.DataFrame, wanted: pl.DataFrame) -> pl.Series:
    """Minutes from the newest deployment known at the time, that began before it, to ``predicted_at``."""
    began = deployments.select(
        "service_key", "started_at", pl.max_horizontal("known_at", "started_at").alias("usable_at")
    )
    # A later report of an older deployment does not hide the newer one: keep the newest start known so far.
    began = began.sort("usable_at", "started_at").with_columns(pl.col("started_at").cum_max().over("service_key"))
    asked = wanted.with_row_index("position").sort("predicted_at", "position")
    found = asked.join_asof(
        began,
        left_on="predicted_at",
        right_on="usable_at",
        by="service_key",
        strategy="backward",
        check_sortedness=False,
    ).sort("position")
    minutes = (found["predicted_at"] - found["started_at"]).dt.total_seconds() / 60
    return minutes.cast(pl.Float64).alias("deployed_min")
