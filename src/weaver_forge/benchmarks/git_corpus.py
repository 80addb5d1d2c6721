"""A git history of any length in the shape of real ones, for measuring how fast history is read.

After the histories of scrapy, tornado and luigi: about three files a commit with a long tail, a few lines a file,
every fifth commit a fix, one in twelve a merge. Made by ``git fast-import``, thousands of commits a second. Reading a
repository belongs in ``sources.git``.
"""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

_START = 1_388_534_400  # 2014-01-01
_SUBJECTS = ("Add", "Move", "Rename", "Simplify", "Document", "Speed up", "Support", "Remove")


def write_history(folder: Path, n_commits: int, *, seed: int = 0, n_files: int = 2000) -> None:
    """Make a bare repository with a history of ``n_commits``; the same seed makes the same commits.

    Args:
        folder: Where; must not exist.
        n_commits: Merges included.
        seed: Of all choices.
        n_files: How many files the history comes to touch.
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet", "--done"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        for piece in stream(n_commits, seed=seed, n_files=n_files):
            child.stdin.write(piece)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def stream(n_commits: int, *, seed: int = 0, n_files: int = 2000) -> Iterator[bytes]:
    """The history as ``git fast-import`` reads it, a commit a piece."""
    chance = random.Random(seed)  # noqa: S311 - a corpus, no secret
    files: dict[str, list[int]] = {}
    names = [f"src/{n % 40:02}/{n % 7}/module_{n:05}.py" for n in range(n_files)]
    serial = 0
    for mark in range(1, n_commits + 1):
        yield _header(mark, chance)
        if mark > 2 and chance.random() < 1 / 12:
            yield b"from :%d\nmerge :%d\n\n" % (mark - 1, mark - 2)
            continue
        if mark > 1:
            yield b"from :%d\n" % (mark - 1)
        for _ in range(min(1 + int(chance.paretovariate(1.1) - 1), 60)):
            # Some files change all the time, most of them seldom.
            name = names[int(n_files * chance.random() ** 3)]
            lines = files.setdefault(name, list(range(serial, serial + 40)))
            serial += 40
            at = chance.randrange(len(lines) + 1)
            n_removed, n_added = chance.choice((0, 1, 1, 2, 3)), chance.choice((0, 1, 2, 3, 5))
            lines[at : at + n_removed] = range(serial, serial + n_added)
            serial += n_added
            del lines[400:]
            body = b"".join(b"    value_%d = compute(%d)\n" % (line, line % 97) for line in lines)
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(body), body)
        yield b"\n"
    yield b"done\n"


def _header(mark: int, chance: random.Random) -> bytes:
    number = chance.randrange(400)
    subject = f"Fix #{mark}: wrong value" if chance.random() < 0.2 else f"{chance.choice(_SUBJECTS)} part {mark}"
    message = f"{subject}\n\nBecause of reason {mark}.\n".encode()
    at = _START + mark * 3600
    who = f"Author {number} <a{number}@example.org> {at} +0000".encode()
    return b"commit refs/heads/main\nmark :%d\nauthor %s\ncommitter %s\ndata %d\n%s" % (
        mark, who, who, len(message), message,
    )  # fmt: skip
