"""Taking in OTLP files of any size: framed here, decoded by workers, committed by this process alone.

Put here how far a file has been taken in. A file is read from where its known beginning ends; a message that its
writer has not finished waits for the next run. Rows are committed every few hundred thousand, and the books after
them: killed anywhere, the next run reads at most that much again and adds nothing twice.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from assets.raw.books import REFUSED, WAITING, Books, Request, Row
from assets.raw.growing import Chunk, Growing, refused_tail
from assets.raw.problems import as_problem
from assets.raw.received import is_received
from assets.staging import Decoded, decoded
from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import Message, Tail, shown
from weaver_forge.errors import SourceError, StoreBusy, StoreFull
from weaver_forge.settings import Settings
from weaver_forge.sources.prefix import is_compressed, known_prefix
from weaver_forge.sources.streams import read_messages

CHUNK_BYTES = 12 * 1024 * 1024
"""Of messages decoded at once: about 22,000 spans. Larger chunks are no faster and take more memory (measured)."""

PATIENCE = timedelta(days=1)
"""A file that has not grown for so long will not: the message that it ends inside of is refused."""

KEPT_BYTES = 64 * 1024 * 1024
"""Refused bytes that are kept of one piece."""

_HEAD_BYTES = 64
_EXTENT = ("bytes_taken", "head_sha256", "decoded_bytes", "tail_bytes", "tail_state")


class Known(Protocol):
    """Told of a file of which nothing is new."""

    def __call__(self, request: Request, *, same: bool = False) -> None:
        """Count it; ``same`` where another one has the same in it."""


class Streams:
    """Reads the files of one source.

    Args:
        books: What is known.
        settings: Of the deployment.
        unreadable: Told of a file that cannot be read; the others go on.
        known: Told of a file of which nothing is new, and whether it is the same as another one.
        empty: Told of a file in which there is nothing yet.
    """

    def __init__(
        self,
        books: Books,
        settings: Settings,
        *,
        unreadable: Callable[[SourceError], None],
        known: Known,
        empty: Callable[[Request], None],
    ) -> None:
        self._books, self._settings = books, settings
        self._unreadable, self._known, self._empty = unreadable, known, empty

    def results(self, requests: Iterable[Request], n_processes: int) -> Iterator[tuple[Chunk, Decoded]]:
        """Everything new in the files, chunk by chunk in their order, decoded and, where it is much, staged."""
        work = ((chunk, str(chunk.file.request.path), chunk.messages) for chunk in self._chunks(requests))
        settings = self._settings
        yield from decoded(settings.warehouse, settings.lake, work, n_processes, ptars=settings.ptars)

    def _chunks(self, requests: Iterable[Request]) -> Iterator[Chunk]:
        for request in requests:
            try:
                file = self._open(request)
                if file is not None:
                    yield from self._read(file)
            except (StoreBusy, StoreFull):
                raise
            except (SourceError, OSError) as error:
                self._unreadable(as_problem(error, request.path))

    def _open(self, request: Request) -> Growing | None:
        """The file at the place where it goes on; None where there is nothing new in it, which is told."""
        seen = self._books.unchanged(request)
        hopeless = seen is not None and seen["tail_state"] == WAITING and self._out_of_patience(request)
        if seen is not None and not hopeless:
            self._known(request)
            return None
        _, _, _, modified = request.stamp
        stat = request.path.stat()
        size = stat.st_size
        if not size:
            self._empty(request)
            return None
        compressed = is_compressed(request.path)
        prefix = known_prefix(request.path, self._books.beginnings(request.context))
        row = self._books.row_of(prefix.sha256, request.context)
        if prefix.n_bytes == size and not hopeless:
            self._restamp(request, row, {"size_bytes": size, "modified_at": modified})
            self._known(request, same=row is not None and request.is_other_than(row["name"]))
            return None
        self._rename(request, row)
        start = prefix.n_bytes
        if compressed:
            start = int(row["decoded_bytes"] or 0) if row else 0
            prefix.advance(size)
        file = Growing(
            request=request,
            prefix=prefix,
            compressed=compressed,
            start=start,
            size=size,
            modified_at=modified,
            stat=stat,
            is_new=row is None,
        )
        if compressed:
            with request.path.open("rb") as opened:
                file.head = opened.read(_HEAD_BYTES)
        file.resolves = refused_tail(file, row)
        return file

    def _restamp(self, request: Request, row: Row | None, stamp: Row) -> None:
        """Know a file, all of which is known, by its new name and time too, unless the old one is still there."""
        if row is not None and (row["name"] == str(request.path) or not Path(row["name"]).exists()):
            more = stamp | {name: row[name] for name in _EXTENT}
            self._books.note_input(request, row["input_sha256"], row["ingested_at"], more)

    def _rename(self, request: Request, row: Row | None) -> None:
        """Know the beginning of a file by its new name: under the old one it would seem unfinished for ever."""
        if row is not None and row["name"] != str(request.path):
            self._restamp(request, row, {name: row[name] for name in ("size_bytes", "modified_at")})

    def _out_of_patience(self, request: Request) -> bool:
        """Whether nothing will follow: it has not grown for long, or its receiver has sealed it."""
        return self._settings.now() - request.received_at > PATIENCE or is_received(request.path, self._settings)

    def _read(self, file: Growing) -> Iterator[Chunk]:
        """Gather messages to chunks. Where one ends is known when the next piece says where it begins."""
        chunk, held, newest = Chunk(file), 0, file.start
        for piece in read_messages(file.request.path, offset=file.start):
            if isinstance(piece, Tail):
                chunk.tail = piece
                break
            if piece.offset is not None:
                newest = piece.offset
                if held >= CHUNK_BYTES:
                    chunk.end = newest
                    yield chunk
                    chunk, held = Chunk(file), 0
            if isinstance(piece, Message):
                chunk.messages.append(piece)
                held += len(piece.data)
            else:
                chunk.rejected.append(piece)
                held += len(piece.data or b"")
        grew = file.request.path.stat().st_size != file.size
        # What is read a second time adds nothing; the end of what grows meanwhile is not known for sure.
        chunk.end = chunk.tail.offset if chunk.tail else newest if grew or file.compressed else file.size
        chunk.last = True
        if chunk.tail is not None and self._out_of_patience(file.request):
            chunk.rejected.append(_cut(file, chunk.tail))
        yield chunk


def _cut(file: Growing, tail: Tail) -> Rejected:
    """What is refused where a file ends inside a message; its bytes are kept unless they are compressed."""
    reason = f"{tail.reason}, and nothing has followed: "
    reason += "give the whole file again" if file.compressed else "it is taken in once the file has the rest"
    data = b""
    if not file.compressed:
        with file.request.path.open("rb") as opened:
            opened.seek(tail.offset)
            data = opened.read(KEPT_BYTES + 1)
    kept = data if data and len(data) <= KEPT_BYTES else None
    return Rejected(str(file.request.path), tail.position, reason, shown(data), kept, tail.offset)


def note(books: Books, chunk: Chunk, result: Decoded, settings: Settings) -> list[Rejected]:
    """Write down how far a file is in after a chunk, and what was refused of it; returns the pieces that were."""
    file, now = chunk.file, settings.now()
    rejected = sorted((*chunk.rejected, *result.rejected), key=lambda item: item.offset or 0)
    places = _places(chunk, rejected)
    if file.is_new and chunk.last and not file.noted and file.lost is None:
        # Read beside another with the same in it, which was noted meanwhile.
        file.same = books.row_of(file.prefix.sha256, file.request.context) is not None
        if file.same:
            return []
    for item, place in zip(rejected, places, strict=True):
        books.note_rejected(item, place, file.request.context, now)
    if file.resolves and result.n_rows:
        books.note_resolved(file.resolves)
    if file.lost is not None or (file.compressed and not chunk.last):
        return rejected  # how far the compressed bytes were read is not known until their end
    more: Row = {
        "n_rows": result.n_rows, "n_rejected": len(rejected), "size_bytes": file.size,
        "modified_at": file.modified_at, "bytes_taken": file.prefix.n_bytes, "head_sha256": file.prefix.head_sha256,
        "decoded_bytes": chunk.end if file.compressed else None, **_tail(chunk),
    }  # fmt: skip
    books.note_input(file.request, file.prefix.sha256, now, more, shorter=file.noted)
    file.noted = file.prefix.sha256
    return rejected


def _places(chunk: Chunk, rejected: list[Rejected]) -> list[str]:
    """Where the refused pieces are; the file's prefix is advanced to the end of the chunk on the way.

    A file that is lost has no prefix any more. What was refused of it is noted all the same.
    """
    file = chunk.file
    try:
        if file.lost is None:
            return _hashed(chunk, rejected)
    except (SourceError, OSError) as error:
        file.lost = as_problem(error, file.request.path)
    return [file.place(item) for item in rejected]


def _hashed(chunk: Chunk, rejected: list[Rejected]) -> list[str]:
    file, places = chunk.file, []
    with file.request.path.open("rb", buffering=0) as opened:
        file.check(opened, file.size if file.compressed else chunk.end)
        for item in rejected:
            if not file.compressed and item.offset is not None and file.prefix.n_bytes < item.offset <= chunk.end:
                file.prefix.advance(item.offset, opened)
            places.append(file.place(item))
        if not file.compressed:
            file.prefix.advance(chunk.end, opened)
    return places


def _tail(chunk: Chunk) -> Row:
    if chunk.tail is None:
        return {}
    n_bytes = chunk.tail.n_bytes if chunk.file.compressed else chunk.file.size - chunk.tail.offset
    refused = any(item.offset == chunk.tail.offset for item in chunk.rejected)
    return {"tail_bytes": n_bytes, "tail_state": REFUSED if refused else WAITING}
