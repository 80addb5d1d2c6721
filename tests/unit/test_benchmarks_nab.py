"""Labelled single-metric series are recognised by format and become points and incidents."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.anomaly import evaluation
from weaver_forge.benchmarks import nab


def files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    found: dict[str, bytes] = {}
    windows = {}
    for name in ("a.csv", "b.csv"):
        n = 288 * 6
        at = [datetime(2025, 1, 1) + timedelta(minutes=5 * i) for i in range(n)]
        value = 50 + 10 * np.sin(2 * np.pi * np.arange(n) / 288) + rng.normal(0, 1, n)
        value[1400:1424] += 40
        frame = pl.DataFrame({"timestamp": at, "value": value})
        found[f"data/real/{name}"] = frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S").encode()
        windows[f"real/{name}"] = [[str(at[1400]), str(at[1423])]]
    found["labels/windows.json"] = json.dumps(windows).encode()
    found["labels/points.json"] = json.dumps({"real/a.csv": ["2025-01-05 20:40:00"]}).encode()
    found["config.json"] = b'{"standard": {"tpWeight": 1.0}}'
    return found


def test_series_are_joined_with_the_windows_that_name_them() -> None:
    found = nab.read(files())

    assert [data.set for data in found] == ["labels/windows"]
    assert found[0].tables["core_service__points"]["service_key"].unique().sort().to_list() == [
        "real/a.csv",
        "real/b.csv",
    ]
    assert found[0].tables["core_incidents__incidents"].height == 2


def test_csv_files_without_labels_measure_nothing() -> None:
    given = {name: data for name, data in files().items() if not name.endswith("json")}

    assert nab.read(given) == []


def test_each_half_is_judged_by_what_the_other_half_taught() -> None:
    data = nab.read(files())[0]

    rows = evaluation.benchmark(data, np.random.default_rng(0))

    by = {row["metric"]: row for row in rows}
    assert by["ap"]["value"] > 5 * by["ap"]["baselines"]["base_rate"]
    assert by["event_f1"]["n"] == 2
