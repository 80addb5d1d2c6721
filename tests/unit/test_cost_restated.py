"""Cost exports stored: a period is restated by its own source alone, block by block, exact in every currency."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from assets.raw.restating import Restating
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode import focus_sheets
from weaver_forge.decode.focus import decode_chunks, is_refused
from weaver_forge.errors import SourceError
from weaver_forge.links.cost import core_cost
from weaver_forge.settings import test_data as outside_data
from weaver_forge.sources.sheets import open_sheet
from weaver_forge.warehouse import Warehouse

AT = datetime(2026, 6, 2)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb", tmp_path / "lake")


def export(*rows: tuple[str, str, str, str], period: str = "2026-05-01T00:00:00Z") -> bytes:
    """Rows of account, resource, cost, currency."""
    head = "BillingAccountId,ResourceId,BilledCost,EffectiveCost,BillingCurrency,ProviderName,ServiceName"
    more = "ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart"
    lines = [
        f"{account},{resource},{cost},{cost},{currency},AWS,EC2,{period},{period},{period}"
        for account, resource, cost, currency in rows
    ]
    return "\n".join([f"{head},{more}", *lines, ""]).encode()


def taken_in(warehouse: Warehouse, *files: tuple[str, bytes]) -> pl.DataFrame:
    restating = Restating(warehouse)
    for path, data in files:
        file = warehouse.path.parent / path
        file.write_bytes(data)
        restating.begin()
        with open_sheet(file) as stream:
            for batch in decode_chunks(path, stream, received_at=AT):
                assert not is_refused(batch)
                restating.write(RAW_FOCUS_CHARGES, batch.tables[RAW_FOCUS_CHARGES.name])
    return warehouse.read(RAW_FOCUS_CHARGES)


def costs(charges: pl.DataFrame) -> dict[str, Decimal]:
    return dict(charges.select("resource_id", "billed_cost").iter_rows())


def test_a_daily_export_takes_the_place_of_its_own_earlier_one(warehouse: Warehouse) -> None:
    first = export(("1", "a", "1.10", "EUR"), ("1", "b", "2.20", "EUR"))
    second = export(("1", "a", "1.30", "EUR"))

    charges = taken_in(warehouse, ("costs-2026-05-03.csv", first), ("costs-2026-05-04.csv", second))

    assert costs(charges) == {"a": Decimal("1.3")}


def test_it_takes_the_place_of_no_other_period_account_or_export(warehouse: Warehouse) -> None:
    may, april = export(("1", "may", "1", "EUR")), export(("1", "april", "2", "EUR"), period="2026-04-01T00:00:00Z")
    other_account, other_name = export(("2", "payer 2", "3", "EUR")), export(("1", "part 2", "4", "EUR"))

    charges = taken_in(
        warehouse,
        ("costs-2026-05-01.csv", may),
        ("costs-2026-04-30.csv", april),
        ("costs-2026-05-02.csv", other_account),
        ("costs-00002.csv", other_name),
        ("costs-2026-05-09.csv", export(("1", "may again", "5", "EUR"))),
    )

    assert sorted(costs(charges)) == ["april", "may again", "part 2", "payer 2"]


def test_a_large_export_comes_in_blocks_and_restates_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(focus_sheets, "_BLOCK", 4096)
    old = export(*[("1", f"old {n}", "1", "EUR") for n in range(50)])
    new = export(*[("1", f"new {n}", "0.000000000000001", "EUR") for n in range(500)])

    charges = taken_in(warehouse, ("costs-2026-05-01.csv", old), ("costs-2026-05-02.csv", new))

    assert charges.height == 500
    assert charges["billed_cost"].sum() == Decimal("0.000000000000500")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
def test_compression_is_undone_by_magic_number(warehouse: Warehouse, pack: Any) -> None:
    data = export(("1", "a", "1.5", "EUR"))

    assert costs(taken_in(warehouse, ("costs.csv", pack(data)))) == {"a": Decimal("1.5")}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_cut_off_file_is_an_error_and_no_short_export(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "costs.csv.gz"
    packed = pack(export(*[("1", f"r{n * n}", f"{n}.25", "EUR") for n in range(5000)]))
    path.write_bytes(packed[: len(packed) // 2])

    with pytest.raises(SourceError, match=r"costs\.csv\.gz"), open_sheet(path) as stream:
        list(decode_chunks(str(path), stream, received_at=AT))


def test_currencies_stand_beside_each_other_and_are_never_one_sum(warehouse: Warehouse) -> None:
    data = export(("1", "a", "1.5", "EUR"), ("1", "b", "2.5", "USD"), ("1", "c", "100", "JPY"))

    core = core_cost(taken_in(warehouse, ("costs.csv", data)))

    sums = dict(core.group_by("billing_currency").agg(pl.col("billed_cost").sum()).iter_rows())
    assert sums == {"EUR": Decimal("1.5"), "USD": Decimal("2.5"), "JPY": Decimal(100)}


def test_no_sum_of_money_anywhere_leaves_its_currency_out() -> None:
    """Every module that adds costs up names the currency it does that by."""
    root = Path(__file__).parents[2]
    summing = {
        path: text
        for folder in ("src/weaver_forge", "models", "assets")
        for path in (root / folder).rglob("*.py")
        if "_cost" in (text := path.read_text(encoding="utf-8")) and (".sum(" in text or "sum(" in text)
    }

    without = [path.name for path, text in summing.items() if "billed_cost" in text and "currency" not in text]
    assert without == []


@pytest.mark.outside
def test_the_official_sample_stored_sums_to_the_cent_by_currency(warehouse: Warehouse) -> None:
    """Against the csv module and Decimal, which share no code with the reader."""
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    paths = [*(root / "fixtures").glob("focus-1.0-sample/*.csv"), *(root / "fixtures").glob("focus-synth/*usage*.csv")]
    expected: defaultdict[str, Decimal] = defaultdict(Decimal)
    for path in paths:
        for row in _independent(path):
            expected[row["BillingCurrency"]] += Decimal(row["BilledCost"])

    for _ in range(2):
        charges = taken_in(warehouse, *((path.name, path.read_bytes()) for path in paths))

    assert dict(charges.group_by("billing_currency").agg(pl.col("billed_cost").sum()).iter_rows()) == expected


def _independent(path: Path) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(StringIO(path.read_text(encoding="utf-8-sig")))
