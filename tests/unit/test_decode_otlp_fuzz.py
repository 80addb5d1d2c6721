"""Mutated frames: no crash, the same rows on both protobuf paths, and never a different row of a neighbour.

A small share runs with the tests. ``python tests/unit/test_decode_otlp_fuzz.py 50000`` runs as many mutations as
asked for and says what came of them.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp, otlp_ptars
from weaver_forge.decode.otlp_framing import Message, messages

TOGETHER = 50
"""Mutated frames decoded in one batch, each between two whole ones."""
Mutation = Callable[[np.random.Generator, bytearray], None]


def truncate(rng: np.random.Generator, data: bytearray) -> None:
    del data[int(rng.integers(len(data))) :]


def flip(rng: np.random.Generator, data: bytearray) -> None:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def replace(rng: np.random.Generator, data: bytearray) -> None:
    data[int(rng.integers(len(data)))] = int(rng.integers(256))


def zero(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    size = min(int(rng.integers(1, 24)), len(data) - at)
    data[at : at + size] = bytes(size)


def insert(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = rng.bytes(int(rng.integers(1, 8)))


def delete(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 8))]


def swap(rng: np.random.Generator, data: bytearray) -> None:
    size = min(int(rng.integers(1, 12)), len(data) // 2)
    a = int(rng.integers(0, len(data) - 2 * size + 1))
    b = int(rng.integers(a + size, len(data) - size + 1))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


MUTATIONS: tuple[Mutation, ...] = (truncate, flip, replace, zero, insert, delete, swap)


def odd_values() -> bytes:
    """A request of every kind of value, which the corpus has few of."""
    values = [
        AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="x")])),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(double_value=0.5))])),
        AnyValue(bytes_value=b"\x00\xff"), AnyValue(int_value=-1), AnyValue(), AnyValue(string_value="ü" * 90),
    ]  # fmt: skip
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for n, value in enumerate(values):
        span = spans.add(trace_id=b"t" * 16, span_id=bytes([n + 1]) * 8, name="odd", start_time_unix_nano=n + 1)
        span.end_time_unix_nano = 50
        span.attributes.add(key="odd", value=value)
        span.events.add(time_unix_nano=n, name="e").attributes.add(key="odd", value=value)
        span.links.add(trace_id=b"u" * 16, span_id=b"v" * 8, trace_state="s")
        span.status.code = n % 3
    return request.SerializeToString()


BODIES = [*requests(200, seed=5, spans_per_request=3, n_repeats=0), odd_values()]


def mutated(rng: np.random.Generator) -> bytes:
    data = bytearray(BODIES[int(rng.integers(len(BODIES)))])
    for _ in range(int(rng.integers(1, 4))):
        if data:
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](rng, data)
    return bytes(data)


def rows(bodies: Sequence[bytes], *, ptars: bool) -> tuple[pl.DataFrame, tuple[Rejected, ...]]:
    found = [Message(f"byte {n}", body, "protobuf", n) for n, body in enumerate(bodies)]
    batch = otlp.decode_messages(found, "f", ptars=ptars)
    return batch.tables[RAW_OTLP_SPANS.name], batch.rejected


def alone(body: bytes, *, ptars: bool) -> pl.DataFrame | None:
    """The rows of one frame; None if the message is refused as a whole."""
    table, rejected = rows([body], ptars=ptars)
    return None if rejected and rejected[0].data == body and "span" not in rejected[0].position else table


def fuzz_frames(n: int, seed: int = 0) -> Counter[str]:
    """Decode mutated frames among whole ones on both paths; counts what came of them.

    Raises:
        AssertionError: If a row differs that must not.
    """
    rng = np.random.default_rng(seed)
    good = BODIES[0]
    plain = rows([good], ptars=False)[0]
    seen: Counter[str] = Counter()
    for _ in range(0, n, TOGETHER):
        bad = [mutated(rng) for _ in range(TOGETHER)]
        bodies = [good, *[body for pair in zip(bad, [good] * TOGETHER, strict=True) for body in pair]]
        tables = {ptars: rows(bodies, ptars=ptars) for ptars in (True, False)}
        seen["frames"] += len(bad)
        seen["refused pieces"] += len(tables[False][1])
        if not tables[True][0].equals(tables[False][0]):
            for body in bad:
                fast, slow = alone(body, ptars=True), alone(body, ptars=False)
                if (fast is None) != (slow is None):
                    seen[f"accepted by {'upb' if fast is None else 'ptars'} only"] += 1
                else:
                    assert fast is None or slow is None or fast.equals(slow), body
        for table, _ in tables.values():
            neighbours = table.filter(pl.col("trace_id").is_in(plain["trace_id"].implode()))
            assert neighbours.height >= plain.height * (TOGETHER + 1)
            assert table.head(plain.height).equals(plain)
            assert table.tail(plain.height).equals(plain)
    return seen


def fuzz_files(n: int, seed: int = 0) -> Counter[str]:
    """Mutate files of length-prefixed messages; counts whole messages that were not read again."""
    rng = np.random.default_rng(seed)
    frames = [len(body).to_bytes(4, "big") + body for body in BODIES[:8]]
    seen: Counter[str] = Counter()
    for _ in range(n):
        data = bytearray(b"".join(frames))
        MUTATIONS[int(rng.integers(1, len(MUTATIONS) - 1))](rng, data)  # those that touch one place
        pieces = list(messages([bytes(data)], "f"))
        whole = sum(isinstance(piece, Message) and piece.data in BODIES for piece in pieces)
        seen["files"] += 1
        seen[f"messages lost: {len(frames) - whole}"] += 1
    return seen


@pytest.mark.skipif(not otlp_ptars.AVAILABLE, reason="ptars is not installed: there is only one path")
def test_mutated_frames_give_the_same_rows_on_both_paths() -> None:
    seen = fuzz_frames(2000)

    assert seen["frames"] == 2000
    assert seen["refused pieces"] > 500


def test_a_mutated_file_costs_the_messages_that_were_mutated() -> None:
    """One place touches one message, or two where they meet."""
    seen = fuzz_files(400)

    assert seen["messages lost: 1"] > 300
    assert set(seen) <= {"files", "messages lost: 0", "messages lost: 1", "messages lost: 2"}


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    sys.stdout.write(f"{dict(fuzz_frames(asked, begin))}\n{dict(fuzz_files(asked // 10, begin))}\n")
