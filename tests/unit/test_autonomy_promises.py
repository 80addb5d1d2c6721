"""What takes a level back, in words: the same numbers as the statistics give."""

import pytest

from weaver_forge.autonomy import promises, sequential


@pytest.mark.parametrize("bar", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("length", [1, 3, 10, 57, 100])
def test_the_promise_is_what_the_statistics_keep(bar: float, length: int) -> None:
    assert promises.wrong_to_refute(bar, length) == sequential.wrong_to_refute(bar, length, promises.WORSE_AT)


def test_a_promise_is_said_from_the_shortest_stretch_on() -> None:
    assert promises.promise(0.95) == ("3 wrong in a row", "4 of the last 5", "5 of the last 10")
    assert promises.promise(0.99) == ("2 wrong in a row", "3 of the last 5", "4 of the last 20")
