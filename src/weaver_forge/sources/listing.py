"""Walking a listing page by page, reading only the pages that have changed.

What the things listed are belongs in ``github`` and ``gitlab``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weaver_forge.errors import SourceError
from weaver_forge.sources.fetched import Fetched, Page
from weaver_forge.sources.rest import Rest

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a listing.

    Args:
        address: What to remember it by, once what it lists is on disk.
        page: What to remember.
        items: What it lists; None when that has not changed since it was remembered.
    """

    address: str
    page: Page
    items: list[Json] | None


def pages(rest: Rest, fetched: Fetched, address: str, key: str | None) -> Iterator[Listed]:
    """Yield the pages of a listing, the first at ``address``.

    A page that was remembered is asked for by its name; when it has not changed, the walk goes on to the page that
    followed it then. A page is not remembered here: its reader does that when all it lists is on disk.

    Args:
        rest: The conversation.
        fetched: The memory.
        address: Path and query of the first page.
        key: Where the answer holds the list; None when it is one.
    """
    place: str | None = address
    while place is not None:
        known = fetched.page(place)
        answer = rest.get(place, known.etag if known else "")
        if answer.data is None:
            if known is None:
                raise SourceError("unchanged, says the server, but it was never read", where=place, do="Report it")
            yield Listed(place, known, None)
            place = known.following
        else:
            items = _items(answer.data, key, place)
            total = answer.data.get("total_count") if isinstance(answer.data, dict) else None
            yield Listed(place, Page(answer.etag, answer.following, len(items), total), items)
            place = answer.following


def whole(rest: Rest, address: str, key: str | None) -> list[Json]:
    """All that a listing holds, over all its pages."""
    found: list[Json] = []
    place: str | None = address
    while place is not None:
        answer = rest.get(place)
        found += _items(answer.data, key, place)
        place = answer.following
    return found


def _items(data: Any, key: str | None, place: str) -> list[Json]:
    listed = data if key is None else data.get(key) if isinstance(data, dict) else None
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        what = f"a list under {key!r}" if key else "a list"
        raise SourceError(f"expected {what} of objects, found other JSON", where=place, do="Check the api address")
    return listed
