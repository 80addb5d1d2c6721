"""Cycles of dead objects are searched for seldom while input is taken in, and as ever after it."""

import gc

import pytest

from assets.raw.collecting import THRESHOLDS, seldom


@seldom()
def _breaks() -> None:
    raise RuntimeError(str(gc.get_threshold()))


def test_the_pace_is_as_before_after_an_intake_that_broke() -> None:
    before = gc.get_threshold()

    with pytest.raises(RuntimeError) as broken:
        _breaks()

    assert str(broken.value) == str(THRESHOLDS)
    assert gc.get_threshold() == before
