"""Lookups that are left out where there is nothing to look up: the answer is the same either way."""

from datetime import datetime

import polars as pl

from models.evidence import strongest
from models.learning import matched
from models.test_selection import rankings
from models.test_selection.rankings import MOMENT, numbered

T0 = datetime(2026, 1, 1)


def subjects(*revisions: str) -> pl.DataFrame:
    rows = [("r", revision, T0, f"t{n}", None) for n, revision in enumerate(revisions)]
    return pl.DataFrame(rows, schema=[*MOMENT, "test_id", "file"], orient="row").cast({"file": pl.String})


def test_what_others_say_is_found_whatever_their_order() -> None:
    rows = pl.DataFrame({"key": ["a", None, "b"], "mine": [1, 2, 3]})
    said = pl.DataFrame({"key": ["a", None, "b"], "said": ["A", "none", "B"]})

    in_order, shuffled = (matched(rows, others, ["key"]) for others in (said, said.reverse()))
    missing = matched(rows, said.head(1), ["key"])

    assert in_order.rows() == [("a", 1, "A"), (None, 2, "none"), ("b", 3, "B")]
    assert shuffled.equals(in_order)
    assert missing["said"].to_list() == ["A", None, None]


def test_rankings_are_numbered_in_order_whether_one_or_many() -> None:
    one, rows_of_one = numbered(subjects("x", "x"))
    many, rows_of_many = numbered(subjects("y", "x", "y"))

    assert one["revision"].to_list() == ["x"]
    assert rows_of_one["ranking"].to_list() == [0, 0]
    assert many["revision"].to_list() == ["x", "y"]
    assert rows_of_many["ranking"].to_list() == [1, 0, 1]
    assert rows_of_one.schema["ranking"] == rows_of_many.schema["ranking"] == many.schema["ranking"]


def test_a_test_of_several_rankings_is_one_test() -> None:
    _, rows = numbered(pl.concat([subjects("x", "x"), subjects("y", "y")]))

    assert rankings.tests_of(rows, "test_id", "file")["test_id"].to_list() == ["t0", "t1"]


def test_a_fact_too_weak_for_a_line_is_left_out_unless_it_is_the_strongest() -> None:
    rows = pl.DataFrame({"n": [1, 2]})
    facts = [(pl.format("has {}", "n"), pl.lit(None, pl.String)), (pl.lit("constant"), pl.lit("a/b"))]
    parts = pl.DataFrame({"0": [0.01, 0.5], "1": [0.001, -0.75001]}).to_numpy()

    said = strongest(rows, facts, parts, most=2).to_list()

    assert said == [
        '[{"fact":"has 1","contribution":0.01,"link":null}]',
        '[{"fact":"constant","contribution":-0.75,"link":"a/b"},{"fact":"has 2","contribution":0.5,"link":null}]',
    ]


def test_no_rows_have_no_evidence() -> None:
    facts = [(pl.col("n").cast(pl.String), pl.lit(None, pl.String))]

    said = strongest(
        pl.DataFrame(schema={"n": pl.Int64}), facts, pl.DataFrame(schema={"0": pl.Float64}).to_numpy(), most=3
    )

    assert said.is_empty()
