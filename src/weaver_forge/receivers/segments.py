"""Records that must be on disk before their sender is answered, gathered into files of the inbox.

Put here the queue, the group commit and the rotation, for every receiver alike; the files themselves are in
``segment_file``. A thread of its own takes what is queued, writes it, syncs once for all of it, and completes the
futures: the price of a sync is shared, and a sender waits for at most two of them.
"""

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from weaver_forge.errors import SourceError
from weaver_forge.ledger import uuid7
from weaver_forge.receivers.segment_file import Framing, SegmentFile, make_folder, probe, recover

_LOG = logging.getLogger(__name__)
_BATCH_BYTES = 16 * 1024 * 1024
_RETRY_S = 1.0
"""How long to wait before sealing is tried again where the disk refused it."""


class InboxFull(SourceError):  # noqa: N818 - what it is to the one who gets it
    """The inbox takes no more for now: too much is waiting for the disk. Try again soon."""


class InboxUnwritable(InboxFull):
    """The disk is full or broken: nothing can be stored until a person mends it. Try again later."""


@dataclass(frozen=True, slots=True)
class SegmentsState:
    """What is going on.

    Args:
        queued_records: Records that wait for the disk.
        queued_bytes: Their bytes.
        problem: What the disk said last, or an empty text while it takes what it is given.
    """

    queued_records: int
    queued_bytes: int
    problem: str


class Segments:
    """Files of one kind in one folder, written by one thread.

    Args:
        folder: Where the files go; made if missing. Left-over growing files in it are sealed first.
        suffix: What the files' names end with, as ``.otlp``.
        max_bytes: A file is sealed once it is this large.
        max_age_s: A file is sealed this many seconds after its first record, also when nothing more comes.
        now: The clock of the deployment, for the names of files: they sort by time.
        prefix: What the files' names begin with, as ``traces-``.
        framing: How records are told apart; a record of ``lines`` has no newline in it.
        max_queued_bytes: More than this waits for the disk only if it is a single record.
        min_free_bytes: Nothing is stored where less than this would be left on the disk: whoever drains the inbox
            needs some.

    Raises:
        OSError: If the folder cannot be made or is not ours to write to, or a left-over file cannot be sealed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        suffix: str,
        max_bytes: int,
        max_age_s: float,
        now: Callable[[], datetime],
        prefix: str = "",
        framing: Framing = "length",
        max_queued_bytes: int = 64 * 1024 * 1024,
        min_free_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self._prefix, self._suffix, self._framing = prefix, suffix, framing
        self._max_bytes, self._max_age_s, self._now = max_bytes, max_age_s, now
        self._max_queued_bytes, self._min_free_bytes = max_queued_bytes, min_free_bytes
        make_folder(folder)
        # A full disk is waited for; what only a person can change is said at once.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        self.recovered = self._recover()
        self._queue: deque[tuple[bytes, Future[None]]] = deque()
        self._queued_bytes = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._problem = ""
        self._file: SegmentFile | None = None
        self._seal_at: float | None = None
        self._is_left_over = False
        self._thread = threading.Thread(target=self._run, name=f"segments {prefix}*{suffix}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> SegmentsState:
        """What is queued, and what the disk said last."""
        with self._changed:
            return SegmentsState(len(self._queue), self._queued_bytes, self._problem)

    def put(self, record: bytes) -> "Future[None]":
        """Queue one record; the future is done once it is on disk, and fails with InboxUnwritable if it is not.

        Raises:
            InboxFull: If too much is waiting already, or the receiver is stopping.
            ValueError: If the record is empty, or has a newline where records are lines.
        """
        if not record or (self._framing == "lines" and b"\n" in record):
            raise ValueError("a record is not empty, and where records are lines it has no newline")
        future: Future[None] = Future()
        with self._changed:
            if self._is_closed:
                raise InboxFull("the receiver is stopping", where=str(self.folder), do="Send it again")
            if self._queue and self._queued_bytes + len(record) > self._max_queued_bytes:
                raise InboxFull("too much is waiting for the disk", where=str(self.folder), do="Send it again")
            self._queue.append((record, future))
            self._queued_bytes += len(record)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Store what is queued, seal the file, stop the thread. What comes after is refused. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if batch:
                self._commit(batch)
            elif self._is_closed:
                break
            elif self._problem:
                self._probe()
            self._seal_if_due()
        self._seal_at = 0.0
        self._seal_if_due()
        if self._file is not None:
            self._file.close()

    def _gather(self) -> list[tuple[bytes, "Future[None]"]]:
        """Wait for records, until sealing is due; a batch has at least one and not much over 16 MiB."""
        with self._changed:
            due = None if self._seal_at is None else max(0.0, self._seal_at - time.monotonic())
            if self._problem:
                due = min(due or _RETRY_S, _RETRY_S)
            self._changed.wait_for(lambda: self._queue or self._is_closed, due)
            batch = []
            size = 0
            while self._queue and size < _BATCH_BYTES:
                record, future = self._queue.popleft()
                self._queued_bytes -= len(record)
                if future.set_running_or_notify_cancel():  # whoever gave up before the write needs no storing
                    batch.append((record, future))
                    size += len(record)
        return batch

    def _commit(self, batch: list[tuple[bytes, "Future[None]"]]) -> None:
        try:
            self._store([record for record, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever breaks, every sender gets an answer
            self._report(error)
            for _, future in batch:
                future.set_exception(
                    InboxUnwritable(
                        f"it could not be stored: {_said(error)}",
                        where=str(self.folder),
                        do="Make room on the disk; what senders still have they send again",
                    )
                )
            return
        self._problem = ""
        for _, future in batch:
            future.set_result(None)

    def _store(self, records: list[bytes]) -> None:
        self._check_reserve(sum(map(len, records)))
        if self._is_left_over:
            self._recover()
            self._is_left_over = False
        try:
            if self._file is None:
                self._file = self._opened()
                self._seal_at = time.monotonic() + self._max_age_s
            self._file.append(records, self._framing)
        except OSError:
            # What a file holds after a failed sync is not known: nothing is added to it any more.
            if self._file is not None:
                self._file.close()
            self._file, self._seal_at, self._is_left_over = None, time.monotonic(), True
            raise

    def _check_reserve(self, size: int) -> None:
        if self._min_free_bytes:
            free = os.statvfs(self.folder)
            if free.f_bavail * free.f_frsize < self._min_free_bytes + size:
                raise OSError(f"less than {self._min_free_bytes // 2**20} MiB would be left on the disk")

    def _probe(self) -> None:
        """Find out whether the disk has mended: whoever asks before sending would otherwise never be told."""
        try:
            make_folder(self.folder)
            self._check_reserve(0)
            probe(self.folder)
        except OSError as error:
            self._report(error)
        else:
            self._problem = ""

    def _opened(self) -> SegmentFile:
        make_folder(self.folder)
        return SegmentFile(self.folder, f"{self._prefix}{uuid7(self._now(), os.urandom(10))}{self._suffix}")

    def _seal_if_due(self) -> None:
        """Seal by size or age; where the disk refuses, later."""
        is_large = self._file is not None and self._file.size >= self._max_bytes
        if self._seal_at is None or not (is_large or time.monotonic() >= self._seal_at):
            return
        try:
            self._seal()
        except OSError as error:
            self._report(error)
            self._seal_at = time.monotonic() + _RETRY_S
            if self._file is not None and not self._file.path.exists():
                self._file.close()  # somebody removed it; there is nothing to seal
                self._file = None

    def _seal(self) -> None:
        if self._file is not None:
            self._file.seal()
            self._file = None
        if self._is_left_over:
            self._recover()
            self._is_left_over = False
        self._seal_at = None

    def _report(self, error: Exception) -> None:
        """Log each problem once, not once a request."""
        said = _said(error)
        if said != self._problem:
            _LOG.error("%s: %s", self.folder, said)
        self._problem = said

    def _recover(self) -> list[Path]:
        return recover(self.folder, prefix=self._prefix, suffix=self._suffix, framing=self._framing)


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
