"""What a span is, by the registry's span definitions: CI run or task, test, deployment, HTTP, RPC, database, ...

A class stands on an attribute that its definition uses (a test holds the table against the registry) and on the
span kind that the definition demands. The first class in the list that fits is taken: a database call over HTTP is
a database call. Spans are classed under current names, so old ones must be upgraded before (``upgrade``). Where the
registry defines attributes but no span (tests, deployments, feature flags), the attributes decide alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.semconv.upgrade import PROMOTED

SYNTHETIC = "user_agent.synthetic.type"
"""Attribute that marks bots and tests; they are no demand and no experience of users."""

UNCLASSED = "other"

_INTERNAL, _SERVER, _CLIENT, _PRODUCER, _CONSUMER = range(1, 6)


@dataclass(frozen=True, slots=True)
class SpanClass:
    """One class of spans.

    Args:
        name: What it is called.
        marks: Attributes of which one is enough.
        kinds: OTLP span kinds; empty for any.
        definition: The registry's span; empty where it has attributes only.
    """

    name: str
    marks: tuple[str, ...]
    kinds: tuple[int, ...] = ()
    definition: str = ""


CLASSES: tuple[SpanClass, ...] = (
    SpanClass("cicd_task", ("cicd.pipeline.task.name", "cicd.pipeline.task.run.id"), (), "cicd.pipeline.task.internal"),
    SpanClass("cicd_run", ("cicd.pipeline.result",), (), "cicd.pipeline.run.server"),
    SpanClass("cicd_run", ("cicd.pipeline.run.id", "cicd.pipeline.name")),
    SpanClass("test_case", ("test.case.name",)),
    SpanClass("test_suite", ("test.suite.name",)),
    SpanClass("deployment", ("deployment.id", "deployment.name", "deployment.status")),
    SpanClass("feature_flag", ("feature_flag.key",)),
    SpanClass("gen_ai", ("gen_ai.operation.name",), (), "gen_ai.inference.client"),
    SpanClass("db_client", ("db.system.name",), (_CLIENT,), "db.client"),
    SpanClass("db_client", ("db.system.name",)),
    SpanClass("messaging_producer", ("messaging.system",), (_PRODUCER,), "messaging.send.producer"),
    SpanClass("messaging_consumer", ("messaging.system",), (_CONSUMER,), "messaging.process.consumer"),
    SpanClass("messaging_client", ("messaging.system",), (_CLIENT,), "messaging.receive.client"),
    SpanClass("rpc_server", ("rpc.system.name",), (_SERVER,), "rpc.call.server"),
    SpanClass("rpc_client", ("rpc.system.name",), (_CLIENT,), "rpc.call.client"),
    SpanClass("faas", ("faas.trigger",), (_SERVER,), "faas.server"),
    SpanClass("graphql", ("graphql.operation.type", "graphql.document"), (_SERVER,), "graphql.server"),
    SpanClass("http_server", ("http.request.method",), (_SERVER,), "http.server"),
    SpanClass("http_client", ("http.request.method",), (_CLIENT,), "http.client"),
)
"""In order: the first that fits is taken."""

MARKS = frozenset({SYNTHETIC, *(mark for each in CLASSES for mark in each.marks)})

KINDS: Mapping[str, int] = {
    "internal": _INTERNAL,
    "server": _SERVER,
    "client": _CLIENT,
    "producer": _PRODUCER,
    "consumer": _CONSUMER,
}
"""Span kind as registries write it -> as OTLP does."""


def classed(spans: pl.DataFrame, pairs: pl.DataFrame, column: str = "kind") -> pl.DataFrame:
    """Class and synthetic mark of every span: ``signal_class``, ``is_synthetic``, one row a span.

    Args:
        spans: Spans; promoted columns are read where they are there.
        pairs: Their attributes, exploded (``row``, ``key``), originals and upgraded ones together.
        column: The OTLP span kind.
    """
    size = spans.height
    marked = pairs.select("row", "key").filter(pl.col("key").is_in(list(MARKS)))
    rows = {key: part["row"].to_numpy() for (key,), part in marked.partition_by("key", as_dict=True).items()}
    kinds = spans[column].to_numpy()
    names = list(dict.fromkeys(each.name for each in CLASSES))
    codes = np.full(size, len(names), dtype=np.int64)
    for each in reversed(CLASSES):
        fits = np.zeros(size, dtype=bool)
        for mark in each.marks:
            fits |= _has(spans, rows, mark)
        if each.kinds:
            fits &= np.isin(kinds, each.kinds)
        codes[fits] = names.index(each.name)
    words = pl.Series("signal_class", [*names, UNCLASSED], dtype=pl.String)
    return pl.DataFrame(
        [words.gather(codes), pl.Series("is_synthetic", _has(spans, rows, SYNTHETIC), dtype=pl.Boolean)]
    )


def _has(spans: pl.DataFrame, rows: Mapping[object, npt.NDArray[np.generic]], mark: str) -> npt.NDArray[np.bool_]:
    has = np.zeros(spans.height, dtype=bool)
    if mark in rows:
        has[rows[mark]] = True
    column = PROMOTED.get(mark)
    if column in spans.columns:
        has |= spans[column].is_not_null().to_numpy()
    return has
