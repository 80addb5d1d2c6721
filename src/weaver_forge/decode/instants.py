"""The many ways tools write an instant, read into one: naive UTC.

The timestamp formats are those that real JUnit reports carry. Put a format here, with the producer that
writes it; put the meaning of an instant where its table is decoded.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

_EPOCH = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?)")  # Robot Framework
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{2}:\d{2}:\d{2})")  # MSTest, by locale
_ZONE_WORD = re.compile(r" ?(?:UTC|GMT)$")
_GAP = re.compile(r"T +")
_OFFSET_GAP = re.compile(r" (?=[+-]\d{2}:?\d{2}$)")  # GitLab
_ZONED = re.compile(r"(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$")


@lru_cache(maxsize=4096)
def parse_instant(text: str) -> datetime | None:
    """Read an instant and return it as naive UTC; a time without a zone is taken to be UTC.

    Known: ISO 8601 with ``T`` or a blank, any fraction, ``Z``, an offset, ``UTC`` or nothing; a date alone
    (its midnight); RFC 1123; seconds or milliseconds since 1970; ``20210319 11:34:50.087``; and month/day/year
    or day/month/year where one of the two is above 12. Returns None for anything else, the ambiguous included:
    a wrong instant is worse than none.
    """
    text = text.strip()
    try:
        parsed = _parse(text)
        if parsed is None or parsed.tzinfo is None:
            return parsed
        return parsed.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _parse(text: str) -> datetime | None:
    if _EPOCH.fullmatch(text):
        whole = text.split(".", maxsplit=1)[0]
        seconds = float(text) / (1000 if len(whole) == 13 else 1)
        return datetime(1970, 1, 1) + timedelta(seconds=seconds)  # noqa: DTZ001 - naive UTC is the house rule
    if match := _COMPACT.fullmatch(text):
        return datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]}T{match[4]}")
    if match := _SLASHED.fullmatch(text):
        return _slashed(int(match[1]), int(match[2]), match[3], match[4])
    if text[:3].isalpha():
        return parsedate_to_datetime(text)
    return _iso(text)


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(_OFFSET_GAP.sub("", _ZONE_WORD.sub("Z", _GAP.sub("T", text))))


def _slashed(first: int, second: int, year: str, clock: str) -> datetime | None:
    if first > 12:
        month, day = second, first
    elif second > 12:
        month, day = first, second
    else:
        return None
    return datetime.fromisoformat(f"{year}-{month:02d}-{day:02d}T{clock}")


def has_zone(text: str) -> bool:
    """Say whether an instant names its zone (or is a count since 1970), so that nothing about it is assumed."""
    text = text.strip()
    return bool(_EPOCH.fullmatch(text) or _ZONED.search(text))
