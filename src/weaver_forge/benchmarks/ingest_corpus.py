"""A generated corpus of traces, as OTLP requests in protobuf or JSON: what ingest is measured with.

16 services with two or three pods each, traces of 5 to 24 spans that follow fixed call plans, about 12 span and
15 resource attributes of every common kind under current and old names, about 1000 spans a request grouped by
resource, 1 % span errors, 3 % spans with events or links, some requests sent twice. Pure and repeatable: the same
arguments give the same bytes, and both encodings say the same.

Made by joining pieces that were encoded once (a million spans take seconds); the words are in
``ingest_corpus_words``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weaver_forge.benchmarks import ingest_corpus_json, ingest_corpus_protobuf
from weaver_forge.benchmarks import ingest_corpus_words as words

START_UNIX_NS = 1_760_000_000_000_000_000
SPANS_PER_SECOND = 46.3
"""Ten million spans are then 60 hours."""

_Rows = npt.NDArray[Any]


_ENCODINGS: dict[str, ModuleType] = {"protobuf": ingest_corpus_protobuf, "json": ingest_corpus_json}


def requests(
    n_spans: int,
    *,
    seed: int = 0,
    encoding: Literal["protobuf", "json"] = "protobuf",
    spans_per_request: int = 1000,
    n_repeats: int = 8,
    start_unix_ns: int = START_UNIX_NS,
    spans_per_second: float = SPANS_PER_SECOND,
) -> Iterator[bytes]:
    """Yield export requests that together hold exactly ``n_spans`` distinct spans, in order of time.

    Args:
        n_spans: Distinct spans.
        seed: Chooses ids, times and values.
        encoding: Of the requests; JSON requests have no newline inside.
        spans_per_request: About so many; a request holds whole traces.
        n_repeats: Requests that are sent twice: every second one at once, the others at the very end.
        start_unix_ns: Start of the first trace.
        spans_per_second: How dense they are in time.
    """
    rng = np.random.default_rng(seed)
    n_requests = max(n_spans // spans_per_request, 1)
    again = {(2 * k + 1) * n_requests // (2 * n_repeats) for k in range(n_repeats)} if n_repeats else set()
    late: list[bytes] = []
    left, number, clock = n_spans, 0, float(start_unix_ns)
    while left > 0:
        lasts = spans_per_request / spans_per_second * 1e9
        rows = _draw(rng, spans_per_request, int(clock), int(lasts), left)
        body = _encode(rows, encoding)
        yield body
        if number in again:
            if len(late) % 2:
                late.append(body)
            else:
                late.append(b"")
                yield body
        left -= len(rows["operation"])
        number, clock = number + 1, clock + lasts
    yield from filter(None, late)


def _draw(rng: np.random.Generator, size: int, start: int, lasts: int, most: int) -> dict[str, _Rows]:
    """Draw one request's spans, column by column."""
    vocabulary = _vocabulary()
    chosen = rng.integers(len(vocabulary.sizes), size=size)
    sizes = vocabulary.sizes[chosen]
    n_traces = int(np.searchsorted(np.cumsum(sizes), size)) + 1
    chosen, sizes = chosen[:n_traces], sizes[:n_traces]
    trace = np.repeat(np.arange(n_traces), sizes)[:most]
    first = np.cumsum(sizes) - sizes
    within = np.arange(len(trace)) - first[trace]
    at = vocabulary.first[chosen][trace] + within
    begun = np.sort(rng.integers(0, lasts, n_traces))
    took = rng.lognormal(17.5, 0.8, n_traces)  # median 40 ms
    starts = start + begun[trace] + (vocabulary.start[at] * took[trace]).astype(np.int64)
    trace_ids, span_ids = rng.integers(1, 256, (n_traces, 16), np.uint8), rng.integers(1, 256, (len(at), 8), np.uint8)
    operation = vocabulary.operation[at]
    picks = vocabulary.pool_first[operation] + rng.random((len(at), words.SLOTS)) * vocabulary.pool_size[operation]
    rare = rng.random(len(at))
    pods = vocabulary.n_pods[vocabulary.service[operation]]
    return {
        "operation": operation,
        "picks": picks.astype(np.int64),
        "trace_id": trace_ids[trace],
        "span_id": span_ids,
        "parent": np.where(vocabulary.parent[at] < 0, -1, first[trace] + vocabulary.parent[at]),
        "start": starts,
        "end": starts + np.maximum((vocabulary.duration[at] * took[trace]).astype(np.int64), 1000),
        "resource": vocabulary.first_pod[vocabulary.service[operation]] + (chosen[trace] * 7 + at) % pods,
        # error with its exception event, another event, a link, nothing
        "rare": np.select([rare < 0.01, rare < 0.02, rare < 0.03], [1, 2, 3], 0),
    }


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The words as arrays: plans laid end to end, pools laid end to end."""

    operations: list[words.Operation]
    attributes: list[words.Attribute]
    resources: list[list[words.Attribute]]
    sizes: _Rows
    first: _Rows
    operation: _Rows
    parent: _Rows
    start: _Rows
    duration: _Rows
    service: _Rows
    pool_first: _Rows
    pool_size: _Rows
    n_pods: _Rows
    first_pod: _Rows


@lru_cache(maxsize=1)
def _vocabulary() -> _Vocabulary:
    operations, plans = words.plans()
    pods = words.resources()
    sizes = np.array([len(plan.operation) for plan in plans])
    attributes: list[words.Attribute] = [("", "")]  # position 0: an empty slot
    where: dict[tuple[words.Attribute, ...], int] = {}
    pool_first = np.zeros((len(operations), words.SLOTS), dtype=np.int64)
    pool_size = np.ones_like(pool_first)
    for row, operation in enumerate(operations):
        for slot, pool in enumerate(operation.pools):
            if pool not in where:
                where[pool] = len(attributes)
                attributes.extend(pool)
            pool_first[row, slot], pool_size[row, slot] = where[pool], len(pool)
    services = np.array([service for service, _ in pods])
    return _Vocabulary(
        operations, attributes, [found for _, found in pods], sizes, np.cumsum(sizes) - sizes,
        np.concatenate([plan.operation for plan in plans]), np.concatenate([plan.parent for plan in plans]),
        np.concatenate([plan.start for plan in plans]), np.concatenate([plan.duration for plan in plans]),
        np.array([operation.service for operation in operations]), pool_first, pool_size,
        np.bincount(services), np.searchsorted(services, np.arange(len(words.SERVICES))),
    )  # fmt: skip


@lru_cache(maxsize=2)
def _pieces(encoding: str) -> tuple[_Rows, list[bytes], list[bytes], list[bytes]]:
    """Encoded attributes, fixed attributes and names of operations, and resources."""
    coded, vocabulary = _ENCODINGS[encoding], _vocabulary()
    return (
        np.array([coded.attribute(found) if found[0] else b"" for found in vocabulary.attributes], object),
        [b"".join(map(coded.attribute, operation.fixed)) for operation in vocabulary.operations],
        [coded.head(operation.name, operation.kind) for operation in vocabulary.operations],
        [coded.resource(found) for found in vocabulary.resources],
    )


def _encode(rows: dict[str, _Rows], encoding: str) -> bytes:
    coded = _ENCODINGS[encoding]
    attributes, fixed, names, resources = _pieces(encoding)
    varying = attributes[rows["picks"]].tolist()
    parents = np.where(rows["parent"] >= 0, rows["parent"], 0)
    columns = zip(
        rows["operation"].tolist(), varying, _octets(rows["trace_id"]), _octets(rows["span_id"]),
        _octets(rows["span_id"][parents]), (rows["parent"] < 0).tolist(), rows["start"].tolist(),
        rows["end"].tolist(), rows["rare"].tolist(), strict=True,
    )  # fmt: skip
    spans = [
        coded.span(names[operation], fixed[operation], slots, trace, span, b"" if root else parent, start, end, rare)
        for operation, slots, trace, span, parent, root, start, end, rare in columns
    ]
    order = np.argsort(rows["resource"], kind="stable")
    found, first = np.unique(rows["resource"][order], return_index=True)
    groups = np.split(order, first[1:])
    body: bytes = coded.request(
        coded.group(resources[resource], [spans[row] for row in group.tolist()])
        for resource, group in zip(found.tolist(), groups, strict=True)
    )
    return body


def _octets(rows: _Rows) -> list[bytes]:
    data, size = np.ascontiguousarray(rows).tobytes(), rows.shape[1]
    return [data[at : at + size] for at in range(0, len(data), size)]
