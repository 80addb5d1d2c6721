"""Writers that come together, are killed, have clocks that differ, or find the ledger locked or full."""

import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.errors import ContractError, SourceError, StoreBusy, StoreFull, UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.appender import Appender
from weaver_forge.ledger.roots import recorded

NOW = datetime(2026, 3, 1, 12)

WRITER = """
import sys, threading
from datetime import datetime, timedelta
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.appender import Appender

url, name, n_rows, skew_h, n_threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
row = dict(decision="d", entity="e", hook="h", verdict="allow", level="assisted", scope="development", applied=False,
           exit_code=0, made_at=datetime(2026, 3, 1))
clock = datetime(2026, 3, 1, 12) + timedelta(hours=skew_h)

def write(append, thread):
    for n in range(n_rows):
        key = f"{name}.{thread}.{n:06d}"
        append("decisions", [{**row, "decision_id": key, "unit": f"{name}.{thread}"}], now=clock + timedelta(minutes=n))
        sys.stdout.write(key + "\\n")
        sys.stdout.flush()

if n_threads == 0:
    with Ledger.open(url) as ledger:
        write(ledger.append, 0)
else:
    with Appender(lambda: Ledger.open(url)) as appender:
        threads = [threading.Thread(target=write, args=(appender.append, t)) for t in range(n_threads)]
        [t.start() for t in threads]
        [t.join() for t in threads]
"""


def start(url: str, name: str, *, n_rows: int, skew_h: float, threads: int) -> subprocess.Popen[str]:
    arguments = [url, name, str(n_rows), str(skew_h), str(threads)]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rest_of(writer: subprocess.Popen[str]) -> list[str]:
    """What a writer says to its end; `communicate` would leave out what came with the first line and is held here."""
    assert writer.stdout is not None
    said = writer.stdout.read().split()
    writer.communicate()
    return said


def decision(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": name, "decision": "d", "entity": "e", "unit": "u", "hook": "h", "verdict": "allow",
        "level": "assisted", "scope": "development", "applied": False, "exit_code": 0, "made_at": NOW, **changes,
    }  # fmt: skip


def ids(ledger: Ledger) -> list[str]:
    rows = ledger.rows("decisions", "order by batch_seq, position", columns=("decision_id",))
    return [row["decision_id"] for row in rows]


def test_eight_writers_of_which_half_are_killed_lose_double_and_reorder_nothing_whatever_their_clocks(
    ledger_url: str,
) -> None:
    """Some append row by row, some in groups; the killed ones are started again and send everything again."""
    rng = random.Random(11)  # noqa: S311 - moments to kill at, no secrets
    skews, killed = (0, -0.001, 36, -60, 24 * 400, 0.5, -0.5, 1), (0, 1, 4, 5)
    writers = [
        start(ledger_url, f"w{n}", n_rows=10**6 if n in killed else 30, skew_h=skew, threads=n % 2 * 4)
        for n, skew in enumerate(skews)
    ]
    said: list[str] = []
    for n in killed:
        out = writers[n].stdout
        assert out is not None
        said.append(out.readline().strip())
        time.sleep(rng.uniform(0, 0.1))
        writers[n].send_signal(signal.SIGKILL)
    for writer in writers:
        said += rest_of(writer)

    again = [start(ledger_url, f"w{n}", n_rows=30, skew_h=skews[n], threads=n % 2 * 4) for n in killed]
    for writer in again:
        said += rest_of(writer)

    assert [w.returncode for w in again] == [0] * 4
    assert [w.returncode for w in writers] == [-9, -9, 0, 0, -9, -9, 0, 0]
    with Ledger.open(ledger_url) as ledger:
        found, kept, covered = ledger.verify(), ids(ledger), recorded(ledger.select)
    assert found.ok, found.broken
    assert set(said) <= set(kept)
    order = defaultdict(list)
    for name in kept:
        caller, _, number = name.rpartition(".")
        order[caller].append(int(number))
    assert len(order) == 20  # four that append by themselves, four with four threads
    assert all(numbers == list(range(len(numbers))) and len(numbers) >= 30 for numbers in order.values())
    assert all(b.first_batch == a.last_batch + 1 for a, b in pairwise(covered))


@pytest.fixture
def url(ledger_url: str) -> str:
    with Ledger.open(ledger_url) as ledger:
        ledger.append("decisions", [decision("first")], now=NOW)
    return ledger_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


def test_a_clock_that_goes_backwards_changes_no_order_and_is_recorded_as_it_was(ledger: Ledger) -> None:
    for n, hours in enumerate((5, -5, 0)):
        ledger.append("decisions", [decision(f"d-{n}")], now=NOW + timedelta(hours=hours))

    rows = ledger.tail("decisions", 3)

    assert [row["decision_id"] for row in rows] == ["d-0", "d-1", "d-2"]
    assert [(row["recorded_at"] - NOW).total_seconds() / 3600 for row in rows] == [5, -5, 0]
    assert ledger.verify().ok


def wait_less(ledger: Ledger) -> None:
    statement = "pragma busy_timeout = 200" if ledger._store.dialect == "sqlite" else "set lock_timeout to 200"
    ledger._store.execute(statement)


def test_a_ledger_that_another_holds_is_busy_after_the_wait_and_takes_the_rows_later(ledger: Ledger, url: str) -> None:
    wait_less(ledger)
    with Ledger.open(url) as holder:
        with holder._store.write(), pytest.raises(StoreBusy):
            ledger.append("decisions", [decision("late")], now=NOW)

        assert ids(ledger) == ["first"]  # reading goes on
    assert ledger.append("decisions", [decision("late")], now=NOW) == 1
    assert ledger.verify().ok


def fill_up(ledger: Ledger) -> None:
    """No room from here on; on the server as it says so itself."""
    if ledger._store.dialect == "sqlite":
        pages = ledger.select("pragma page_count")[0][0]
        ledger.select(f"pragma max_page_count = {pages + 2}")
    else:
        ledger._store.execute(
            "create function full_disk() returns trigger language plpgsql as "
            "$$ begin raise exception 'No space left on device' using errcode = '53100'; end $$"
        )
        ledger._store.execute(
            "create trigger full_disk before insert on chain for each row execute function full_disk()"
        )


def make_room(ledger: Ledger) -> None:
    if ledger._store.dialect == "sqlite":
        ledger.select("pragma max_page_count = 1000000")
    else:
        ledger._store.execute("drop trigger full_disk on chain")


def test_a_full_disk_is_said_and_leaves_no_half_of_a_batch(ledger: Ledger) -> None:
    fill_up(ledger)
    batch = [decision(f"d-{n}", reasons=["x" * 1000]) for n in range(200)]

    with pytest.raises(StoreFull, match="no room"):
        ledger.append("decisions", batch, now=NOW)

    assert ids(ledger) == ["first"]
    make_room(ledger)
    assert ledger.append("decisions", batch, now=NOW) == 200
    assert ledger.verify().ok


SMALL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
from datetime import datetime
from weaver_forge.errors import SourceError
from weaver_forge.ledger import Ledger

row = dict(decision="d", entity="e", unit="u", hook="h", verdict="allow", level="assisted", scope="development",
           applied=False, exit_code=0, made_at=datetime(2026, 3, 1), reasons=["x" * 2000])
with Ledger.open(sys.argv[1]) as ledger:
    for n in range(10000):
        try:
            ledger.append("decisions", [{**row, "decision_id": f"d-{n:05d}"}], now=row["made_at"])
        except SourceError as error:
            print("refused", flush=True)
            sys.exit(7)
        print(f"d-{n:05d}", flush=True)
"""


def test_a_file_that_may_not_grow_keeps_all_it_said_yes_to(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("file sizes are limited here already")
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"

    done = subprocess.run([sys.executable, "-c", SMALL, url, str(600_000)], capture_output=True, text=True, check=False)

    *said, last = done.stdout.split()
    assert (done.returncode, last) == (7, "refused"), done.stderr
    with Ledger.open(url) as ledger:
        assert ids(ledger)[: len(said)] == said
        assert ledger.verify().ok
        assert ledger.append("decisions", [decision("after")], now=NOW) == 1


def test_threads_share_commits_and_each_is_answered_when_its_rows_are_there(url: str) -> None:
    answers: dict[str, int] = {}

    def write(appender: Appender, thread: int) -> None:
        for n in range(20):
            name = f"{thread}.{n:03d}"
            answers[name] = appender.append("decisions", [decision(name)], now=NOW)
            with Ledger.open(url) as reader:
                assert reader.decision(name) is not None

    with Appender(lambda: Ledger.open(url), gather_s=0.05) as appender:
        threads = [threading.Thread(target=write, args=(appender, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with Ledger.open(url) as ledger:
        found = ledger.verify()
        assert (found.ok, found.n_rows) == (True, 161)
        assert found.n_batches < 120
        assert sorted(answers) == sorted(ids(ledger)[1:])
    assert set(answers.values()) == {1}


def test_rows_of_one_caller_that_are_refused_cost_the_others_nothing(url: str) -> None:
    policy = {"policy_sha256": "abc", "text": "v: 1", "first_used_at": NOW}
    with Appender(lambda: Ledger.open(url), gather_s=0.5) as appender:
        good = appender.submit("decisions", [decision("a"), decision("b")], now=NOW)
        wrong = appender.submit("decisions", [decision("c"), decision("first", verdict="deny")], now=NOW)
        known = appender.submit("decisions", [decision("first"), decision("a")], now=NOW)
        other = appender.submit("policies", [policy, policy], now=NOW)
        last = appender.submit("decisions", [decision("d")], now=NOW)
        with pytest.raises(ContractError, match="missing"):
            appender.submit("decisions", [decision("e", verdict=None)], now=NOW)

        assert [future.result() for future in (good, known, other, last)] == [2, 0, 1, 1]
        with pytest.raises(ContractError, match="says otherwise"):
            wrong.result()

    with pytest.raises(UsageError, match="closed"):
        appender.submit("decisions", [decision("f")], now=NOW)
    with Ledger.open(url) as ledger:
        assert ids(ledger) == ["first", "a", "b", "d"]
        assert ledger.verify().ok


def test_callers_are_told_when_the_ledger_is_lost_and_the_next_ones_find_it_again(url: str) -> None:
    opened: list[Ledger] = []

    def opens() -> Ledger:
        opened.append(Ledger.open(url))
        if len(opened) == 1:
            opened[0]._store.close()
            raise SourceError("the server went away")
        return opened[-1]

    with Appender(opens) as appender:
        with pytest.raises(SourceError, match="went away"):
            appender.append("decisions", [decision("a")], now=NOW)

        assert appender.append("decisions", [decision("a")], now=NOW) == 1
