"""What an importer has fetched: whole files in the inbox, and a small database that remembers what they hold.

A file is written first, whole and synced, and remembered after: a crash in between means fetching it again under the
same name with the same rows, which a table with keys stores once. What is fetched belongs in ``github``
and ``gitlab``; asking for it in ``rest``.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from weaver_forge.errors import SourceError

_DDL = """
create table if not exists pages (
    address text primary key, etag text not null, following text, n_items integer not null, n_total integer
);
create table if not exists items (
    scope text not null, id text not null, version text not null, created_at text not null, is_open integer not null,
    primary key (scope, id)
);
create table if not exists marks (scope text primary key, value text not null);
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing as it was when it was last read.

    Args:
        etag: Its name.
        following: Address of the page after it; None when it was the last.
        n_items: Things on it.
        n_total: Things that the server said the whole listing has; None when it did not say.
    """

    etag: str
    following: str | None
    n_items: int
    n_total: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that has been fetched with all that belongs to it.

    Args:
        id: Its id at the server.
        version: Changes whenever the thing does; compared for equality only.
        created_at: ISO 8601 in UTC, so that texts sort as times.
        is_open: It had not come to its end, and is to be looked at again.
    """

    id: str
    version: str
    created_at: str
    is_open: bool


@dataclass(slots=True)
class Fetched:
    """The memory of one importer. Use as a context manager; one process at a time.

    Args:
        path: The SQLite file; made when it is not there.
    """

    path: Path
    _con: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        """Open the file and make its tables.

        Raises:
            SourceError: If another import holds it, or it cannot be opened.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._con = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
            # Held from the first to the last request: two imports at once would fetch everything twice.
            self._con.execute("pragma locking_mode = exclusive")
            self._con.execute("begin exclusive")
            for statement in filter(str.strip, _DDL.split(";")):
                self._con.execute(statement)
            self._con.execute("commit")
        except sqlite3.Error as error:
            do = "Wait for the other import to end" if "locked" in str(error) else "Remove it: it is only a memory"
            raise SourceError(f"cannot be opened: {error}", where=str(self.path), do=do) from error

    def __enter__(self) -> Self:
        """Give the memory."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self._con.close()

    def page(self, address: str) -> Page | None:
        """A page as it was last read, if it was."""
        found = self._con.execute("select etag, following, n_items, n_total from pages where address = ?", [address])
        row = found.fetchone()
        return Page(*row) if row else None

    def version(self, scope: str, item_id: str) -> str:
        """The version of a thing that was fetched last; empty when it never was."""
        row = self._con.execute("select version from items where scope = ? and id = ?", [scope, item_id]).fetchone()
        return str(row[0]) if row else ""

    def oldest_open(self, scope: str) -> str | None:
        """When the oldest thing that had not come to its end was created."""
        sql = "select min(created_at) from items where scope = ? and is_open"
        found: str | None = self._con.execute(sql, [scope]).fetchone()[0]
        return found

    def mark(self, scope: str) -> str | None:
        """A place in a listing that was reached before."""
        row = self._con.execute("select value from marks where scope = ?", [scope]).fetchone()
        return str(row[0]) if row else None

    def set_mark(self, scope: str, value: str) -> None:
        """Remember a place."""
        with self._whole():
            self._con.execute("insert or replace into marks values (?, ?)", [scope, value])

    def remember(self, scope: str, items: Sequence[Item], address: str = "", page: Page | None = None) -> None:
        """Remember things that are on disk now, and the page that listed them once all of them are."""
        rows = [(scope, item.id, item.version, item.created_at, item.is_open) for item in items]
        with self._whole():
            self._con.executemany("insert or replace into items values (?, ?, ?, ?, ?)", rows)
            if page is not None:
                values = [address, page.etag, page.following, page.n_items, page.n_total]
                self._con.execute("insert or replace into pages values (?, ?, ?, ?, ?)", values)

    @contextlib.contextmanager
    def _whole(self) -> Generator[None]:
        self._con.execute("begin")
        try:
            yield
        except BaseException:
            self._con.execute("rollback")
            raise
        self._con.execute("commit")


def write_whole(folder: Path, stem: str, lines: Sequence[bytes], sync: Callable[[int], None] = os.fsync) -> Path:
    """Write JSON lines as one file that is there whole or not at all, also after a power cut.

    Args:
        folder: Made when it is not there.
        stem: Begins the name; the rest is of the content, so that the same lines are the same file.
        lines: JSON texts without newlines between their tokens.
        sync: Forces a file descriptor to disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = b"\n".join(lines) + b"\n"
    path = folder / f"{stem}-{hashlib.sha256(data).hexdigest()[:16]}.jsonl"
    draft = folder / f".{path.name}.draft"
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())
    draft.replace(path)
    folder_fd = os.open(folder, os.O_RDONLY)
    try:
        sync(folder_fd)
    finally:
        os.close(folder_fd)
    return path
