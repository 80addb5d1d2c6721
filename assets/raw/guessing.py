"""Inputs whose source was not said: which source each most likely belongs to, by what it begins with.

Only what is certain is guessed; what may be of several sources, or of none, is told and not read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from weaver_forge.decode.otlp_framing import CutOff, Damaged, find_framing
from weaver_forge.decode.recognise import HEAD_BYTES, recognise
from weaver_forge.errors import MissingInput
from weaver_forge.sources.files import expand
from weaver_forge.sources.streams import head_blocks


@dataclass(frozen=True, slots=True)
class Guessed:
    """Inputs by source, and what was found instead in those of none.

    Args:
        of: Source -> paths.
        unknown: Path -> what it looks like, in words.
    """

    of: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def guess(paths: Sequence[str], root: Path) -> Guessed:
    """Tell the source of files, of those in folders, and of repositories.

    Hidden files and folders are passed over; a folder with a repository in it is that repository.

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
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not inside:
        raise MissingInput("no file in this folder", where=str(folder), do="Put files there, or name another folder")
    for path in inside:
        if not path.is_dir():
            yield path
        elif any(path.iterdir()):
            yield from _inputs(path)


def _sort(path: Path, found: Guessed) -> None:
    if path.is_dir():
        found.of.setdefault("git", []).append(str(path))
        return
    source, what = _source_of(path)
    if source:
        found.of.setdefault(source, []).append(str(path))
    else:
        found.unknown[str(path)] = what


def _source_of(path: Path) -> tuple[str, str]:
    """The source, or empty and what the file looks like."""
    try:
        return _told(path, _head(path))
    except (CutOff, Damaged):
        return "", "damaged compression"
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"


def _told(path: Path, head: bytes) -> tuple[str, str]:
    if not head.strip():
        return "", "empty"
    likely = recognise(head)
    if likely is not None and likely.source:
        return likely.source, ""
    if likely is None or likely.what == "binary data":
        with path.open("rb") as raw:
            if find_framing(head_blocks(raw)) in {"fixed", "varint", "bare"}:
                return "otlp", ""
    unknown = "JSON of no kind that is known" if head.lstrip()[:1] in {b"{", b"["} else "of no kind that is known"
    return "", likely.what if likely else unknown


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
