"""Real test histories as decisions: autonomy is refused until the bound is met, and withdrawn after a drift."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assets.verbs import autonomy_benchmark
from weaver_forge import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTSIDE = settings.test_data()


@pytest.mark.outside
@pytest.mark.skipif(OUTSIDE is None, reason="no outside data: set WEAVER_FORGE_TEST_DATA")
def test_a_quiet_history_earns_what_the_next_one_takes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OUTSIDE is not None
    for name in ("coleman-dune", "tcpci-angel"):
        shutil.copytree(OUTSIDE / "tcp" / name, tmp_path / name)
    monkeypatch.setattr(autonomy_benchmark, "UNITS", ("test",))
    found: list[Mapping[str, Any]] = []
    here = settings.Settings(root=tmp_path, python=Path(), decisions={})

    autonomy_benchmark.autonomy_benchmark(here, {"data": str(tmp_path)}, found.append)

    [stream] = found[-1]["data"]["streams"]
    changes = stream["changes"]
    given = next(change for change in changes if change["level"] == "autonomous")
    lost = [change for change in changes if change["before"] == "autonomous"]
    taken = next(change for change in lost if change["set"] == "tcpci-angel")
    assert stream["ledger_is_whole"]
    assert sum(segment["n_acted_unearned"] for segment in stream["segments"]) == 0
    assert (given["set"], given["bound"] >= 0.95, given["n_trials"] >= 88) == ("coleman-dune", True, True)
    assert {change["cause"] for change in lost} <= {"drift", "decay"}
    assert taken["n_trials"] - given["n_trials"] < 160
    assert changes[-1]["level"] != "autonomous"
