"""FOCUS decoding: exact money, every version's columns, and bad rows named."""

import csv
import random
import re
from datetime import datetime
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Batch, Frame
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode import focus, focus_sheets
from weaver_forge.settings import test_data as outside_data

RECEIVED = datetime(2026, 6, 2)
BASE = {
    "BilledCost": "1.5",
    "EffectiveCost": "1.25",
    "ChargePeriodStart": "2026-05-03T00:00:00Z",
    "ChargePeriodEnd": "2026-05-03T01:00:00Z",
    "ServiceName": "Compute, large",
    "BillingCurrency": "EUR",
    "BillingPeriodStart": "2026-05-01T00:00:00Z",
}


def sheet(*rows: dict[str, str], drop: tuple[str, ...] = ()) -> bytes:
    names = [name for name in dict.fromkeys([*BASE, *(n for row in rows for n in row)]) if name not in drop]
    out = StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(BASE | row for row in rows)
    return out.getvalue().encode()


def decoded(data: bytes, name: str = "costs.csv") -> Batch:
    return focus.decode([Frame(name, data)], received_at=RECEIVED)


def table(batch: Batch) -> pl.DataFrame:
    return batch.tables[RAW_FOCUS_CHARGES.name]


def test_a_row_has_the_contracts_columns_and_types() -> None:
    batch = decoded(sheet({"Tags": '{"a":"b"}', "ListCost": "NULL", "ProviderName": "AWS"}))

    row = table(batch).row(0, named=True)
    assert batch.rejected == ()
    assert table(batch).columns == list(RAW_FOCUS_CHARGES.column_names)
    assert row["billed_cost"] == Decimal("1.5")
    assert row["list_cost"] is None
    assert row["billing_period_start"] == datetime(2026, 5, 1)
    assert row["service_name"] == "Compute, large"
    assert (row["export"], row["row_number"], row["focus_version"]) == ("AWS//costs", 0, "1.0")
    assert table(batch).schema["effective_cost"] == pl.Decimal(38, 15)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0.00000080000", "-0.0000008"),
        ("8E-7", "0.0000008"),
        ("-1.25e+3", "-1250"),
        ("0.100000000000001", "0.100000000000001"),
        ("12345678901234567890123.123456789012345", "12345678901234567890123.123456789012345"),
        ("0.12345678901234500000", "0.123456789012345"),
        ("9007199254740993.01", "9007199254740993.01"),
        (".5", "0.5"),
        ("+3", "3"),
    ],
)
def test_money_is_exact(text: str, value: str) -> None:
    """Values that a float cannot hold come out digit for digit."""
    batch = decoded(sheet({"BilledCost": text}))

    assert batch.rejected == ()
    assert table(batch)["billed_cost"][0] == Decimal(value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BilledCost": "0.1234567890123456"}, "15 decimal places"),
        ({"BilledCost": "1e-16"}, "15 decimal places"),
        ({"BilledCost": "1e25"}, "23 before them"),
        ({"BilledCost": "1,000.00"}, "not a number"),
        ({"BilledCost": "$3"}, "not a number"),
        ({"BilledCost": "nan"}, "not a number"),
        ({"BilledCost": "Infinity"}, "not a number"),
        ({"EffectiveCost": ""}, "EffectiveCost is empty"),
        ({"BillingCurrency": "NULL"}, "BillingCurrency is empty"),
        ({"ChargePeriodEnd": "soon"}, "not a time"),
        ({"ListCost": "x"}, "ListCost"),
    ],
)
def test_a_bad_row_is_refused_and_the_others_are_kept(changes: dict[str, str], reason: str) -> None:
    batch = decoded(sheet({"ListCost": "1"}, changes, {"ListCost": "1"}))

    assert table(batch)["row_number"].to_list() == [0, 2]
    assert [(r.name, r.position) for r in batch.rejected] == [("costs.csv", "row 2")]
    assert reason in batch.rejected[0].reason


def test_rows_of_the_wrong_length_are_refused_by_number() -> None:
    """A row cut off by a full disk does not become a row with empty cells; numbers of the others stay."""
    lines = sheet({}, {}, {}, {}).split(b"\r\n")
    lines[2] = b"1,2"
    lines[4] = lines[4][:20]

    batch = decoded(b"\r\n".join(lines[:5]))

    assert table(batch)["row_number"].to_list() == [0, 2]
    assert [r.position for r in batch.rejected] == ["row 2", "row 4"]


def test_text_that_is_not_utf8_costs_its_row() -> None:
    batch = decoded(sheet({}, {"ServiceName": "OTHER"}).replace(b"OTHER", b"\xff\xfe"))

    assert table(batch)["row_number"].to_list() == [0]
    assert [(r.position, r.reason) for r in batch.rejected] == [("row 2", "ServiceName is not UTF-8")]


@pytest.mark.parametrize(
    "missing", ["BilledCost", "EffectiveCost", "ChargePeriodStart", "ServiceName", "BillingCurrency"]
)
def test_a_missing_mandatory_column_refuses_the_file_by_name(missing: str) -> None:
    batch = decoded(sheet({"PricingCurrency": "EUR"}, drop=(missing,)))

    assert batch.tables == {}
    assert missing in batch.rejected[0].reason
    assert "FOCUS 1.2" in batch.rejected[0].reason


def test_an_absent_billing_period_is_the_month_of_the_charge() -> None:
    batch = decoded(sheet({}, drop=("BillingPeriodStart",)))

    assert table(batch)["billing_period_start"].to_list() == [datetime(2026, 5, 1)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-03 00:30:00", datetime(2026, 5, 3, 0, 30)),
        ("2026-05-03T00:30:00.250Z", datetime(2026, 5, 3, 0, 30, 0, 250000)),
        ("2026-05-03T02:30:00+02:00", datetime(2026, 5, 3, 0, 30)),
        ("2026-05-03 00:30:00 UTC", datetime(2026, 5, 3, 0, 30)),
        ("2026-05-03", datetime(2026, 5, 3)),
    ],
)
def test_times_become_utc(text: str, instant: datetime) -> None:
    assert table(decoded(sheet({"ChargePeriodStart": text})))["charge_period_start"][0] == instant


@pytest.mark.parametrize(
    ("columns", "version", "provider"),
    [
        ({}, "1.0", "unknown"),
        ({"ProviderName": "P"}, "1.0", "P"),
        ({"ProviderName": "P", "SkuMeter": "m"}, "1.1", "P"),
        ({"ProviderName": "P", "SkuMeter": "m", "InvoiceId": "i"}, "1.2", "P"),
        ({"ProviderName": "P", "ServiceProviderName": "S", "HostProviderName": "H"}, "1.3", "S"),
        ({"ProviderName": "P", "ServiceProviderName": "NULL", "HostProviderName": "H"}, "1.3", "P"),
        ({"ServiceProviderName": "S", "HostProviderName": "H"}, "1.4", "S"),
    ],
)
def test_the_version_is_read_from_the_header(columns: dict[str, str], version: str, provider: str) -> None:
    row = table(decoded(sheet(columns))).row(0, named=True)

    assert (row["focus_version"], row["provider_name"]) == (version, provider)


@pytest.mark.parametrize(
    ("path", "export"),
    [
        ("in/costs-2024-09-01.csv.gz", "costs"),
        ("costs_202409.parquet", "costs"),
        ("2024-09_aws-focus.csv", "aws-focus"),
        ("focus-20240901-20240930-part-00001.snappy.parquet", "focus-part-00001"),
        ("export.2024-09-01T10-20-30Z.csv", "export"),
        ("focus_1_2_cost_and_usage_aws.csv", "focus_1_2_cost_and_usage_aws"),
        ("2024-09.csv", "focus"),
    ],
)
def test_an_export_is_its_name_without_dates_and_extensions(path: str, export: str) -> None:
    assert focus.export_name(path) == export


def test_parquet_gives_the_rows_of_csv() -> None:
    """Decimal columns, zoned times and map tags of a Parquet export read as the CSV says them."""
    rows = [{"BilledCost": "0.00000080000", "Tags": '{"a": "b"}'}, {"BilledCost": "NULL", "Tags": ""}]
    expected = decoded(sheet(*rows))
    typed = pl.DataFrame(
        {
            **{name: [value] * 2 for name, value in BASE.items() if "Cost" not in name},
            "BilledCost": pl.Series([Decimal("0.0000008"), None], dtype=pl.Decimal(20, 10)),
            "EffectiveCost": [1.25, 1.25],
            "Tags": [[{"key": "a", "value": "b"}], None],
        }
    ).with_columns(
        pl.col("ChargePeriodStart").str.to_datetime(time_zone="UTC", time_unit="ns"),
        pl.col("ChargePeriodEnd", "BillingPeriodStart").str.to_datetime(time_unit="ms", time_zone="UTC"),
    )
    out = BytesIO()
    typed.write_parquet(out)

    batch = decoded(out.getvalue())

    assert table(batch).equals(table(expected))
    assert [r.reason for r in batch.rejected] == [r.reason for r in expected.rejected] == ["BilledCost is empty"]
    assert "EffectiveCost are stored as binary floats" in batch.notes[0]


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"\xff\xfe", b"PAR1 no", b"a,b\n1,2\n", b"\n"])
def test_what_is_no_export_is_refused_as_a_file(data: bytes) -> None:
    batch = decoded(data)

    assert batch.tables == {}
    assert [r.position for r in batch.rejected] == ["file"]


def test_a_header_alone_is_an_export_without_charges() -> None:
    batch = decoded(sheet())

    assert (table(batch).height, batch.rejected) == (0, ())


def test_many_blocks_keep_row_numbers() -> None:
    """Row numbers stay right past the reader's block size, refused rows included."""
    header, row, _ = sheet({"ChargeDescription": "d" * 3000}).split(b"\r\n")
    lines = [row] * 7000
    lines[6500] = b"short"

    batch = decoded(b"\n".join([header, *lines]))

    numbers = table(batch)["row_number"]
    assert [r.position for r in batch.rejected] == ["row 6501"]
    assert (numbers.len(), numbers.max(), 6500 in numbers.to_list()) == (6999, 6999, False)


def independent_sums(data: bytes) -> dict[str, Decimal]:
    rows = list(csv.DictReader(StringIO(data.decode("utf-8-sig"))))
    return {n: sum((Decimal(row[n]) for row in rows), Decimal(0)) for n in ("BilledCost", "EffectiveCost", "ListCost")}


@pytest.mark.outside
def test_outside_exports_sum_to_the_last_digit() -> None:
    """Against a sum with the csv module and Decimal, which shares no code with the decoder."""
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    paths = [*(root / "cost/focus_sample").rglob("*.csv"), *(root / "fixtures").glob("focus-*/*.csv")]
    for path in paths:
        data = path.read_bytes()

        batch = decoded(data, path.name)

        if "contract_commitment" in path.name:
            assert "the FOCUS dataset ContractCommitment" in batch.rejected[0].reason
            continue
        sums = independent_sums(data)
        found = table(batch)
        assert batch.rejected == ()
        assert [found[c].sum() for c in ("billed_cost", "effective_cost", "list_cost")] == list(sums.values()), path
        assert set(found["focus_version"]) == set(
            re.findall(r"1[_.]\d", str(path.name).replace("_", "."))[:1] or ["1.0"]
        )


@pytest.mark.outside
def test_outside_files_of_other_formats_are_refused_not_misread() -> None:
    root = outside_data()
    if root is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    for path in [root / "cost/aws_cur_sample.csv", *sorted((root / "cost/koku").rglob("*.csv"))]:
        batch = decoded(Path(path).read_bytes(), path.name)

        assert batch.tables == {}
        assert len(batch.rejected) == 1


@pytest.mark.parametrize(
    "path",
    [
        "costreport_a243c6f2-199f-4074-9a2c-40e671cf1584.csv",
        "costreport_11111111-2222-3333-4444-555555555555_2026-05-01.parquet",
    ],
)
def test_an_id_of_the_run_that_wrote_the_file_names_no_export(path: str) -> None:
    assert focus.export_name(path) == "costreport"


def test_an_export_is_of_one_provider_and_account() -> None:
    """Two payers' files of one name are two exports: neither replaces the other's period."""
    rows = [{"ProviderName": "AWS", "BillingAccountId": account} for account in ("1", "2", "")]

    exports = table(decoded(sheet(*rows), "in/costs-2026-05.csv"))["export"].to_list()

    assert exports == ["AWS/1/costs", "AWS/2/costs", "AWS//costs"]


def test_the_host_is_who_published_it_where_an_older_version_says_no_more() -> None:
    old = decoded(sheet({"ProviderName": "P", "PublisherName": "Q"}))
    new = decoded(sheet({"ServiceProviderName": "S", "HostProviderName": "H"}))

    assert [table(batch)["host_provider_name"][0] for batch in (old, new)] == ["Q", "H"]


@pytest.mark.parametrize(
    ("header", "dataset"),
    [
        (b"ContractCommitmentId,ContractCommitmentCost,BillingCurrency\n", "ContractCommitment"),
        (b"InvoiceDetailId,InvoiceId,BilledCost,BillingCurrency\n", "InvoiceDetail"),
        (b"BillingPeriodStart,BillingPeriodEnd,BillingPeriodStatus\n", "BillingPeriod"),
    ],
)
def test_another_dataset_of_focus_is_refused_by_its_name(header: bytes, dataset: str) -> None:
    batch = decoded(header)

    assert batch.tables == {}
    assert f"the FOCUS dataset {dataset}, which nothing here uses" in batch.rejected[0].reason


def test_a_file_in_blocks_is_the_file_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the blocks, the same rows with the same numbers and the same refusals."""
    rows = [{"BilledCost": f"{n}.5" if n % 7 else "x", "ChargeDescription": f"n {n}\nof many"} for n in range(3000)]
    lines = sheet(*rows) + b"short,row\r\n"
    whole = decoded(lines)
    monkeypatch.setattr(focus_sheets, "_BLOCK", 10_000)

    blocks = list(focus.decode_chunks("costs.csv", BytesIO(lines), received_at=RECEIVED))

    assert len(blocks) > 20
    assert pl.concat([table(block) for block in blocks if block.tables]).equals(table(whole))
    assert {piece for block in blocks for piece in block.rejected} == set(whole.rejected)
    assert "row 3001" in {piece.position for piece in whole.rejected}


def test_a_parquet_file_that_breaks_further_in_gives_no_row() -> None:
    out = BytesIO()
    pl.DataFrame({name: [value] * 200_000 for name, value in BASE.items()}).with_columns(
        ResourceId=pl.int_range(200_000).cast(pl.String)
    ).write_parquet(out, row_group_size=20_000, compression="uncompressed")
    damaged = bytearray(out.getvalue())
    middle = len(damaged) // 2
    damaged[middle : middle + 5000] = b"\xff" * 5000

    batch = decoded(bytes(damaged))

    if batch.rejected:  # a flip inside a text is no damage that Parquet could tell
        assert batch.tables == {} or batch.rejected[0].position != "file"


def money(chance: random.Random) -> str:
    return chance.choice(
        ["0.1", "-12.345678901234", "8E-7", "NULL", "", "1e999", "0e-999999", "--1", "1.2.3", "٣", "9" * 40]
    )


def damaged(good: bytes, chance: random.Random) -> bytes:
    """A line as a bad writer leaves it: other bytes, a part gone, another number."""
    text = bytearray(good)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(text))
        kind = chance.randrange(4)
        if kind == 0:
            text[at] = chance.randrange(256)
        elif kind == 1:
            del text[at : at + chance.randint(1, 20)]
        elif kind == 2:
            text[at:at] = chance.choice([b",", b"NULL", b"\x00", b"\xc3", b"1e9"])
        else:
            text = bytearray(text.replace(b"1.5", money(chance).encode()))
        text = text or bytearray(b"x")
    return bytes(text).replace(b"\n", b" ").replace(b"\r", b" ").replace(b'"', b"'")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_rows_change_no_other(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable damage
    header, good, last = sheet(
        {"ProviderName": "P", "ResourceId": "good"}, {"ProviderName": "P", "ResourceId": "last"}
    ).split(b"\r\n")[:3]
    bad = [damaged(good.replace(b"good", b"bad"), chance) for _ in range(10)]

    batch = decoded(b"\n".join([header, good, *bad, last]) + b"\n")

    kept = table(batch).filter(pl.col("row_number").is_in([0, 11]))
    assert kept.select("row_number", "resource_id", "billed_cost").rows() == [
        (0, "good", Decimal("1.5")),
        (11, "last", Decimal("1.5")),
    ]
