"""``git log`` output -> ``raw_git__commits`` and ``raw_git__file_changes``.

The log is asked for as ``LOG_FORMAT`` with ``-z --numstat -M``. Everything is separated by NUL, which neither a
message nor a path can hold, so no separator can be forged. What the stream looks like: seven header fields, then
``added<TAB>deleted<TAB>path`` a file (the first after a newline); a rename has an empty path and the old and the
new one in the next two fields; a binary file counts ``-``. Running git belongs in ``sources.git``.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS, RAW_GIT_FILE_CHANGES

LOG_FORMAT = "--format=tformat:%x01%H%x00%P%x00%aE%x00%at%x00%ct%x00%s%x00%b"
LOG_OPTIONS = ("-z", "--numstat", "-M", LOG_FORMAT)

_HEADER = re.compile(r"\x01([0-9a-f]{40}(?:[0-9a-f]{24})?)")
_NUMSTAT = re.compile(r"\n?(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC is the house rule
_FIELDS_AFTER_ID = 6


def decode(frames: Iterable[Frame], *, repo_id: str) -> Batch:
    """Read log output made with ``LOG_OPTIONS``; merges come without files, as git shows them.

    Args:
        frames: Whole outputs.
        repo_id: Repository that they are from.
    """
    commits: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for frame in frames:
        fields = iter(frame.data.decode("utf-8", "replace").split("\0"))
        _read(fields, frame.name, repo_id, commits, files, rejected)
    tables = {
        RAW_GIT_COMMITS.name: from_rows(RAW_GIT_COMMITS, commits),
        # A type change (file to link) shows twice under one path; the first says it.
        RAW_GIT_FILE_CHANGES.name: from_rows(RAW_GIT_FILE_CHANGES, files).unique(
            RAW_GIT_FILE_CHANGES.key, keep="first", maintain_order=True
        ),
    }
    return Batch(tables, tuple(rejected))


def _read(
    fields: Iterator[str],
    name: str,
    repo_id: str,
    commits: list[dict[str, Any]],
    files: list[dict[str, Any]],
    rejected: list[Rejected],
) -> None:
    """Walk the fields: a header opens a commit, number lines belong to the newest one."""
    revision: str | None = None
    for field in fields:
        if header := _HEADER.fullmatch(field):
            rest = [next(fields, "") for _ in range(_FIELDS_AFTER_ID)]
            commit = commit_row(repo_id, header[1], rest)
            revision = None if commit is None else header[1]
            if commit is None:
                rejected.append(Rejected(name, f"commit {header[1]}", "its dates cannot be read", repr(rest[2:4])))
            else:
                commits.append(commit)
        elif numbers := _NUMSTAT.fullmatch(field):
            old, path = (None, numbers[3]) if numbers[3] else (next(fields, ""), next(fields, ""))
            if revision is not None:
                files.append(_file(repo_id, revision, path, old, numbers[1], numbers[2]))
        elif field.strip():
            rejected.append(Rejected(name, "log output", "neither a commit nor a file", field[:4000]))


def commit_row(repo_id: str, revision: str, rest: list[str]) -> dict[str, Any] | None:
    """Make a row of ``raw_git__commits`` of the header fields behind the id; None if a date cannot be read."""
    parents, author, authored, committed, subject, body = rest
    try:
        times = [_EPOCH + timedelta(seconds=int(value)) for value in (authored, committed)]
    except (ValueError, OverflowError):
        return None
    return {
        "repo_id": repo_id,
        "revision": revision,
        "parents": parents,
        "author": author.lower(),
        "authored_at": times[0],
        "committed_at": times[1],
        "subject": subject,
        "body": body.strip("\n"),
    }


def _file(repo_id: str, revision: str, path: str, old: str | None, added: str, deleted: str) -> dict[str, Any]:
    return {
        "repo_id": repo_id,
        "revision": revision,
        "path": path,
        "old_path": old,
        "n_added": None if added == "-" else int(added),
        "n_deleted": None if deleted == "-" else int(deleted),
    }
