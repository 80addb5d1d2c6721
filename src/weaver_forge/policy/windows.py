"""Freeze windows: whether one holds at an instant. Pure; the wall clocks are the time zone database's.

Put here what a calendar means. An instant that a clock change makes ambiguous or skips is read so that the window is
the wider one; recurring hours are compared on the wall clock, so that 16:00 is 16:00 in summer and winter.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from msgspec import UNSET

from weaver_forge.policy.document import Freeze, Weekday

_DAYS = tuple(Weekday)


def zone(name: str) -> ZoneInfo:
    """The time zone of this name.

    Raises:
        ValueError: If there is none of that name here.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # a folder of the database and a name with dots are errors too
        raise ValueError(f"{name!r} is no time zone") from error


def in_force(window: Freeze, now: datetime, environment: str | None, tags: Sequence[str]) -> bool:
    """Whether the window holds for a question.

    Args:
        window: The window.
        now: Naive UTC.
        environment: Where the subject goes; None, not known, counts as any.
        tags: What the subject is; one that the window excepts lifts it.
    """
    if set(tags) & set(window.except_):
        return False
    return _reaches(window, environment) and _spans(window, now) and _recurs(window, now)


def is_empty(window: Freeze) -> bool:
    """Whether a window with both ends never begins."""
    assert window.from_ is not UNSET
    assert window.until is not UNSET
    return _instant(window.until, window, latest=True) <= _instant(window.from_, window, latest=False)


def _reaches(window: Freeze, environment: str | None) -> bool:
    if not window.environments or environment is None:
        return True
    return any(fnmatchcase(environment.lower(), pattern.lower()) for pattern in window.environments)


def _spans(window: Freeze, now: datetime) -> bool:
    begun = window.from_ is UNSET or now >= _instant(window.from_, window, latest=False)
    over = window.until is not UNSET and now >= _instant(window.until, window, latest=True)
    return begun and not over


def _instant(written: datetime, window: Freeze, *, latest: bool) -> datetime:
    """A written instant as naive UTC; where a clock change leaves two readings, the one that freezes longer."""
    if written.tzinfo is not None:
        return written.astimezone(UTC).replace(tzinfo=None)
    local = written.replace(tzinfo=zone(window.time_zone))
    readings = [local.replace(fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)]
    return max(readings) if latest else min(readings)


def _recurs(window: Freeze, now: datetime) -> bool:
    if not window.days and window.hours is UNSET:
        return True
    local = now.replace(tzinfo=UTC).astimezone(zone(window.time_zone))
    days = window.days or _DAYS
    today, yesterday = _DAYS[local.weekday()], _DAYS[(local - timedelta(days=1)).weekday()]
    if window.hours is UNSET:
        return today in days
    begins, ends = (_minutes(text) for text in window.hours.split("-"))
    at = local.hour * 60 + local.minute
    if begins < ends:
        return today in days and begins <= at < ends
    return (today in days and at >= begins) or (yesterday in days and at < ends)


def _minutes(text: str) -> int:
    """Minutes after midnight; 24:00 is the end of the day."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
