"""Freeze windows: ranges, recurring hours, clock changes, environments and exceptions."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.policy.document import Freeze, Weekday
from weaver_forge.policy.windows import in_force, zone

BERLIN = "Europe/Berlin"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _holds(window: Freeze, now: str, environment: str | None = "", tags: tuple[str, ...] = ()) -> bool:
    return in_force(window, _at(now), environment, tags)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-12-23T16:59:59", False),
        ("2026-12-23T17:00", True),
        ("2027-01-01T22:59:59", True),
        ("2027-01-01T23:00", False),
    ],
)
def test_a_range_is_read_on_its_own_wall_clock(now: str, expected: bool) -> None:
    """18:00 in Berlin is 17:00 UTC in winter; the end is the first instant outside."""
    window = Freeze(reason="end of year", from_=_at("2026-12-23T18:00"), until=_at("2027-01-02"), time_zone=BERLIN)

    assert _holds(window, now) is expected


def test_an_offset_of_its_own_wins_over_the_zone() -> None:
    window = Freeze(reason="r", from_=_at("2026-06-01T12:00+00:00"), time_zone=BERLIN)

    assert not _holds(window, "2026-06-01T11:59")
    assert _holds(window, "2026-06-01T12:00")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # 16:00 in Berlin is 14:00 UTC in summer and 15:00 in winter.
        ("2026-07-03T13:59", False),
        ("2026-07-03T14:00", True),
        ("2026-12-04T14:59", False),
        ("2026-12-04T15:00", True),
        ("2026-12-05T06:59", True),  # Saturday 07:59: still Friday's night
        ("2026-12-05T07:00", False),
        ("2026-12-05T15:00", False),  # Saturday evening begins no window of its own
        ("2026-12-04T06:00", False),  # Friday morning belongs to Thursday, which is not named
    ],
)
def test_hours_past_midnight_belong_to_the_day_they_begin_on(now: str, expected: bool) -> None:
    window = Freeze(reason="weekend", days=(Weekday.FRI,), hours="16:00-08:00", time_zone=BERLIN)

    assert _holds(window, now) is expected


def test_days_alone_are_whole_days_of_the_wall_clock() -> None:
    window = Freeze(reason="weekend", days=(Weekday.SAT, Weekday.SUN), time_zone="America/New_York")

    assert not _holds(window, "2026-03-07T04:59")  # Friday 23:59 in New York
    assert _holds(window, "2026-03-07T05:00")
    assert _holds(window, "2026-03-09T03:59")  # Sunday 23:59, daylight saving since that morning
    assert not _holds(window, "2026-03-09T04:00")


def test_hours_to_midnight_end_with_the_day() -> None:
    window = Freeze(reason="evening", hours="20:00-24:00")

    assert _holds(window, "2026-03-01T23:59:59")
    assert not _holds(window, "2026-03-02T00:00")


def test_a_range_and_hours_hold_together_only() -> None:
    window = Freeze(reason="r", from_=_at("2026-03-02"), until=_at("2026-03-04"), hours="09:00-10:00")

    assert _holds(window, "2026-03-03T09:30")
    assert not _holds(window, "2026-03-03T10:30")
    assert not _holds(window, "2026-03-05T09:30")


def test_an_instant_that_a_clock_change_doubles_or_skips_freezes_longer() -> None:
    """02:30 happens twice on 25 October and not at all on 29 March 2026 in Berlin."""
    doubled = Freeze(reason="r", from_=_at("2026-10-25T02:30"), time_zone=BERLIN)
    until_doubled = Freeze(reason="r", until=_at("2026-10-25T02:30"), time_zone=BERLIN)
    skipped = Freeze(reason="r", from_=_at("2026-03-29T02:30"), time_zone=BERLIN)

    assert _holds(doubled, "2026-10-25T00:30")
    assert _holds(until_doubled, "2026-10-25T01:29")
    assert not _holds(until_doubled, "2026-10-25T01:30")
    assert _holds(skipped, "2026-03-29T00:30")
    assert not _holds(skipped, "2026-03-29T00:29")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("production", True), ("PRODUCTION-eu", True), ("staging", False), ("", False), (None, True)],
)
def test_a_window_of_an_environment_holds_there_and_where_it_is_not_known(
    environment: str | None, expected: bool
) -> None:
    window = Freeze(reason="r", days=tuple(Weekday), environments=("production*",))

    assert _holds(window, "2026-03-01T12:00", environment) is expected


def test_an_excepted_tag_lifts_the_window() -> None:
    window = Freeze(reason="r", days=tuple(Weekday), except_=("hotfix", "rollback"))

    assert _holds(window, "2026-03-01T12:00", tags=("feature",))
    assert not _holds(window, "2026-03-01T12:00", tags=("feature", "hotfix"))


@pytest.mark.parametrize("name", ["Europe/Berlyn", "", "../etc/passwd", "Europe", "\0"])
def test_what_is_no_time_zone_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone(name)


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    minutes=st.integers(1, 100_000),
    name=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_a_range_has_no_hole_whatever_the_clocks_do(start: datetime, minutes: int, name: str) -> None:
    """Between its ends a window holds at every instant, across changes of the clock."""
    start = start.replace(second=0, microsecond=0)
    window = Freeze(reason="r", from_=start, until=start + timedelta(minutes=minutes), time_zone=name)
    hours = [start + timedelta(hours=h) for h in range(-30, minutes // 60 + 30)]

    held = [in_force(window, now, "", ()) for now in hours]

    assert "".join(map(str, map(int, held))).strip("0").count("0") == 0
