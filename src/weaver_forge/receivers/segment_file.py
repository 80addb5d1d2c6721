"""One file of the inbox while it grows, and what is left of one after a crash.

Put here what touches the disk: framing, the sync before an answer, cutting back to the last good record, and the
rename that hands a finished file over. Who waits for what is in ``segments``.

A growing file is ``.<name>.open``; intake ignores names that begin with a dot. Sealing renames it to ``<name>``. The
file is locked while it grows, so that a second process in the same folder never seals it.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

Framing = Literal["length", "lines"]
"""``length``: 4 bytes big-endian before each record. ``lines``: a newline after each."""

_OPEN = ".open"
_PROBE_BYTES = 64 * 1024
_HEADER = struct.Struct(">I")


class SegmentFile:
    """A growing file; every record up to ``size`` is on disk.

    Args:
        folder: Where; it must exist.
        name: The name it gets once sealed.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f".{name}{_OPEN}"
        self.sealed = folder / name
        self.size = 0
        self._file = _made(self.path)
        try:
            sync_folder(folder)  # without it a crash of the machine forgets the file, with all that it acknowledged
        except OSError:
            os.close(self._file)
            raise

    def append(self, records: Sequence[bytes], framing: Framing) -> None:
        """Write records and wait until they are on disk; on any error the file ends where it ended before.

        Raises:
            OSError: If the disk is full or broken; none of the records counts as stored.
        """
        data = b"".join(framed(records, framing))
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fdatasync(self._file)
        except OSError:
            self._cut()
            raise
        self.size += len(data)

    def seal(self) -> None:
        """Hand the file over under its final name; an empty one is removed.

        Raises:
            OSError: If it cannot be renamed; then it stays as it is.
        """
        _hand_over(self.path, self.sealed, is_empty=self.size == 0)
        self.close()

    def close(self) -> None:
        """Let go of the file as it is; ``recover`` finds it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _cut(self) -> None:
        """Back to the last good record: a torn one in front of later ones would make them unreadable."""
        os.ftruncate(self._file, self.size)
        os.fdatasync(self._file)


def framed(records: Sequence[bytes], framing: Framing) -> Iterator[bytes]:
    """Records as they lie in the file."""
    for record in records:
        if framing == "length":
            yield _HEADER.pack(len(record))
            yield record
        else:
            yield record
            yield b"\n"


def recover(folder: Path, *, prefix: str, suffix: str, framing: Framing) -> list[Path]:
    """Seal what a crash left growing; a torn last record, which nobody was told is stored, is cut off.

    Files that a living process writes are left alone, and so are those that another one seals meanwhile. Returns the
    sealed files.

    Raises:
        OSError: If one cannot be cut or renamed.
    """
    done = []
    for path in sorted(folder.glob(f".{prefix}*{suffix}{_OPEN}")):
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if _is_left_over(path, file) and _cut_and_sealed(path, file, framing):
                done.append(_sealed_name(path))
        finally:
            os.close(file)
    return done


def _is_left_over(path: Path, file: int) -> bool:
    """Whether nobody writes it, and nobody sealed it before the lock was ours: nothing of that is to be cut."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(path, file)


def _cut_and_sealed(path: Path, file: int, framing: Framing) -> bool:
    good = _good_bytes(file, framing)
    os.ftruncate(file, good)
    os.fsync(file)
    _hand_over(path, _sealed_name(path), is_empty=good == 0)
    return good > 0


def _sealed_name(path: Path) -> Path:
    return path.with_name(path.name[1 : -len(_OPEN)])


def probe(folder: Path) -> None:
    """Write and sync a little file, and remove it.

    Raises:
        OSError: If the disk does not take it.
    """
    path = folder / f".probe-{os.getpid()}-{threading.get_ident()}"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(file, bytes(_PROBE_BYTES))
        os.fdatasync(file)
    finally:
        os.close(file)
        path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they outlive a crash of the machine."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _made(path: Path) -> int:
    """A new file, locked; made again where another process's ``recover`` removed it before the lock was ours."""
    while True:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_ours = _is_at(path, file)
        except OSError:
            os.close(file)
            raise
        if is_ours:
            return file
        os.close(file)


def _is_at(path: Path, file: int) -> bool:
    """Whether a path still is the open file: what is written to a removed one is lost."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _hand_over(path: Path, sealed: Path, *, is_empty: bool) -> None:
    if is_empty:
        path.unlink()
    else:
        path.rename(sealed)
    sync_folder(path.parent)


def _good_bytes(file: int, framing: Framing) -> int:
    """Where the last whole record ends."""
    size = os.fstat(file).st_size
    if size == 0:
        return 0
    with mmap.mmap(file, size, prot=mmap.PROT_READ) as data:
        if framing == "lines":
            return data.rfind(b"\n") + 1
        at = 0
        while at + _HEADER.size <= size:
            # A record is never empty: zeros are blocks that a crash of the machine left unwritten.
            length = _HEADER.unpack_from(data, at)[0]
            if length == 0 or at + _HEADER.size + length > size:
                break
            at += _HEADER.size + length
        return at
