"""The disk that is written to: what it looks like in every library when it is full, and when it really has a file.

Put the translation of "no room" errors here. Other errors of those libraries pass unchanged.
"""

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from weaver_forge.errors import StoreFull

_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WORDS = re.compile(r"no space left|disk quota exceeded|file too large|os error (28|122|27)\b", re.IGNORECASE)


@contextmanager
def room_for(what: str) -> Generator[None]:
    """Say it clearly when a write finds no room.

    Args:
        what: The file or folder that is written to.

    Raises:
        StoreFull: If the disk is full, a quota is used up or a file may not grow. Nothing of it was committed.
    """
    try:
        yield
    except (OSError, PolarsError, DeltaError, duckdb.Error) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in _NUMBERS and not _WORDS.search(str(error)):
            raise
        raise StoreFull(
            "there is no room left to write to",
            where=what,
            do="Free space and run the same command again: what was committed stays, and nothing is taken in twice",
        ) from error


def settle(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder, so that a power cut takes nothing of it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they outlive a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        settle(path.parent)
