"""Trace files and OTLP bodies -> ``raw_otlp__spans``: the public surface of the OTLP decoder.

Framing is in ``otlp_framing``, the two encodings in ``otlp_protobuf``, ``otlp_ptars`` and ``otlp_json``, rows in
``otlp_columns``. Here they are put together: a chunk of messages is read at once, a message that cannot be read
costs itself only, and whatever is refused comes back with its bytes, place and reason.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp_json, otlp_protobuf, otlp_ptars
from weaver_forge.decode.otlp_columns import Gathered, Quote, assemble
from weaver_forge.decode.otlp_framing import Message, shown, split
from weaver_forge.decode.otlp_protobuf import PayloadRefused

CHUNK_BYTES = 24 * 1024 * 1024
"""About 45,000 spans: past it a larger chunk is no faster (measured), below it memory stays near 0.5 GB."""


def decode(frames: Iterable[Frame], *, ptars: bool | None = None) -> Batch:
    """Decode whole files or bodies of traces into one batch; for large files see :func:`decode_messages`."""
    batches = [batch for frame in frames for batch in decode_chunks(frame, ptars=ptars)]
    tables = [batch.tables[RAW_OTLP_SPANS.name] for batch in batches]
    return Batch(
        {RAW_OTLP_SPANS.name: pl.concat(tables) if tables else empty(RAW_OTLP_SPANS)},
        tuple(chain.from_iterable(batch.rejected for batch in batches)),
    )


def decode_chunks(frame: Frame, *, target_bytes: int = CHUNK_BYTES, ptars: bool | None = None) -> Iterator[Batch]:
    """Decode one file in pieces of about ``target_bytes`` of messages, so that a caller can commit each.

    A message is never divided; a chunk is therefore as large as its largest message at least. Every batch has
    the table, possibly without rows; a file without messages gives no batch.
    """
    messages: list[Message] = []
    rejected: list[Rejected] = []
    size = 0
    for piece in split(frame):
        if isinstance(piece, Rejected):
            rejected.append(piece)
            continue
        messages.append(piece)
        size += len(piece.data)
        if size >= target_bytes:
            yield _with(decode_messages(messages, frame.name, ptars=ptars), rejected)
            messages, rejected, size = [], [], 0
    if messages or rejected:
        yield _with(decode_messages(messages, frame.name, ptars=ptars), rejected)


def decode_messages(messages: Sequence[Message], name: str, *, ptars: bool | None = None) -> Batch:
    """Decode messages of traces; all of them are in memory at once, so give about ``CHUNK_BYTES``.

    Args:
        messages: Messages, of both encodings if need be.
        name: The file they are from.
        ptars: Whether protobuf is read by ptars; None for where it is installed. The rows are the same.

    Returns:
        Spans, protobuf's first, in the order of the messages. A message or span that cannot be read is a
        Rejected with its bytes; the others are not touched by it.
    """
    coded, rejected = decode_coded(messages, name, ptars=ptars)
    return Batch({RAW_OTLP_SPANS.name: pl.concat([empty(RAW_OTLP_SPANS), *(rows.plain() for rows in coded)])}, rejected)


def decode_coded(
    messages: Sequence[Message], name: str, *, ptars: bool | None = None
) -> tuple[list[Coded], tuple[Rejected, ...]]:
    """The same spans with their maps still numbered, as a lake takes them best: one piece an encoding."""
    rejected: list[Rejected] = []
    pieces: list[Coded] = []
    fast = otlp_ptars.AVAILABLE if ptars is None else ptars
    paths = {"protobuf": _ptars if fast else _upb, "json": _json}
    quotes: dict[str, Quote] = {"protobuf": otlp_protobuf.quote, "json": otlp_json.quote}
    for encoding, path in paths.items():
        mine = [m for m in messages if m.encoding == encoding]
        of_traces = [m for m in mine if m.signal == "traces"]
        rejected += [_refused(name, m, f"this is a {m.signal} payload") for m in mine if m.signal != "traces"]
        read, spans = path(of_traces, name, rejected) if of_traces else ([], None)
        if spans is not None:
            rows, refused = assemble(spans, name, read, quotes[encoding])
            pieces.append(rows)
            rejected += refused
    return pieces, tuple(rejected)


_Read = tuple[Sequence[Message], Gathered | None]
"""The messages that could be read, and their spans."""


def _ptars(messages: Sequence[Message], name: str, rejected: list[Rejected]) -> _Read:
    try:
        return messages, otlp_ptars.gather(otlp_ptars.parse([m.data for m in messages]))
    except PayloadRefused:  # one of them: find out which, and read the others together
        good = [m for m, _ in _each(messages, lambda data: otlp_ptars.parse([data]), name, rejected)]
        return good, otlp_ptars.gather(otlp_ptars.parse([m.data for m in good]))


def _upb(messages: Sequence[Message], name: str, rejected: list[Rejected]) -> _Read:
    read = _each(messages, otlp_protobuf.read_request, name, rejected)
    return [m for m, _ in read], otlp_protobuf.gather([request for _, request in read])


def _json(messages: Sequence[Message], name: str, rejected: list[Rejected]) -> _Read:
    read = _each(messages, otlp_json.read_request, name, rejected)
    return [m for m, _ in read], otlp_json.gather([request for _, request in read])


def _each(
    messages: Sequence[Message], parse: Callable[[bytes], Any], name: str, rejected: list[Rejected]
) -> list[tuple[Message, Any]]:
    """Parse message by message; ``rejected`` gains those that cannot be."""
    read: list[tuple[Message, Any]] = []
    for message in messages:
        try:
            read.append((message, parse(message.data)))
        except PayloadRefused as error:
            rejected.append(_refused(name, message, str(error)))
    return read


def _refused(name: str, message: Message, reason: str) -> Rejected:
    return Rejected(name, message.position, reason, shown(message.data), message.data, message.offset)


def _with(batch: Batch, rejected: Sequence[Rejected]) -> Batch:
    return Batch(batch.tables, (*rejected, *batch.rejected))
