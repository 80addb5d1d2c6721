"""Thousands of damaged reports: no crash, no hang, and whatever is intact beside them is read as before."""

import json
import time
from datetime import datetime

import polars as pl
import pytest

from weaver_forge.benchmarks.junit_corpus import junit_corpus
from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.settings import test_data as outside_data
from weaver_forge.testing.damage import damaged

pytestmark = pytest.mark.e2e
TOLD = Told(received_at=datetime(2027, 1, 1))
N_DAMAGED = 6000
MOST_SECONDS = 5.0
_LARGEST = 60_000


def reports() -> list[bytes]:
    """Reports of all formats: made ones, and the collected ones where they are there."""
    tests = [{"name": f"t{n}", "status": "passed", "duration": 1, "retries": n % 3} for n in range(20)]
    event = '{{"Time":"2026-03-01T12:00:00Z","Action":"{}","Package":"p","Test":"T{}"}}\n'
    made = [
        b"".join(junit_corpus(2, 20)),
        json.dumps({"reportFormat": "CTRF", "results": {"tool": {"name": "jest"}, "tests": tests}}).encode(),
        "".join(event.format(action, n) for n in range(20) for action in ("run", "pass")).encode(),
    ]
    root = outside_data()
    folders = ("junit-captured", "junit-enricomi", "junit-dorny", "junit-jenkins", "testrunners-launchable", "ctrf")
    paths = sorted(
        path for folder in folders if root for path in (root / "fixtures" / folder).glob("*") if path.is_file()
    )
    found = [path.read_bytes() for path in paths if path.suffix in {".xml", ".trx", ".json", ".jsonl"}]
    return made + [data for data in found if 0 < len(data) <= _LARGEST]


def rows(*files: bytes) -> pl.DataFrame:
    batch = decode([Frame(str(number), data) for number, data in enumerate(files)], TOLD)
    return batch.tables[RAW_TEST_RESULTS.name]


def test_thousands_of_damaged_reports_neither_crash_nor_hang() -> None:
    """Every seed is one damage, so a failure here names what to look at."""
    files = reports()
    intact = b"".join(junit_corpus(1, 5))
    before = rows(intact)
    slowest = 0.0

    for seed in range(N_DAMAGED):
        data = damaged(files[seed % len(files)], seed)
        begun = time.process_time()
        frame = rows(data, intact)
        slowest = max(slowest, time.process_time() - begun)

        assert frame.schema == schema(RAW_TEST_RESULTS), seed
        assert frame.tail(before.height).equals(before), seed

    assert slowest < MOST_SECONDS


def test_what_ended_before_the_damage_is_read_as_if_there_were_none() -> None:
    """Cases are independent: cutting a report anywhere leaves those before the cut as they were."""
    whole = b"".join(junit_corpus(2, 40))
    expected = rows(whole).drop("report_sha256")

    for cut in range(300, len(whole), 97):
        kept = rows(whole[:cut]).drop("report_sha256")

        assert kept.equals(expected.head(kept.height)), cut
