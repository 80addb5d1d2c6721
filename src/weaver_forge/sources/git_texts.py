"""The texts of a change, read from a repository's objects without a checkout; and who else in it reads them.

Three git processes a change, however many files it has: the list of files, the sizes of their texts, the texts. What
the texts mean is told by ``changes.semantic``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from weaver_forge.changes.semantic.classes import FileClass
from weaver_forge.changes.semantic.files import MAX_BYTES, FileChange, class_of_file, needs_texts
from weaver_forge.changes.semantic.paths import LANGUAGES
from weaver_forge.changes.semantic.readers import (
    DOCSTRING_FILES,
    DOCSTRING_PATTERN,
    Readers,
    asks_docstrings,
    named_in,
    names_to_ask,
    search_words,
)
from weaver_forge.sources.git_command import Repository

BATCH_BYTES = 32_000_000
"""Texts that are held at once."""

_RAW = ("--raw", "-z", "-r", "-M", "--no-abbrev", "--root", "--no-ext-diff", "--no-textconv", "--no-relative")
_LINK, _SUBMODULE = b"120000", b"160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A changed file as git lists it: modes and ids of both sides, how it changed, its names.

    Args:
        status: A letter, of renames with the similarity: A, D, M, T, R100.
    """

    old_mode: bytes
    new_mode: bytes
    old_id: str
    new_id: str
    status: str
    path: str
    old_path: str | None

    @property
    def special(self) -> str:
        """What makes it more than a change of text; empty where nothing does."""
        modes = {self.old_mode, self.new_mode}
        if _SUBMODULE in modes:
            return "a submodule"
        if _LINK in modes:
            return "a symbolic link"
        return "its mode changed" if self.status[0] in "MRT" and len(modes) > 1 else ""


def entries_of(repository: Repository, revision: str, base: str = "") -> list[Entry]:
    """The files that differ between two commits; without ``base``, those that a commit changes against its parent.

    Raises:
        SourceError: If git fails.
    """
    if base:
        return list(_entries(repository.run("diff-tree", *_RAW, base, revision)))
    listed = repository.run("diff-tree", "--no-commit-id", "-m", "--first-parent", *_RAW, revision)
    return list(_entries(listed))


def entries_of_each(repository: Repository, revisions: Sequence[str]) -> Iterator[tuple[str, list[Entry]]]:
    """The files that each of some commits changes against its first parent, by one git process.

    Raises:
        SourceError: If git fails.
    """
    if not revisions:
        return
    said = repository.run(
        "log", *_RAW, "--no-walk=unsorted", "--stdin", "-m", "--first-parent", "--format=tformat:%x01%H",
        stdin="\n".join(revisions).encode(),
    )  # fmt: skip
    for part in said.split(b"\x01")[1:]:
        revision, _, rest = part.partition(b"\0")
        yield revision.decode(), list(_entries(rest.lstrip(b"\n")))


def changes_of(repository: Repository, entries: Iterable[Entry]) -> Iterator[FileChange]:
    """The same files with their texts, as far as the class depends on them.

    Raises:
        SourceError: If git fails.
    """
    waiting = list(entries)
    wanted = {
        each for entry in waiting if _is_read(entry) for each in (entry.old_id, entry.new_id) if set(each) != {"0"}
    }
    sizes = _sizes(repository, sorted(wanted))
    part: list[Entry] = []
    held = 0
    for entry in waiting:
        size = sum(sizes.get(each, 0) for each in (entry.old_id, entry.new_id))
        if part and held + size > BATCH_BYTES:
            yield from _with_texts(repository, part, sizes)
            part, held = [], 0
        part.append(entry)
        held += size
    yield from _with_texts(repository, part, sizes)


def classes_of(repository: Repository, entries: Iterable[Entry]) -> list[FileClass]:
    """The class of each file, as far as the file itself tells it."""
    return [class_of_file(change) for change in changes_of(repository, entries)]


def classes_of_each(repository: Repository, revisions: Sequence[str], *, n_files: int) -> dict[str, list[FileClass]]:
    """The classes of the files of some commits against their first parents, until ``n_files`` files have been read.

    Of a commit that is begun all files are read, but for one of more than ``n_files``: its texts are not looked at.
    A commit that was not reached is left out; one that is not in this clone has no files.

    Raises:
        SourceError: If git fails.
    """
    there = _sizes(repository, revisions)
    found: dict[str, list[FileClass]] = {revision: [] for revision in revisions if revision not in there}
    entries: list[tuple[str, Entry]] = []
    for revision, listed in entries_of_each(repository, [revision for revision in revisions if revision in there]):
        if len(entries) >= n_files:
            break
        if len(listed) > n_files:
            found[revision] = [_by_name(entry) for entry in listed]
            continue
        found[revision] = []
        entries += [(revision, entry) for entry in listed]
    changes = changes_of(repository, [entry for _, entry in entries])
    for (revision, _), change in zip(entries, changes, strict=True):
        found[revision].append(class_of_file(change))
    return found


def _by_name(entry: Entry) -> FileClass:
    unknown = "one of too many files to look at" if _is_read(entry) else ""
    change = FileChange(path=entry.path, old_path=entry.old_path, special=entry.special, unknown=unknown)
    return class_of_file(change)


def blobs(repository: Repository, ids: Sequence[str], *, most_bytes: int) -> dict[str, bytes]:
    """The contents of objects by id, without those that are larger or not in this clone.

    Raises:
        SourceError: If git fails.
    """
    sizes = _sizes(repository, ids)
    return _texts(repository, [each for each in ids if sizes.get(each, most_bytes + 1) <= most_bytes])


def readers_in(repository: Repository, revision: str, files: Sequence[FileClass]) -> Readers:
    """Search a revision for what reads the documentation that changed.

    Raises:
        SourceError: If git fails.
    """
    names = names_to_ask(files)
    docstrings: tuple[str, ...] = ()
    if asks_docstrings(files):
        docstrings = tuple(
            path for path, _ in _grep(repository, revision, ["-E", "-l", "-e", DOCSTRING_PATTERN], DOCSTRING_FILES)
        )
    named: dict[str, list[str]] = {}
    if names:
        asked = [each for word in search_words(names) for each in ("-e", word)]
        for path, line in _grep(repository, revision, ["-F", *asked], [f"*{suffix}" for suffix in LANGUAGES]):
            for name in named_in(line, names):
                if path not in named.setdefault(name, []):
                    named[name].append(path)
    return Readers(docstrings, tuple((name, tuple(paths)) for name, paths in named.items()))


def _grep(
    repository: Repository, revision: str, what: Sequence[str], where: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Path and line of every hit."""
    said = repository.run("grep", "-z", "-I", "--full-name", *what, revision, "--", *where, nothing=1)
    text = said.decode("utf-8", "replace")
    if "-l" in what:
        yield from ((path.partition(":")[2], "") for path in text.split("\0") if path)
        return
    for line in text.split("\n"):
        path, nul, found = line.partition("\0")
        if nul:
            yield path.partition(":")[2], found


def _entries(listed: bytes) -> Iterator[Entry]:
    fields = iter(listed.split(b"\0"))
    for field in fields:
        if not field.startswith(b":"):
            continue
        old_mode, new_mode, old_id, new_id, status = field[1:].split(b" ")
        first = next(fields).decode("utf-8", "replace")
        moved = status[:1] in b"RC"
        path = next(fields).decode("utf-8", "replace") if moved else first
        yield Entry(
            old_mode, new_mode, old_id.decode(), new_id.decode(), status.decode(), path, first if moved else None
        )


def _is_read(entry: Entry) -> bool:
    return not entry.special and entry.status != "R100" and needs_texts(entry.path, entry.old_path)


def _sizes(repository: Repository, ids: Sequence[str]) -> dict[str, int]:
    """Bytes of each object; one that is missing (of a partial clone) is left out."""
    if not ids:
        return {}
    said = repository.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin="\n".join(ids).encode())
    rows = (line.split(" ") for line in said.decode().splitlines())
    return {row[0]: int(row[1]) for row in rows if row[1].isdigit()}


def _with_texts(repository: Repository, entries: Sequence[Entry], sizes: dict[str, int]) -> Iterator[FileChange]:
    ids = {each for entry in entries if _is_read(entry) for each in (entry.old_id, entry.new_id)}
    texts = _texts(repository, sorted(each for each in ids if sizes.get(each, MAX_BYTES + 1) <= MAX_BYTES))
    for entry in entries:
        unknown, old, new = "", None, None
        if _is_read(entry):
            old, new = texts.get(entry.old_id), texts.get(entry.new_id)
            if old is None and entry.status != "A":
                unknown = _unread(entry.old_id, sizes)
            if new is None and entry.status != "D":
                unknown = _unread(entry.new_id, sizes)
        yield FileChange(
            path=entry.path,
            old_path=entry.old_path,
            old=old,
            new=new,
            special=entry.special,
            unknown=unknown,
            same=entry.status == "R100",
        )


def _unread(name: str, sizes: dict[str, int]) -> str:
    return "too large to compare" if name in sizes else "its content is not in this clone"


def _texts(repository: Repository, ids: Sequence[str]) -> dict[str, bytes]:
    if not ids:
        return {}
    said = repository.run("cat-file", "--batch", stdin="\n".join(ids).encode())
    found: dict[str, bytes] = {}
    at = 0
    while at < len(said):
        end = said.index(b"\n", at)
        name, _, size = said[at:end].decode().split(" ")
        begin = end + 1
        found[name] = said[begin : begin + int(size)]
        at = begin + int(size) + 1
    return found
