"""What a verb says at its end: what was read and refused, what is foreseen on which facts, and what is missing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assets.decisions import missing_sources
from assets.resources import Deployment, Emit
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind, prediction_table
from weaver_forge.hooks.health import misplaced
from weaver_forge.settings import SOURCES
from weaver_forge.warehouse.overview import unfinished

SHOWN = 5
"""Subjects of a kind that a summary names; the ledger and the snapshot have them all."""
_HOT = """
with recent as (
    select f.repo_id, f.path, f.revision, f.n_added + f.n_deleted as n_lines, c.is_fix
    from core_changes__files f
    join core_changes__changes c using (repo_id, revision)
    where c.committed_at > (select max(committed_at) - interval 90 day from core_changes__changes)
)
select path, count(*) as n_changes, count(*) filter (where is_fix) as n_fixes, sum(n_lines)::bigint as n_lines
from recent
group by repo_id, path
order by n_fixes desc, n_changes desc, n_lines desc, path
limit 5
"""


def report_intake(deployment: Deployment, intakes: Sequence[Mapping[str, Any]], emit: Emit) -> None:
    """A table a source: inputs read and already known, rows decoded and new, pieces refused with the reason."""
    rows = [
        [i["source"], i["inputs_read"], i["inputs_known"], i["rows_decoded"], i["rows_new"], i["rejected"]]
        for i in intakes
        if i["inputs_read"] or i["inputs_known"] or i["rejected"]
    ]
    _report_misplaced(deployment, emit)
    if not rows:
        if not deployment.problems:
            text = "nothing taken in: weaver-forge.toml names no [sources] with files, and data/inbox is empty"
            emit({"event": "line", "text": text, "style": "dim"})
        return
    columns = ["source", "inputs read", "known before", "rows", "new rows", "refused"]
    emit({"event": "table", "title": "Taken in", "columns": columns, "rows": rows})
    for intake in intakes:
        _report_refused(intake, emit)
    if any(intake["rejected"] for intake in intakes):
        text = "every refused piece is kept with its place and reason: weaver-forge rejected"
        emit({"event": "line", "text": text, "style": "dim"})
    _report_unfinished(deployment, emit)
    _report_links(deployment, emit)


def _report_refused(intake: Mapping[str, Any], emit: Emit) -> None:
    told = json.loads(str(intake["top_reasons"]))
    for refusal in told:
        more = f" ({refusal['n'] - 1} more like it)" if refusal["n"] > 1 else ""
        text = f"refused by {intake['source']}: {refusal['first']}: {refusal['reason']}{more}"
        emit({"event": "line", "text": text, "style": "warn"})
    rest = intake["rejected"] - sum(refusal["n"] for refusal in told)
    if rest > 0:
        text = f"refused by {intake['source']}: {rest} more for other reasons: "
        text += f"weaver-forge rejected --source {intake['source']}"
        emit({"event": "line", "text": text, "style": "warn"})


def _report_unfinished(deployment: Deployment, emit: Emit) -> None:
    """Files that end inside a message: being written, or cut off."""
    with deployment.warehouse.connect(read_only=True) as con:
        for row in unfinished(con):
            text = f"{row['name']}: its last {row['tail_bytes']:,} bytes end inside a message; "
            emit({"event": "line", "text": text + "taken in by the next ingest that finds the rest", "style": "warn"})


def _report_misplaced(deployment: Deployment, emit: Emit) -> None:
    names = misplaced(deployment.settings.inbox)
    if names:
        text = f"in data/inbox but in no source's folder, so not read: {', '.join(names)}. "
        emit({"event": "line", "text": text + f"Folders: {', '.join(SOURCES)}", "style": "warn"})


def _report_links(deployment: Deployment, emit: Emit) -> None:
    ((total, linked),) = deployment.warehouse.query(
        "select count(*) as total, count(revision) as linked from core_ci__test_results"
    ).iter_rows()
    if total > linked:
        text = f"{total - linked} of {total} test results have no revision and are not used: give --revision, "
        text += "or take in the CI runs that they are of (weaver-forge import github, or --runs)"
        emit({"event": "line", "text": text, "style": "warn"})


def report_gaps(deployment: Deployment, emit: Emit) -> None:
    """Sources that never gave a row, and what each decision loses by that."""
    rows = [
        [source, spec.name, spec.sources[source]]
        for spec in deployment.specs
        for source in missing_sources(deployment, spec)
    ]
    if rows:
        emit(
            {"event": "table", "title": "Still missing", "columns": ["source", "decision", "without it"], "rows": rows}
        )


def report_predictions(deployment: Deployment, emit: Emit) -> None:
    """The likeliest to go wrong of every kind with the facts it rests on, and the files that change and break most."""
    for spec in deployment.specs:
        for kind in spec.kinds:
            _report_kind(deployment, spec, kind, emit)
    hot = deployment.warehouse.query(_HOT).rows()
    if hot:
        columns = ["file", "changes", "of them fixes", "lines"]
        emit({"event": "table", "title": "Hot files, newest 90 days", "columns": columns, "rows": [*map(list, hot)]})


def _report_kind(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, emit: Emit) -> None:
    predictions = deployment.warehouse.read(prediction_table(spec, kind))
    if predictions.is_empty():
        emit({"event": "line", "text": f"{spec.name}, {kind.entity}: nothing to predict", "style": "dim"})
        return
    speaks = f"{predictions['model_name'][-1]}{', the baseline' if predictions['is_baseline'][-1] else ''}"
    title = f"{spec.name}, {kind.entity}: {predictions.height} predicted by {speaks}"
    if kind.predicts != "event":
        emit({"event": "line", "text": title, "style": "head"})
        return
    top = predictions.sort("predicted_at", "probability", descending=True).unique(kind.key_names, keep="first")
    top = top.sort("probability", "predicted_at", descending=True).head(SHOWN)
    rows = [
        [_subject(row, kind), row["probability"], "; ".join(fact["fact"] for fact in json.loads(row["evidence"])[:3])]
        for row in top.iter_rows(named=True)
    ]
    columns = ["likeliest", "probability", "facts"]
    if set(kind.key_names) == {"repo_id", "revision"}:
        said = deployment.warehouse.query("select revision, subject from core_changes__changes")
        subjects = dict(said.iter_rows())
        columns.append("message")
        rows = [[*row, subjects.get(revision, "")] for row, revision in zip(rows, top["revision"], strict=True)]
    emit({"event": "table", "title": title, "columns": columns, "rows": rows})


def _subject(row: Mapping[str, Any], kind: SubjectKind) -> str:
    """The key without the repository and with commit ids cut short: what a person would type."""
    names = [name for name in kind.key_names if name != "repo_id"]
    return " ".join(str(row[name])[:12] if name == "revision" else str(row[name]) for name in names)
