"""benchmark selection: what selections by confidence and share would have caught on public histories, and saved.

Point in time, as ``replay tests`` does it: the model is learnt anew within the window, and a confidence rests on the
runs that were known before each run. Rules of the change are asked where a set says what its changes touch.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from assets.predicting import SEED
from assets.registry import load_spec
from assets.resources import Emit
from assets.verbs.benchmark import exit_code, going_on, read_sets, said_of, tell, tell_notes
from models.learning import in_units
from models.replaying import Window, replay
from weaver_forge.benchmarks import BenchmarkData
from weaver_forge.contracts.decision import DecisionSpec, spec_as_data
from weaver_forge.errors import MissingInput, UsageError, WeaverForgeError
from weaver_forge.hooks.replay.comparing import selected
from weaver_forge.hooks.replay.deciding import Stage
from weaver_forge.hooks.selecting.aim import read_aim
from weaver_forge.policy import in_force
from weaver_forge.settings import Settings

DECISION = "test_selection"
AIMS = ("confidence 90%", "confidence 95%", "confidence 99%", "target 25%", "target 50%")
FILES = "core_changes__files"
COLUMNS = (
    "set", "aim", "rules", "runs", "failing", "run whole", "caught", "escaped", "unstable", "went through",
    "minutes saved",
)  # fmt: skip


def selection_benchmark(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Select on every history below ``{"data": folder}``.

    Raises:
        UsageError: If no folder is named.
        MissingInput: If nothing in it has a known format.
    """
    if not arguments.get("data"):
        raise UsageError("benchmark needs data", do="Name a folder with --data DIR; see docs/benchmarks.md")
    spec = load_spec(settings, DECISION)
    folder = Path(str(arguments["data"]))
    problems: list[WeaverForgeError] = []
    sets = read_sets(folder, DECISION, problems)
    tell(problems, emit)
    if not sets:
        what = "no history of tests here can be measured" if problems else "no file here is a history of tests"
        raise MissingInput(what, where=str(folder), do="See docs/benchmarks.md")
    begun, cpu = time.perf_counter(), time.process_time()
    rows: list[dict[str, Any]] = []
    for number, data in enumerate(sets):
        emit({"event": "progress", "step": data.set, "done": number, "total": len(sets)})
        tell_notes(data, emit)
        with going_on(data.set, problems, emit):
            rows += measured(spec, data)
    cells = [[row[name] for name in COLUMNS] for row in rows]
    emit({"event": "table", "title": f"Selections on {folder}", "columns": list(COLUMNS), "rows": cells})
    seconds = {"seconds": round(time.perf_counter() - begun, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}
    emit({"event": "result", "data": {**seconds, "rows": rows, **said_of(sets, problems)}})
    return exit_code(problems)


def measured(spec: DecisionSpec, data: BenchmarkData) -> list[dict[str, Any]]:
    """A row an aim, of one history: all of it but the first fifth, which is only learnt from."""
    kind = spec.kinds[0]
    tables = data.tables
    now = tables["core_ci__runs"].select(pl.col("known_at").max()).item() + timedelta(days=30)
    times = kind.history(tables, now).select(*kind.decided_per, "predicted_at").unique()["predicted_at"].sort()
    made = replay(kind, tables, Window(until=now, since=times[len(times) // 5]), now=now, seed=SEED)
    units = in_units(kind, made.rows).with_columns(cluster="unit")
    files = tables[FILES]
    paths = {key: tuple(group["path"]) for key, group in files.group_by("repo_id", "revision")}
    stage = Stage(
        decision=spec.name,
        kind=spec_as_data(spec)["kinds"][0],
        action={"name": "skip_tests", "on": "low"},
        changed_paths=lambda subject: paths.get((subject["repo_id"], subject["revision"])),
    )
    policy = in_force("", "no policy")
    found = []
    for text in AIMS:
        for rules in (False, True) if paths else (False,):
            row = selected(text, read_aim(text), stage, units, policy, rules=rules)
            found.append(_as_row(data.set, text, units, row, rules=rules))
    return found


def _as_row(name: str, aim: str, units: pl.DataFrame, row: Mapping[str, Any], *, rules: bool) -> dict[str, Any]:
    through, minutes = row["went_through"], float(row["money"]["minutes"] or 0.0)
    whole = row["minutes_in_all"]
    return {
        "set": name,
        "aim": aim,
        "rules": rules,
        "runs": units["unit"].n_unique(),
        "failing": row["failing_units"],
        "run whole": sum(row["whole"].values()),
        **{bucket: row[bucket] for bucket in ("caught", "escaped", "unstable")},
        "went through": through["text"],
        "minutes saved": f"{minutes:.0f} of {whole:.0f} ({minutes / whole:.0%})" if whole else "-",
        "rate": through["rate"],
        "upper": through["upper"],
        "saved_share": minutes / whole if whole else None,
        "whole": row["whole"],
    }
