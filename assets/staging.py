"""Decoding OTLP messages and staging their rows in a lake: all that a worker process does.

Imports neither Dagster nor the rest of the pipeline: a worker starts in half a second. What is staged is seen by
nobody until the one committer, which is the process that started the worker, commits it.
"""

import gc
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from assets.handover import Located, Moved, fetch, locate
from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode.otlp import decode_coded, decode_messages
from weaver_forge.decode.otlp_framing import Message, Tail
from weaver_forge.decode.otlp_logs import decode_log_messages
from weaver_forge.decode.otlp_metrics import decode_metric_messages
from weaver_forge.errors import WeaverForgeError
from weaver_forge.sources.streams import read_messages
from weaver_forge.warehouse import Warehouse
from weaver_forge.warehouse.lake import Staged

SMALL_ROWS = 10_000
"""A chunk of fewer rows is handed back as it is, so that many small files do not become many small Parquet files."""

_Meta = TypeVar("_Meta")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What messages gave: rows staged or, where they are few, as frames; and what was refused."""

    staged: dict[str, Staged] = field(default_factory=dict)
    small: dict[str, pl.DataFrame] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows decoded, of all tables."""
        return sum(s.n_rows for s in self.staged.values()) + sum(f.height for f in self.small.values())


def decode_and_stage(warehouse: Path, lake: Path, name: str, messages: list[Message], *, ptars: bool = True) -> Decoded:
    """Decode the messages of a file, whatever they are of, and stage what is much.

    Args:
        warehouse: The warehouse's file; not opened.
        lake: The folder of lakes.
        name: The file.
        messages: In file order.
        ptars: Whether traces are parsed by ptars where it is installed.
    """
    lakes = Warehouse(warehouse, lake).lakes
    staged: dict[str, Staged] = {}
    small: dict[str, pl.DataFrame] = {}
    coded, refused = decode_coded([m for m in messages if m.signal == "traces"], name, ptars=None if ptars else False)
    batch = decode_signals([m for m in messages if m.signal != "traces"], name)
    tables: dict[str, pl.DataFrame | Coded] = dict(batch.tables)
    if coded:  # more than one piece only where a file mixes encodings
        tables[RAW_OTLP_SPANS.name] = coded[0] if len(coded) == 1 else pl.concat([rows.plain() for rows in coded])
    for table, rows in tables.items():
        height = (rows.frame if isinstance(rows, Coded) else rows).height
        if height >= SMALL_ROWS:
            staged[table] = lakes[table].stage(rows)
        elif height:
            small[table] = rows.plain() if isinstance(rows, Coded) else rows
    return Decoded(staged, small, (*refused, *batch.rejected), batch.notes)


def decode_signals(messages: list[Message], name: str, *, ptars: bool = True) -> Batch:
    """Decode messages of any signal, each by its decoder."""
    decoders: dict[str, Callable[[list[Message], str], Batch]] = {
        "traces": partial(decode_messages, ptars=None if ptars else False),
        "metrics": decode_metric_messages,
        "logs": decode_log_messages,
    }
    batches = []
    for signal, decode in decoders.items():
        mine = [message for message in messages if message.signal == signal]
        batches += [decode(mine, name)] if mine else []
    return Batch(
        {table: frame for batch in batches for table, frame in batch.tables.items()},
        tuple(item for batch in batches for item in batch.rejected),
        tuple(text for batch in batches for text in batch.notes),
    )


def decode_whole(path: Path) -> Batch:
    """Decode a small file at once; a message that it ends inside of is refused."""
    pieces = list(read_messages(path))
    batch = decode_signals([piece for piece in pieces if isinstance(piece, Message)], str(path))
    cut = [
        Rejected(str(path), tail.position, tail.reason, offset=tail.offset) for tail in pieces if isinstance(tail, Tail)
    ]
    refused = [piece for piece in pieces if isinstance(piece, Rejected)]
    return Batch(batch.tables, (*refused, *batch.rejected, *cut), batch.notes)


def decoded(
    warehouse: Path,
    lake: Path,
    work: Iterable[tuple[_Meta, str, list[Message]]],
    n_processes: int,
    *,
    ptars: bool = True,
) -> Iterator[tuple[_Meta, Decoded]]:
    """Decode pieces of work in their order, in this process or in several.

    At most one piece more than there are processes is under way: memory stays bounded.

    Args:
        warehouse: The warehouse's file.
        lake: The folder of lakes.
        work: Anything to give back with the result, the file's name, and messages of it.
        n_processes: 1 for none beside this one.
        ptars: Whether traces are parsed by ptars where it is installed.

    Raises:
        WeaverForgeError: If a worker was killed.
    """
    one = partial(decode_and_stage, warehouse, lake, ptars=ptars)
    located = partial(_located_and_staged, warehouse, lake, ptars=ptars)

    def begun(name: str, messages: list[Message]) -> Future[Decoded]:
        """Sent as places where that can be; if the bytes are not there any more, those that are here are decoded."""
        place = locate(name, messages)
        return pool.submit(located, name, place) if place else pool.submit(one, name, messages)

    if n_processes <= 1:
        gc.freeze()  # decoding makes lists and dicts; each search for garbage would go through all that was imported
        try:
            for meta, name, messages in work:
                yield meta, one(name, messages) if messages else Decoded()
        finally:
            gc.unfreeze()
        return
    # Spawned, not forked: Polars' threads do not survive a fork.
    pool = ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_begin)
    waiting: deque[tuple[_Meta, Future[Decoded], Callable[[], Decoded]]] = deque()
    try:
        for meta, name, messages in work:
            here = partial(one, name, messages)
            waiting.append((meta, begun(name, messages) if messages else _done(), here))
            while len(waiting) > n_processes:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _located_and_staged(warehouse: Path, lake: Path, name: str, place: Located, *, ptars: bool) -> Decoded:
    return decode_and_stage(warehouse, lake, name, fetch(place), ptars=ptars)


def _next(waiting: "deque[tuple[_Meta, Future[Decoded], Callable[[], Decoded]]]") -> tuple[_Meta, Decoded]:
    meta, future, here = waiting.popleft()
    try:
        return meta, future.result()
    except Moved:
        return meta, here()
    except BrokenProcessPool as error:
        raise WeaverForgeError(
            "a worker process was killed",
            where="[pipeline] ingest_processes",
            do="Run the same command again: what was committed stays. If memory was short, use fewer processes",
        ) from error


def _done() -> "Future[Decoded]":
    future: Future[Decoded] = Future()
    future.set_result(Decoded())
    return future


def _begin() -> None:
    """Have a worker end when the process that started it is killed: its queue alone would not tell it."""
    gc.freeze()  # as above
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: Any) -> None:
    connection.wait([sentinel])
    os._exit(1)
