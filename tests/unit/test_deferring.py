"""Predictions of a large ranking are spooled as the ledger would have them, once, and under the ids of the first."""

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets import deferring
from assets.predicting import Provenance, record, with_provenance
from assets.verbs.predict import packed
from models.test_selection import SPEC
from weaver_forge.cli.pipeline import _rows
from weaver_forge.contracts.decision import Predictions
from weaver_forge.ledger import Ledger, spool

KIND = SPEC.kinds[0]
NOW = datetime(2026, 3, 1, 12)
PROVENANCE = Provenance(origin="live", made_at=NOW, data_as_of=NOW, sources_missing=("git",))


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def _said(n: int = deferring.LARGE, **other: Any) -> Predictions:
    key = pl.DataFrame({"test_id": [f"mod::test_{k} é" for k in range(n)]}).select(
        pl.lit("r").alias("repo_id"), pl.lit("rev").alias("revision"), "test_id", predicted_at=NOW
    )
    numbers = {"probability": 0.25, "score": -1.5, "baseline_probability": 0.5, "baseline_score": None}
    empty = dict.fromkeys(("value", "q_025", "q_100", "q_900", "q_975", "baseline_value"))
    rows = key.with_columns(
        *(pl.lit(value, pl.Float64).alias(name) for name, value in {**numbers, **empty, **other}.items()),
        evidence=pl.lit('[{"fact":"it \\"is\\" so","contribution":1.0,"link":null}]'),
        model_name=pl.lit("m"),
        model_version=pl.lit("7"),
        is_baseline=False,
    )
    return Predictions(with_provenance(SPEC, KIND, rows, key.with_columns(n_runs=1.0), PROVENANCE))


def _stored(ledger: Ledger) -> list[dict[str, Any]]:
    rows = ledger.rows("predictions", "order by idempotency_key")
    stamps = {"prediction_id", "batch_seq", "position", "recorded_at", "row_sha256"}
    return [{name: value for name, value in row.items() if name not in stamps} for row in rows]


def test_what_is_spooled_becomes_what_would_have_been_recorded(tmp_path: Path, ledger: Ledger) -> None:
    said = _said()

    deferring.put_down(tmp_path / "spool", ledger, SPEC, KIND, said)
    drained = spool.drain(tmp_path / "spool", ledger, NOW)

    assert (drained.n_taken, drained.rejected) == (said.rows.height, ())
    with Ledger.open(f"sqlite:///{tmp_path / 'other.sqlite'}") as other:
        record(other, SPEC, KIND, said, now=NOW)
        assert _stored(ledger) == _stored(other)
    assert ledger.verify().ok


def test_a_question_asked_again_is_answered_under_the_same_ids(tmp_path: Path, ledger: Ledger) -> None:
    first = deferring.put_down(tmp_path / "spool", ledger, SPEC, KIND, _said())
    again = deferring.put_down(tmp_path / "spool", ledger, SPEC, KIND, _said())
    n_files = len(list((tmp_path / "spool").iterdir()))
    spool.drain(tmp_path / "spool", ledger, NOW)
    after = deferring.put_down(tmp_path / "spool", ledger, SPEC, KIND, _said())

    ids = first.rows["prediction_id"].to_list()
    assert n_files == 1
    assert not list((tmp_path / "spool").iterdir())
    assert len(set(ids)) == len(ids)
    assert again.rows["prediction_id"].to_list() == after.rows["prediction_id"].to_list() == ids
    assert sorted(ids) == sorted(row["prediction_id"] for row in ledger.rows("predictions"))


def test_what_was_recorded_before_keeps_its_id(tmp_path: Path, ledger: Ledger) -> None:
    published = record(ledger, SPEC, KIND, _said(3), now=NOW).rows["prediction_id"].to_list()

    said = deferring.put_down(tmp_path / "spool", ledger, SPEC, KIND, _said())
    drained = spool.drain(tmp_path / "spool", ledger, NOW)

    assert said.rows["prediction_id"].to_list()[:3] == published
    assert (drained.n_known, drained.n_taken) == (3, said.rows.height - 3)


def test_few_predictions_or_what_is_no_number_go_to_the_ledger_itself() -> None:
    assert deferring.is_large(KIND, _said())
    assert not deferring.is_large(KIND, _said(deferring.LARGE - 1))
    assert not deferring.is_large(KIND, _said(score=float("nan")))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_packed_predictions_are_the_same_rows(n: int) -> None:
    rows = _said(n).rows

    told = packed(rows)

    assert _rows(told) == rows.to_dicts()
