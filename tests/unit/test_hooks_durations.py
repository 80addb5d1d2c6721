"""What tests take: of the table that is made for it, or, until something has been taken in, of the results."""

from collections.abc import Sequence
from typing import Any

import pytest

from weaver_forge.errors import SourceError
from weaver_forge.hooks.durations import TESTS, VERDICTS, known_durations


class Published:
    """A snapshot of these tables."""

    def __init__(self, **tables: dict[str, float | None]) -> None:
        self._tables = tables

    def tables(self) -> Sequence[str]:
        """Their names."""
        return list(self._tables)

    def rows(self, sql: str, _parameters: Sequence[str]) -> list[dict[str, Any]]:
        """Means of the one table that the query names."""
        (name,) = [name for name in self._tables if f"from {name} " in sql]
        return [{"test_id": test, "duration_ms": ms} for test, ms in self._tables[name].items()]


class Damaged(Published):
    """One whose file cannot be read."""

    def rows(self, _sql: str, _parameters: Sequence[str]) -> list[dict[str, Any]]:
        """Never given."""
        raise SourceError("the file is damaged")


@pytest.mark.parametrize(
    ("tables", "known"),
    [
        ({TESTS: {"a": 2.0}, VERDICTS: {"a": 1.0, "b": 1.0}}, {"a": 2.0}),
        ({TESTS: {}, VERDICTS: {"a": 1.0, "b": None}}, {"a": 1.0, "b": None}),
        ({VERDICTS: {"a": 1.0}}, {"a": 1.0}),
        ({TESTS: {}, VERDICTS: {}}, {}),
        ({}, {}),
    ],
)
def test_durations_come_from_where_there_are_any(tables: dict[str, Any], known: dict[str, Any]) -> None:
    snapshot: Any = Published(**tables)

    assert known_durations(snapshot, "r") == known


def test_without_a_snapshot_that_can_be_read_none_is_known() -> None:
    damaged: Any = Damaged(**{TESTS: {"a": 1.0}})

    assert known_durations(None, "r") == {}
    assert known_durations(damaged, "r") == {}
