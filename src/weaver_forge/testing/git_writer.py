"""The simulated history as a real git repository, and moving its ``main`` through time.

All commits are made at once under ``refs/simulation/future``; ``main`` is a pointer into them that
:func:`advance_git` moves. The ids depend on nothing but the history: same plan, same ids.
"""

import subprocess
from datetime import datetime
from pathlib import Path
from typing import IO

from weaver_forge.errors import SourceError
from weaver_forge.testing.changes_made import Change
from weaver_forge.testing.history import History
from weaver_forge.testing.plan import REMOTE, unix_ns

FUTURE = "refs/simulation/future"


def write_repository(history: History, repo: Path) -> tuple[str, ...]:
    """Make the repository with its whole history, ``main`` not yet born; returns the commit ids in order.

    Raises:
        SourceError: If git fails.
    """
    repo.mkdir(parents=True)
    _git(repo, "init", "--quiet", "--initial-branch=main")
    _git(repo, "remote", "add", "origin", REMOTE)
    command = ["git", "-C", str(repo), "fast-import", "--quiet", "--date-format=raw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        revisions: list[str] = []
        for change in history.changes:
            reverted = revisions[change.fixes] if change.is_revert and change.fixes is not None else ""
            _write_commit(process.stdin, change, change.message.replace("{reverted}", reverted))
            # A revert names the id of an earlier commit, so every id is asked for at once.
            process.stdin.write(f"get-mark :{change.number + 1}\n".encode())
            process.stdin.flush()
            revisions.append(process.stdout.readline().decode().strip())
        process.stdin.close()
    if process.returncode or not all(revisions):
        raise SourceError("git fast-import failed", where=str(repo), do="Check `git --version`; 2.30 or newer works")
    return tuple(revisions)


def advance_git(repo: Path, until: datetime) -> str | None:
    """Move ``main`` (and the work tree) to the last commit before ``until``; returns its id, None when there is none.

    Args:
        repo: The ``repo`` folder of a simulated organisation.
        until: Naive UTC; a commit of exactly this instant is still in the future.

    Raises:
        SourceError: If git fails or this is no simulated repository.
    """
    listed = _git(repo, "log", "--format=%H %ct", FUTURE)
    limit = unix_ns(until)
    for line in listed.splitlines():
        revision, seconds = line.split()
        if int(seconds) * 10**9 < limit:
            _git(repo, "update-ref", "refs/heads/main", revision)
            _git(repo, "reset", "--quiet", "--hard", revision)
            return revision
    return None


def _write_commit(stream: IO[bytes], change: Change, message: str) -> None:
    seconds = unix_ns(change.at) // 10**9
    person = f"{change.author.name} <{change.author.email}> {seconds} +0000"
    text = message.encode()
    stream.write(f"commit {FUTURE}\nmark :{change.number + 1}\nauthor {person}\ncommitter {person}\n".encode())
    stream.write(b"data %d\n%s" % (len(text), text))
    if change.number:
        stream.write(f"from :{change.number}\n".encode())
    for edit in change.edits:
        if edit.old_path:
            stream.write(f"R {edit.old_path} {edit.path}\n".encode())
        stream.write(b"M 100644 inline %s\ndata %d\n%s\n" % (edit.path.encode(), len(edit.content), edit.content))
    stream.write(b"\n")


def _git(repo: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(repo), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise SourceError(
            f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}",
            where=str(repo),
            do="Make the simulated organisation again",
        )
    return done.stdout.decode()
