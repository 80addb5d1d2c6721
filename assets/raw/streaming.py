"""Taking in OTLP files of any size: framed here, decoded by workers, committed by this process alone.

Put here how far a file has been taken in. A file is read from where its known beginning ends; a message that its
writer has not finished waits for the next run. Rows are committed every few hundred thousand, and the books after
them: killed anywhere, the next run reads at most that much again and adds nothing twice.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from assets.raw.books import REFUSED, WAITING, Books, Request, Row
from assets.staging import Decoded, decoded
from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import Message, shown
from weaver_forge.errors import SourceError, StoreBusy, StoreFull
from weaver_forge.settings import Settings
from weaver_forge.sources.prefix import Prefix, is_compressed, known_prefix
from weaver_forge.sources.streams import Tail, read_messages

CHUNK_BYTES = 24 * 1024 * 1024
"""Of messages decoded at once: about 45,000 spans. Past it a larger chunk is no faster (measured)."""

PATIENCE = timedelta(days=1)
"""A file that has not grown for so long will not: the message that it ends inside of is refused."""

KEPT_BYTES = 64 * 1024 * 1024
"""Refused bytes that are kept of one piece."""

CUT = "the file ends inside a message"


@dataclass(slots=True)
class Growing:
    """A file on its way in.

    Args:
        prefix: What of it is taken in; of a compressed file all of it, from the start, because it cannot grow.
        resolves: Under what digest a tail was refused that is no longer cut off.
        noted: What was noted of it last, as a digest.
    """

    request: Request
    prefix: Prefix
    compressed: bool
    size: int
    resolves: str = ""
    noted: str = ""


@dataclass(slots=True)
class Chunk:
    """Messages of one file that are decoded together.

    Args:
        end: How many bytes of the file are taken in with it.
        tail: What follows them, where the file ends inside a message.
        last: The file has no more.
    """

    file: Growing
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    end: int = 0
    tail: Tail | None = None
    last: bool = False


class Streams:
    """Reads the files of one source.

    Args:
        books: What is known.
        settings: Of the deployment.
        problem: Told of a file that cannot be read; the others go on.
        known: Told of a file of which nothing is new.
    """

    def __init__(
        self,
        books: Books,
        settings: Settings,
        problem: Callable[[SourceError], None],
        known: Callable[[Request], None],
    ) -> None:
        self._books, self._settings, self._problem, self._known = books, settings, problem, known

    def results(self, requests: Iterable[Request], n_processes: int) -> Iterator[tuple[Chunk, Decoded]]:
        """Everything new in the files, chunk by chunk in their order, decoded and, where it is much, staged."""
        work = ((chunk, str(chunk.file.request.path), chunk.messages) for chunk in self._chunks(requests))
        yield from decoded(self._settings.warehouse, self._settings.lake, work, n_processes)

    def _chunks(self, requests: Iterable[Request]) -> Iterator[Chunk]:
        for request in requests:
            try:
                file = self._open(request)
                if file is None:
                    self._known(request)
                else:
                    yield from self._read(file)
            except (StoreBusy, StoreFull):
                raise
            except (SourceError, OSError) as error:
                self._problem(as_problem(error, request.path))

    def _open(self, request: Request) -> Growing | None:
        """The file at the place where it goes on; None where there is nothing new in it."""
        seen = self._books.unchanged(request)
        if seen is not None and not self._out_of_patience(request, seen["tail_state"]):
            return None
        size = request.path.stat().st_size
        if is_compressed(request.path):
            whole = Prefix(request.path)
            whole.advance(size)
            return None if self._restamped(request, whole) else Growing(request, whole, True, size)
        prefix = known_prefix(request.path, self._books.beginnings(request.context))
        if prefix.n_bytes == size and (size == 0 or self._restamped(request, prefix)):
            return None
        row = self._books.row_of(prefix.sha256, request.context)
        return Growing(request, prefix, False, size, _refused_tail(prefix, row, size))

    def _restamped(self, request: Request, prefix: Prefix) -> bool:
        """Whether all of it is known; then it is known by its new name and time too, unless the old file is there."""
        row = self._books.row_of(prefix.sha256, request.context)
        if row is None:
            return False
        if row["name"] == str(request.path) or not Path(row["name"]).exists():
            self._books.note_input(request, prefix.sha256, row["ingested_at"], _measures(prefix))
        return True

    def _out_of_patience(self, request: Request, tail_state: str | None) -> bool:
        return tail_state == WAITING and self._settings.now() - request.received_at > PATIENCE

    def _read(self, file: Growing) -> Iterator[Chunk]:
        """Gather messages to chunks. Where one ends is known when the next piece says where it begins."""
        start = 0 if file.compressed else file.prefix.n_bytes
        chunk, held, newest = Chunk(file), 0, start
        for piece in read_messages(file.request.path, offset=start):
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
        chunk.end = chunk.tail.offset if chunk.tail else newest if grew else file.size
        chunk.last = True
        if chunk.tail is not None and (file.compressed or self._hopeless(file)):
            chunk.rejected.append(self._cut(file, chunk.tail))
        yield chunk

    def _hopeless(self, file: Growing) -> bool:
        """Whether nothing will follow: it has not grown for long, or its receiver has sealed it."""
        settled = self._settings.now() - file.request.received_at > PATIENCE
        return settled or is_received(file.request.path, self._settings)

    def _cut(self, file: Growing, tail: Tail) -> Rejected:
        data = b""
        if not file.compressed:
            with file.request.path.open("rb") as opened:
                opened.seek(tail.offset)
                data = opened.read(min(tail.n_bytes, KEPT_BYTES + 1))
        kept = data if data and len(data) <= KEPT_BYTES else None
        name, reason = str(file.request.path), f"{CUT}: {tail.reason}"
        return Rejected(name, f"byte {tail.offset}", reason, shown(data), data=kept, offset=tail.offset)


def note(books: Books, chunk: Chunk, result: Decoded, settings: Settings) -> int:
    """Write down how far a file is in after a chunk, and what was refused of it; returns how many pieces were."""
    file, now = chunk.file, settings.now()
    rejected = sorted((*chunk.rejected, *result.rejected), key=lambda item: item.offset or 0)
    for item in rejected:
        if not file.compressed and item.offset is not None and file.prefix.n_bytes < item.offset <= chunk.end:
            file.prefix.advance(item.offset)
        piece = item.data if item.data is not None else item.raw.encode()
        books.note_rejected(item, file.prefix.sha256_with(piece), file.request.context, now)
    counts: Row = {"n_rows": result.n_rows, "n_rejected": len(rejected)}
    if file.compressed:
        if chunk.last:
            books.note_input(file.request, file.prefix.sha256, now, counts | _measures(file.prefix))
        return len(rejected)
    file.prefix.advance(chunk.end)
    tail: Row = {}
    if chunk.tail is not None:
        refused = any(item.offset == chunk.tail.offset for item in chunk.rejected)
        tail = {"tail_bytes": chunk.tail.n_bytes, "tail_state": REFUSED if refused else WAITING}
    more = counts | _measures(file.prefix) | tail
    books.note_input(file.request, file.prefix.sha256, now, more, shorter=file.noted)
    file.noted = file.prefix.sha256
    if file.resolves and result.n_rows:
        books.note_resolved(file.resolves)
    return len(rejected)


def is_received(path: Path, settings: Settings) -> bool:
    """Whether a receiver of this deployment wrote the file: it is whole, and is deleted once it is taken in."""
    inbox = settings.inbox.resolve()
    return inbox in path.parents and path.resolve().relative_to(inbox).parts[1:2] == ("received",)


def as_problem(error: SourceError | OSError, path: Path) -> SourceError:
    """What made an input unreadable, as an error of ours."""
    return error if isinstance(error, SourceError) else SourceError(str(error), where=str(path))


def _measures(prefix: Prefix) -> Row:
    return {"bytes_taken": prefix.n_bytes, "head_sha256": prefix.head_sha256}


def _refused_tail(prefix: Prefix, row: Row | None, size: int) -> str:
    """The digest under which a tail was refused that has grown to a whole message since."""
    length = row["tail_bytes"] if row and row["tail_state"] == REFUSED else None
    if not isinstance(length, int) or prefix.n_bytes + length > size:
        return ""
    through = prefix.copy()
    through.advance(prefix.n_bytes + length)
    return through.sha256
