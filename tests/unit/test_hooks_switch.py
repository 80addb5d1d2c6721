"""The kill switch: a file that halts, whoever reads it, within a second, and also where it cannot be read."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from weaver_forge.contracts.values import Scope
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.standing import read_halts, read_standings
from weaver_forge.hooks.switch import Watch, bring_in_line, turn

NOW = datetime(2026, 3, 1, 12)


def halt(folder: Path, scope: str = "all", *, is_on: bool = True, now: datetime = NOW) -> list[dict[str, object]]:
    return turn(folder, scope=scope, is_on=is_on, actor="ana", reason="it went mad", now=now)


def test_a_halted_scope_is_halted_until_it_is_resumed(tmp_path: Path) -> None:
    halt(tmp_path, "deployment")
    halted = read_standings(tmp_path)

    halt(tmp_path, "deployment", is_on=False)
    resumed = read_standings(tmp_path)

    assert halted.halted(Scope.DEPLOYMENT) == "it went mad (ana)"
    assert not halted.halted(Scope.OPERATIONS)
    assert not resumed.halted(Scope.DEPLOYMENT)


def test_resuming_all_resumes_every_scope_and_one_scope_does_not_lift_all(tmp_path: Path) -> None:
    halt(tmp_path)
    halt(tmp_path, "operations")
    halt(tmp_path, "deployment", is_on=False)
    still = read_standings(tmp_path).halted(Scope.DEPLOYMENT)

    rows = halt(tmp_path, is_on=False)

    assert still
    assert [row["scope"] for row in rows] == ["all", "operations"]
    assert not read_halts(tmp_path)[0]


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"halted": {}}', '{"halted": [1]}', '{"halted": [{}]}', "\0"])
def test_a_file_that_cannot_be_read_halts_everything_and_says_so(tmp_path: Path, broken: str) -> None:
    (tmp_path / "halted.json").write_text(broken)

    found = read_standings(tmp_path)

    assert all(found.halted(scope) for scope in Scope)
    assert found.notes


def test_a_directory_in_its_place_halts_too(tmp_path: Path) -> None:
    (tmp_path / "halted.json").mkdir()

    with Watch(tmp_path) as watch:
        assert watch.halted(Scope.DEPLOYMENT)
    assert read_standings(tmp_path).halted(Scope.DEPLOYMENT)


def test_turning_a_broken_switch_never_halts_less(tmp_path: Path) -> None:
    (tmp_path / "halted.json").write_text("{")
    with pytest.raises(SourceError, match="everything is halted"):
        halt(tmp_path, "deployment", is_on=False)

    rows = halt(tmp_path, "deployment")

    assert [row["scope"] for row in rows] == ["all"]
    assert read_standings(tmp_path).halted(Scope.OPERATIONS)
    halt(tmp_path, is_on=False)
    assert not read_halts(tmp_path)[0]


def test_an_unknown_scope_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no scope"):
        halt(tmp_path, "everywhere")


def test_the_newer_of_ledger_and_file_holds(tmp_path: Path) -> None:
    halt(tmp_path, "deployment")
    row = {"scope": "deployment", "actor": "b", "reason": "over", "is_on": False}

    bring_in_line(tmp_path, [{**row, "made_at": NOW - timedelta(hours=1)}])
    kept = read_standings(tmp_path).halted(Scope.DEPLOYMENT)
    bring_in_line(tmp_path, [{**row, "made_at": NOW + timedelta(hours=1)}])

    assert kept
    assert not read_standings(tmp_path).halted(Scope.DEPLOYMENT)


def test_a_watch_tells_of_a_change_without_being_asked(tmp_path: Path) -> None:
    told: list[dict[str, str]] = []
    with Watch(tmp_path, lambda halts: told.append(dict(halts)), every_s=0.01):
        halt(tmp_path)
        deadline = time.monotonic() + 5
        while len(told) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)

    assert told == [{}, {"all": "it went mad (ana)"}]


_HOOK = """
import sys, time
from pathlib import Path
from weaver_forge.contracts.values import Scope
from weaver_forge.hooks.switch import Watch

with Watch(Path(sys.argv[1])) as watch:
    while True:
        if not watch.halted(Scope.DEPLOYMENT):
            print(f"act {time.time()}", flush=True)
        time.sleep(0.02)
"""


def test_every_running_hook_stops_acting_within_a_second(tmp_path: Path) -> None:
    """Processes of their own, which act fifty times a second, and the real command in another."""
    forge = [sys.executable, "-m", "weaver_forge", "autonomy"]
    with ExitStack() as running:
        hooks = [running.enter_context(_hook(tmp_path)) for _ in range(3)]
        try:
            begun = [hook.stdout.readline() for hook in hooks if hook.stdout]
            done = subprocess.run(
                [*forge, "halt", "--reason", "test", "--from", str(tmp_path)],
                check=True,
                capture_output=True,
                text=True,
            )
            halted_at = (tmp_path / "halted.json").stat().st_mtime
            time.sleep(1.5)
            alive = [hook.poll() is None for hook in hooks]
        finally:
            for hook in hooks:
                hook.kill()
        acts = [[float(line.split()[1]) for line in hook.stdout] for hook in hooks if hook.stdout]

    assert "HALTED all" in done.stdout
    assert [line.split()[0] for line in begun] == ["act"] * 3
    assert alive == [True] * 3
    assert max(max(times, default=0.0) for times in acts) - halted_at < 1


def _hook(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _HOOK, str(folder)], stdout=subprocess.PIPE, text=True)


def test_what_is_written_is_whole_json_with_its_time(tmp_path: Path) -> None:
    halt(tmp_path)

    document = json.loads((tmp_path / "halted.json").read_text())

    assert document["halted"][0] == {
        "scope": "all", "is_on": True, "actor": "ana", "reason": "it went mad",
        "made_at": "2026-03-01T12:00:00.000000Z",
    }  # fmt: skip
    assert not list(tmp_path.glob("*.part"))
