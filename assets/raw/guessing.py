"""Inputs whose source was not said: which source each most likely belongs to, by what it begins with.

Only what is certain is guessed; what may be of several sources, or of none, is told and not read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from weaver_forge.decode.focus_columns import COLUMNS, DEMANDED, FileRefused, focus_name, refuse_unfit
from weaver_forge.decode.otlp_framing import CutOff, Damaged, find_framing
from weaver_forge.decode.recognise import FLAGS, HEAD_BYTES, recognise
from weaver_forge.errors import MissingInput
from weaver_forge.sources.files import expand
from weaver_forge.sources.streams import head_blocks

_COVERAGE = ".coverage"
"""What coverage.py calls its data file where nothing else is said."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Unread:
    """A file of no source.

    Args:
        file: Its path.
        reason: What it looks like or lacks, in words.
        flag: Which flag of ``ingest`` may read it; empty where none is known to.
    """

    file: str
    reason: str
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Guessed:
    """Inputs by source, and those of none.

    Args:
        of: Source -> paths.
        unread: In the order in which they were found.
    """

    of: dict[str, list[str]] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)


def guess(paths: Sequence[str], root: Path) -> Guessed:
    """Tell the source of files, of those in folders, and of repositories.

    Hidden files and folders are passed over, but for coverage.py's ``.coverage``; a folder with a repository in it
    is that repository.

    Args:
        paths: Files, folders or patterns.
        root: Where relative ones start.

    Raises:
        MissingInput: If one matches nothing.
    """
    found = Guessed()
    for pattern in paths:
        place = root / Path(pattern)
        for path in _inputs(place) if place.is_dir() else expand([pattern], root):
            _sort(path, found)
    return found


def _inputs(folder: Path) -> Iterator[Path]:
    """Repositories and files in a folder, in the order of their names."""
    if (folder / ".git").exists():
        yield folder
        return
    inside = sorted(path for path in folder.iterdir() if _is_looked_at(path))
    if not inside:
        raise MissingInput("no file in this folder", where=str(folder), do="Put files there, or name another folder")
    for path in inside:
        if not path.is_dir():
            yield path
        elif any(path.iterdir()):
            yield from _inputs(path)


def _is_looked_at(path: Path) -> bool:
    return not path.name.startswith(".") or (path.name == _COVERAGE and path.is_file())


def _sort(path: Path, found: Guessed) -> None:
    if path.is_dir():
        found.of.setdefault("git", []).append(str(path))
        return
    source, unread = _source_of(path)
    if source:
        found.of.setdefault(source, []).append(str(path))
    else:
        found.unread.append(unread)


def _source_of(path: Path) -> tuple[str, Unread]:
    """The source, or empty and why none."""
    try:
        source, reason, flag = _told(path, _head(path))
    except (CutOff, Damaged):
        source, reason, flag = "", "damaged compression", ""
    except OSError as error:
        source, reason, flag = "", f"cannot be read: {error.strerror}", ""
    return source, Unread(str(path), reason, flag)


def _told(path: Path, head: bytes) -> tuple[str, str, str]:
    """Source, reason and flag: a source, or the others."""
    if not head.strip():
        return "", "empty", ""
    likely = recognise(head)
    if likely is not None and likely.source:
        return likely.source, "", ""
    if likely is None or likely.what == "binary data":
        with path.open("rb") as raw:
            if find_framing(head_blocks(raw)) in {"fixed", "varint", "bare"}:
                return "otlp", "", ""
    if likely is None:
        return "", f"{'JSON ' if head.lstrip()[:1] in {b'{', b'['} else ''}of no kind that is known", ""
    if likely.what == "CSV":
        return "", _no_focus(head), ""
    return "", likely.what, " ".join(FLAGS[name] for name in likely.perhaps)


def _no_focus(head: bytes) -> str:
    """Why a table is no export of costs, by its header."""
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].decode(errors="replace")
    header = [focus_name(name.strip('"')) for name in line.strip().split(",")]
    try:
        refuse_unfit(header)
    except FileRefused as refusal:
        if str(refusal).startswith("the FOCUS dataset"):
            return str(refusal)
    lacks = [COLUMNS[column][0] for column in DEMANDED if COLUMNS[column][0] not in header]
    if len(lacks) == len(DEMANDED):
        lacks = lacks[:1]
    more = f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else ""
    return f"a table without {', '.join(lacks[:_NAMED])}{more}: no FOCUS export"


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked; of one whose compression ends early what there is."""
    pieces: list[bytes] = []
    with path.open("rb") as raw:
        try:
            for block in islice(head_blocks(raw), HEAD_BYTES):
                pieces.append(block)
                if sum(map(len, pieces)) >= HEAD_BYTES:
                    break
        except CutOff:
            if not pieces:
                raise
    return b"".join(pieces)[:HEAD_BYTES]
