"""Messages on their way to a worker process: where in the file their bytes are, so that these need not be sent.

Pickling, piping and unpickling half a gigabyte costs a third of decoding it; a worker reads it again from the
system's cache. What is sent of each message are its ends: a file that was replaced or rewritten meanwhile has others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weaver_forge.decode.otlp_framing import Encoding, Message, Signal
from weaver_forge.sources.prefix import is_compressed

_END_BYTES = 16
_MOST_BETWEEN = 2
"""A region is read in one go; it may be so many times as large as its messages."""


class Moved(Exception):  # noqa: N818 - named by what happened to the bytes
    """The bytes are not where they were: whoever still has them decodes them itself."""


@dataclass(frozen=True, slots=True)
class _Place:
    position: str
    start: int
    size: int
    ends: bytes
    encoding: Encoding
    offset: int
    signal: Signal


@dataclass(frozen=True, slots=True)
class Located:
    """Messages of a file, without their bytes; may be sent between processes."""

    path: Path
    start: int
    size: int
    places: tuple[_Place, ...]


def locate(name: str, messages: Sequence[Message]) -> Located | None:
    """Where messages are in their file; None where they cannot simply be cut out of it."""
    path = Path(name)
    if any(m.start is None for m in messages) or is_compressed(path):
        return None
    places = tuple(
        _Place(m.position, m.start or 0, len(m.data), _ends(m.data), m.encoding, m.offset, m.signal) for m in messages
    )
    first, last = places[0].start, places[-1].start + places[-1].size
    if last - first > _MOST_BETWEEN * sum(place.size for place in places):
        return None
    return Located(path, first, last - first, places)


def fetch(located: Located) -> list[Message]:
    """Read the messages.

    Raises:
        Moved: If they are not there any more.
    """
    try:
        with located.path.open("rb", buffering=0) as file:
            file.seek(located.start)
            region = file.read(located.size)
    except OSError as error:
        raise Moved(str(error)) from error
    messages = []
    for place in located.places:
        at = place.start - located.start
        data = region[at : at + place.size]
        if len(data) != place.size or _ends(data) != place.ends:
            raise Moved(place.position)
        messages.append(Message(place.position, data, place.encoding, place.offset, place.signal, place.start))
    return messages


def _ends(data: bytes) -> bytes:
    return data[:_END_BYTES] + data[-_END_BYTES:]
