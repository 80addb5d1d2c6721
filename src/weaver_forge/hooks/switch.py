"""The kill switch: a small file beside the published snapshot that every hook looks at before it acts.

The file is what acts; the ledger is told of it. It is replaced whole, so that nobody reads half of one, and one that
cannot be read halts everything. Put here how it is turned and watched; how a hook reads it at a decision is
``standing``'s.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from weaver_forge.contracts.values import Scope
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.standing import ALL, HALTED, read_halts
from weaver_forge.ledger.canonical import instant_of, instant_text

SCOPES = (ALL, *(scope.value for scope in Scope))

EVERY_S = 0.25
"""How often a running hook looks at the switch; a promise of one second leaves room for a slow disk."""

_LOCK, _WAIT_S = ".autonomy.lock", 2.0

Halts = Mapping[str, str]


def turn(folder: Path, *, scope: str, is_on: bool, actor: str, reason: str, now: datetime) -> list[dict[str, Any]]:
    """Turn the switch of a scope on or off, at once for every hook that reads this folder.

    Turning ``all`` off turns every scope off. Where the file that was there cannot be read, everything counts as
    halted: turning one scope on then halts all, in so many words, and only ``all`` can be turned off.

    Returns:
        What was turned, as rows of the ledger's ``switches``, without their ids.

    Raises:
        UsageError: If there is no such scope.
        SourceError: If one scope is turned off and the file cannot be read, or the folder cannot be written.
    """
    if scope not in SCOPES:
        raise UsageError(f"no scope {scope!r}", where="--scope", do=f"Give one of {', '.join(SCOPES)}")
    try:
        return _turned(folder, scope, {"is_on": is_on, "actor": actor, "reason": reason, "made_at": now})
    except OSError as error:
        raise SourceError(
            f"the kill switch cannot be written: {error}", where=str(folder / HALTED), do="Check the folder"
        ) from error


def _turned(folder: Path, scope: str, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        known, problem = _stored(folder)
        if problem and not said["is_on"] and scope != ALL:
            raise SourceError(
                f"{HALTED} cannot be read, so everything is halted: {problem}",
                where=str(folder),
                do="Resume --scope all, then halt what should stay halted",
            )
        names = [scope]
        if problem and said["is_on"]:
            names = [ALL]
            said = {**said, "reason": f"{said['reason']} (all scopes: the file before could not be read)"}
        if scope == ALL and not said["is_on"]:
            names = [ALL, *(name for name, row in known.items() if row["is_on"] and name != ALL)]
        turned = [{"scope": name, **said} for name in names]
        _write(folder, [*known.values(), *turned])
        return turned


def bring_in_line(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Take over what the ledger knows of the switch and the file does not: the newer of both holds, a scope."""
    with locked(folder):
        known, problem = _stored(folder)
        newer = [row for row in rows if row["scope"] not in known or row["made_at"] > known[row["scope"]]["made_at"]]
        if newer and not problem:
            _write(folder, [*known.values(), *newer])


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """One writer of the folder's small files at a time; whoever waits too long goes on: halting must not hang."""
    with (folder / _LOCK).open("a") as file:
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            else:
                break
        yield


def write_whole(path: Path, document: Any) -> None:
    """Replace a small JSON file: readers see the old one or the new one, after a crash too."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Watch:
    """The kill switch for a hook that runs for long.

    ``halted`` looks at the file each time it is asked, which costs a look at its directory entry; a thread looks
    every quarter of a second and tells whoever wants to stop work that is under way.

    Args:
        folder: Of the published snapshot.
        on_change: Called with what is halted whenever that changes, first with what is halted at the beginning.
        every_s: How often the thread looks.
    """

    def __init__(
        self, folder: Path, on_change: Callable[[Halts], None] | None = None, *, every_s: float = EVERY_S
    ) -> None:
        self._folder, self._on_change, self._every_s = folder, on_change, every_s
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._halts: Halts = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kill switch", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def halted(self, scope: Scope) -> str:
        """Why nothing may be done in this scope now; empty where it may."""
        halts = self._look()
        return halts.get(ALL) or halts.get(str(scope), "")

    def _look(self) -> Halts:
        with self._lock:
            try:
                found = (self._folder / HALTED).stat()
            except FileNotFoundError:
                self._seen, self._halts = None, {}
                return self._halts
            except OSError as error:
                self._seen, self._halts = None, {ALL: f"{HALTED} cannot be read: {error}"}
                return self._halts
            now = (found.st_mtime_ns, found.st_ino, found.st_size)
            if now != self._seen:
                self._halts, _ = read_halts(self._folder)
                self._seen = now
            return self._halts

    def _run(self) -> None:
        told: Halts | None = None
        while True:
            halts = self._look()
            if self._on_change is not None and halts != told:
                told = halts
                self._on_change(halts)
            if self._stop.wait(self._every_s):
                return


def _stored(folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """The newest row of each scope, and why they cannot be read; empty where they can or none is there."""
    try:
        document = json.loads((folder / HALTED).read_text(encoding="utf-8"))
        rows = {row["scope"]: {**row, "made_at": instant_of(row["made_at"])} for row in document["halted"]}
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {}, str(error) or type(error).__name__
    return rows, ""


def _write(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    newest = {row["scope"]: row for row in rows}
    names = ("scope", "is_on", "actor", "reason")
    document = [
        {**{name: row[name] for name in names}, "made_at": instant_text(row["made_at"])} for row in newest.values()
    ]
    write_whole(folder / HALTED, {"halted": document})
