"""Rows whose maps come numbered are stored as the same rows spelled out."""

from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from weaver_forge.benchmarks.ingest_corpus import requests
from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode.otlp import decode_coded
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.errors import ContractError
from weaver_forge.warehouse.conform import conform
from weaver_forge.warehouse.lake import Lake

MAPS = ["attributes", "resource_attributes"]


@pytest.fixture(scope="module")
def rows() -> Coded:
    bodies = requests(300, spans_per_request=100)
    (coded,), rejected = decode_coded([Message("byte 0", body, "protobuf") for body in bodies], "spans.otlp")
    assert not rejected
    return coded


def lake_at(path: Path) -> Lake:
    return Lake(path, RAW_OTLP_SPANS, "start_unix_ns", mark="kind")


def stored(lake: Lake) -> pl.DataFrame:
    return conform(RAW_OTLP_SPANS, pl.read_parquet(lake.files())).sort(RAW_OTLP_SPANS.key)


def test_numbered_rows_are_stored_as_the_same_rows_spelled_out(rows: Coded, tmp_path: Path) -> None:
    numbered, spelled = lake_at(tmp_path / "numbered"), lake_at(tmp_path / "spelled")

    counts = [numbered.commit([numbered.stage(rows)]), spelled.commit([spelled.stage(rows.plain())])]

    assert counts == [300, 300]  # the requests that are sent twice count once
    assert stored(numbered).equals(stored(spelled))
    (path,) = numbered.files()
    kinds = duckdb.sql(f"select typeof(attributes), typeof(resource_attributes) from '{path}' limit 1").fetchall()
    assert kinds == [("MAP(VARCHAR, VARCHAR)",) * 2]


def test_a_part_of_numbered_rows_has_its_own_maps(rows: Coded) -> None:
    part = replace(rows, frame=rows.frame[7:20])

    assert part.plain().equals(rows.plain()[7:20])
    read = pl.DataFrame({name: pl.Series(values) for name, values in part.maps().items()})
    for name in MAPS:
        pairs = [list(pair.items()) if isinstance(pair, dict) else pair for pair in part.maps()[name].to_pylist()]
        assert pairs == [[(p["key"], p["value"]) for p in row] for row in part.plain()[name].to_list()]
    assert read.height == 13


def test_an_empty_value_and_an_empty_map_stay_what_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "attributes": pl.Series(
                [[{"key": 1, "value": None}, {"key": 0, "value": 0}], []],
                dtype=pl.List(pl.Struct({"key": pl.UInt32, "value": pl.UInt32})),
            )
        }
    )
    coded = Coded(frame, {"attributes": (pl.Series(["a", "b"]), pl.Series(["one"]))})

    assert coded.plain()["attributes"].to_list() == [[{"key": "b", "value": None}, {"key": "a", "value": "one"}], []]
    assert coded.maps()["attributes"].to_pylist() == [[("b", None), ("a", "one")], []]


def test_numbered_rows_that_are_no_rows_of_the_table_are_refused(rows: Coded, tmp_path: Path) -> None:
    lake = lake_at(tmp_path)

    with pytest.raises(ContractError, match="not the contract's"):
        lake.stage(replace(rows, frame=rows.frame.drop("name")))
    with pytest.raises(ContractError, match="may not be null"):
        lake.stage(replace(rows, frame=rows.frame.with_columns(pl.lit(None, pl.String).alias("name"))))
    assert not lake.files()
