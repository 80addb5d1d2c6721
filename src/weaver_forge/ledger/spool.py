"""Rows that a hook writes where no ledger is in reach, and taking them in later, each exactly once.

A spool is a folder. One row is one file of one JSON line, written under another name, synced, and renamed: a
file that is seen is whole, and none is ever appended to, so that nothing can be lost between reading a file
and removing it (a shared file with O_APPEND loses the line that arrives in between). Files with many lines,
joined by hand or by another tool, are taken in too. Works on any file system; needs no lock.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.batch import Rejected
from weaver_forge.errors import ContractError
from weaver_forge.ledger.canonical import canonical_json
from weaver_forge.ledger.identity import uuid7

if TYPE_CHECKING:
    from weaver_forge.ledger.ledger import Ledger

KINDS = ("policies", "predictions", "decisions", "approvals", "switches", "quarantines")
"""What may be spooled, in the order it is taken in."""

_KEYS = {
    "policies": "policy_sha256",
    "predictions": "prediction_id",
    "decisions": "decision_id",
    "approvals": "approval_id",
    "switches": "switch_id",
    "quarantines": "quarantine_id",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """What draining a spool did.

    Args:
        n_taken: Rows that are now in the ledger and were not before.
        n_known: Rows that were there already.
        rejected: Lines that are no row; each is kept beside its file, in ``<file>.rejected``.
    """

    n_taken: int
    n_known: int
    rejected: tuple[Rejected, ...]


def append(folder: Path, row: Mapping[str, Any], *, now: datetime, kind: str = "decisions") -> Path:
    """Keep a row durably: when this returns, the line survives a crash of the machine.

    Args:
        folder: The spool; made where absent.
        row: As for ``Ledger.append``; its id is made here where absent, so that a second drain knows it.
        now: Naive UTC.
        kind: One of :data:`KINDS`.

    Returns:
        The file written.

    Raises:
        ContractError: If the kind cannot be spooled or the row is not JSON.
        OSError: If the folder cannot be written.
    """
    if kind not in KINDS:
        raise ContractError(f"{kind!r} cannot be spooled", where=str(folder), do=f"Only {', '.join(KINDS)}")
    complete = dict(row)
    unique = uuid7(now, os.urandom(10))
    if not complete.get(_KEYS[kind]):
        complete[_KEYS[kind]] = unique
    try:
        line = canonical_json({"kind": kind, "row": complete}) + "\n"
    except (TypeError, ValueError) as error:
        raise ContractError(f"the row is not JSON: {error}", where=f"spool {kind}") from error
    folder.mkdir(parents=True, exist_ok=True)
    return _write_whole(folder / f"{unique}.jsonl", line.encode("ascii"))


def keep_lines(folder: Path, name: str, lines: bytes) -> Path:
    """Keep many rows durably in one file, which says the same as ever where there is one of its name already.

    Args:
        folder: The spool; made where absent.
        name: Of the file, without its ending.
        lines: A JSON object ``{"kind": ..., "row": ...}`` a line, each row with its id.

    Raises:
        OSError: If the folder cannot be written.
    """
    path = folder / f"{name}.jsonl"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    return _write_whole(path, lines)


def drain(folder: Path, ledger: "Ledger", now: datetime) -> Drained:
    """Take everything in and remove the files, each only after the ledger has committed its rows.

    Killed in between, the next drain finds the rows in the ledger and only removes the files. A line that is no
    row is reported and kept in ``<file>.rejected``; the others of its file are taken in.

    Raises:
        StoreBusy: If the ledger is held by another process; the files stay.
    """
    taken = known = 0
    rejected: list[Rejected] = []
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    for path in files:
        rows, bad = _read(path)
        for kind in KINDS:
            added, refused = _take_in(ledger, kind, [item for item in rows if item.kind == kind], now)
            taken += added
            known += sum(item.kind == kind for item in rows) - added - len(refused)
            bad += [_rejected(path, item, reason) for item, reason in refused]
        if bad:
            _keep(path.with_name(path.name + ".rejected"), bad)
            rejected += [replace(item, raw=item.raw[:4000]) for item in bad]
        path.unlink(missing_ok=True)
    if files:
        _sync_folder(folder)
    return Drained(taken, known, tuple(rejected))


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    kind: str
    row: dict[str, Any]


def _read(path: Path) -> tuple[list[_Line], list[Rejected]]:
    rows: list[_Line] = []
    bad: list[Rejected] = []
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        text = raw.decode("utf-8", "backslashreplace").strip()
        if not text:
            continue
        try:
            document = json.loads(text)
            kind, row = document["kind"], document["row"]
            if kind not in KINDS or not isinstance(row, dict) or not row.get(_KEYS[kind]):
                raise ValueError(f"no row of {', '.join(KINDS)} with its id")  # noqa: TRY301 - one way out for all
        except (ValueError, TypeError, KeyError) as error:
            bad.append(Rejected(str(path), f"line {number}", f"not a spooled row: {error}", text))
        else:
            rows.append(_Line(number, text, kind, row))
    return rows, bad


def _take_in(ledger: "Ledger", kind: str, lines: list[_Line], now: datetime) -> tuple[int, list[tuple[_Line, str]]]:
    """One batch; where a row of it is refused, one by one, so that a bad row costs only itself."""
    try:
        return ledger.append(kind, [line.row for line in lines], now=now), []
    except ContractError as error:
        if len(lines) == 1:
            return 0, [(lines[0], str(error))]
    added, refused = 0, []
    for line in lines:
        n, bad = _take_in(ledger, kind, [line], now)
        added += n
        refused += bad
    return added, refused


def _rejected(path: Path, line: _Line, reason: str) -> Rejected:
    return Rejected(str(path), f"line {line.number}", reason, line.text)


def _keep(path: Path, bad: list[Rejected]) -> None:
    """Put refused lines beside what an earlier file of the same name left there."""
    before = path.read_bytes() if path.exists() else b""
    lines = "".join(f"{item.raw}\n" for item in bad)
    _write_whole(path, before + lines.encode("utf-8", "backslashreplace"))


def _write_whole(path: Path, data: bytes) -> Path:
    """Write under another name, sync, rename, sync the folder."""
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
