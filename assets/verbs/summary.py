"""What a verb says at its end: what was read and refused, what is foreseen on which facts, and what is missing."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from assets.decisions import missing_sources
from assets.resources import Deployment, Emit
from assets.verbs.rejected import refused_groups
from weaver_forge.contracts.batch import kind_of_reason
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind, prediction_table
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_RUNS, RAW_GITLAB_PIPELINES
from weaver_forge.contracts.tables.ingest import RAW_INGEST_REJECTED
from weaver_forge.hooks.health import misplaced
from weaver_forge.hooks.wording import next_for_results, unfinished_in_words, unused_results
from weaver_forge.settings import SOURCES
from weaver_forge.warehouse.overview import results, unfinished

SHOWN = 5
"""Subjects of a kind that a summary names; the ledger and the snapshot have them all."""
_INPUTS = {
    "inputs_known": "known before",
    "inputs_same": "same as another",
    "inputs_empty": "empty",
    "inputs_unread": "unreadable",
}
"""Counts of inputs without anything new and how they are called; only the first where there are none of the others."""
_COUNTED = re.compile(r"(?P<n>\d+) (?P<what>[^:]+): (?P<which>.+)")
_OF_FILE = re.compile(r"(?P<path>/.+?): (?P<text>.+)")
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


def report_intake(
    deployment: Deployment, intakes: Sequence[Mapping[str, Any]], emit: Emit, *, begun: datetime | None = None
) -> None:
    """A table a source: inputs read and already known, rows decoded and new, pieces refused with the reason.

    Args:
        deployment: Whose.
        intakes: What each source counted.
        emit: Where it is said.
        begun: When the ingest began, naive UTC: what was refused before is told by its reasons too.
    """
    taken = [i for i in intakes if any(i[name] for name in ("inputs_read", "rejected", *_INPUTS))]
    _report_misplaced(deployment, emit)
    if not taken:
        if not deployment.problems:
            text = "nothing taken in: weaver-forge.toml names no [sources] with files, and data/inbox is empty"
            emit({"event": "line", "text": text, "style": "dim"})
        return
    more = {name: title for name, title in _INPUTS.items() if name == "inputs_known" or any(i[name] for i in taken)}
    rows = [
        [i["source"], i["inputs_read"], *(i[name] for name in more), i["rows_decoded"], i["rows_new"],
         i["rejected"]]
        for i in taken
    ]  # fmt: skip
    columns = ["source", "inputs read", *more.values(), "rows", "new rows", "refused"]
    emit({"event": "table", "title": "Taken in", "columns": columns, "rows": rows})
    if any(i["inputs_same"] for i in taken):
        text = "a file is known by what is in it: one in which there is nothing but what another has too counts once"
        emit({"event": "line", "text": text, "style": "dim"})
    if any(i["inputs_empty"] for i in taken):
        text = "an empty file is looked at again the next time: there may be something in it then"
        emit({"event": "line", "text": text, "style": "dim"})
    for intake in intakes:
        _report_refused(intake, emit)
    _report_kept(deployment, sum(intake["rejected"] for intake in intakes), begun, emit)
    _report_unfinished(deployment, emit)
    _report_links(deployment, emit)


def _report_refused(intake: Mapping[str, Any], emit: Emit) -> None:
    told = json.loads(str(intake["top_reasons"]))
    for refusal in told:
        text = f"refused by {intake['source']}: {refusal['first']}: {refusal['reason']}"
        if refusal["n"] > 1:
            text = f"refused by {intake['source']}: {refusal['n']:,} x {refusal['reason']} (first: {refusal['first']})"
        emit({"event": "line", "text": text, "style": "warn"})
    rest = intake["rejected"] - sum(refusal["n"] for refusal in told)
    if rest > 0:
        text = f"refused by {intake['source']}: {rest:,} more for other reasons: "
        text += f"weaver-forge rejected --source {intake['source']}"
        emit({"event": "line", "text": text, "style": "warn"})


def _report_kept(deployment: Deployment, n_now: int, begun: datetime | None, emit: Emit) -> None:
    """That what is refused is kept, and what of earlier ingests still is refused, and why."""
    ((n_all,),) = deployment.warehouse.query(
        f"select count(*) from {RAW_INGEST_REJECTED.name} where resolved_at is null"  # noqa: S608 - a declared name
    ).iter_rows()
    if n_now:
        text = "every refused piece is noted with its place and reason, most with their bytes: weaver-forge rejected"
        emit({"event": "line", "text": text, "style": "dim"})
    if n_all == n_now:
        return
    pieces = f"{n_all - n_now:,} {'pieces' if n_all - n_now > 1 else 'piece'} that earlier ingests refused"
    emit({"event": "line", "text": f"still refused: {pieces}. All of it: weaver-forge rejected", "style": "warn"})
    groups = refused_groups(deployment, before=begun)
    for group in groups[:SHOWN]:
        first = "first: " if group["n"] > 1 else ""
        text = f"  {group['n']:,} x {group['source']}: {group['reason']} ({first}{group['first']})"
        emit({"event": "line", "text": text})
    if n_more := sum(group["n"] for group in groups[SHOWN:]):
        emit({"event": "line", "text": f"  {n_more:,} more for other reasons"})


def _report_unfinished(deployment: Deployment, emit: Emit) -> None:
    """Files that end inside a message: being written, or cut off."""
    with deployment.warehouse.connect(read_only=True) as con:
        for row in unfinished(con):
            emit({"event": "line", "text": unfinished_in_words(row), "style": "warn"})


def _report_misplaced(deployment: Deployment, emit: Emit) -> None:
    names = misplaced(deployment.settings.inbox)
    if names:
        text = f"in data/inbox but in no source's folder, so not read: {', '.join(names)}. "
        emit({"event": "line", "text": text + f"Folders: {', '.join(SOURCES)}", "style": "warn"})


def _report_links(deployment: Deployment, emit: Emit) -> None:
    """Test results that no revision is known of: those that name a CI run wait for it, the others were not told."""
    for text in unused_results(_results(deployment), _hosts(deployment)):
        emit({"event": "line", "text": text, "style": "warn"})


def _results(deployment: Deployment) -> dict[str, int]:
    with deployment.warehouse.connect(read_only=True) as con:
        return results(con)


def _hosts(deployment: Deployment) -> set[str]:
    """Sources of CI runs that this deployment uses."""
    ways = {"github": RAW_GITHUB_ACTIONS_RUNS, "gitlab": RAW_GITLAB_PIPELINES}
    return {
        table.source
        for host, table in ways.items()
        if host in deployment.settings.code_hosts
        or deployment.warehouse.query(f"select exists (from {table.name})").item()
    }


def report_notes(notes: Iterable[str], emit: Emit) -> None:
    """What a person should know, each kind once: of many files with the same to say the first is named."""
    counted: dict[str, Counter[str]] = {}
    files: dict[str, list[str]] = {}
    for note in notes:
        if found := _COUNTED.fullmatch(note):
            counted.setdefault(found["what"], Counter())[found["which"]] += int(found["n"])
        elif found := _OF_FILE.fullmatch(note):
            files.setdefault(kind_of_reason(found["text"]), []).append(note)
        else:
            files.setdefault(note, []).append(note)
    for told in files.values():
        different = list(dict.fromkeys(told))
        n_more = len(different) - 1
        more = f" ({n_more:,} more {'file' if n_more == 1 else 'files'} like it)" if n_more else ""
        emit({"event": "line", "text": different[0] + more, "style": "warn"})
    for what, kinds in counted.items():
        named = [f"{which} ({n:,})" if len(kinds) > 1 else which for which, n in kinds.most_common(SHOWN)]
        rest = f", {len(kinds) - SHOWN} more kinds" if len(kinds) > SHOWN else ""
        style = "dim" if "not used" in what or "left out" in what else "warn"
        text = f"{sum(kinds.values()):,} {what}: {', '.join(named)}{rest}"
        emit({"event": "line", "text": text, "style": style})


def report_next(deployment: Deployment, emit: Emit) -> None:
    """The commands after an ingest, in one line."""
    refused = deployment.warehouse.query(
        f"select exists (from {RAW_INGEST_REJECTED.name} where resolved_at is null)"
    ).item()
    usable = next_for_results(_results(deployment))
    steps = [f"{usable} (test results without a revision are not used)"] if usable else []
    steps += ["weaver-forge doctor (what is there, and what is missing)"]
    steps += ["weaver-forge rejected (what was refused, and why)"] if refused else []
    steps += ["weaver-forge run (learn and predict)"]
    emit({"event": "line", "text": f"Next: {', '.join(steps)}", "style": "head"})


def report_gaps(deployment: Deployment, emit: Emit) -> None:
    """Sources that never gave a row, and what each decision loses by that."""
    rows = [
        [source, spec.name, spec.sources[source]]
        for spec in deployment.specs
        for source in missing_sources(deployment, spec)
    ]
    told = _results(deployment)
    if told["n"] and not told["n_linked"]:
        lost = "none of {n:,} test results has one, and none is used: give --revision, or --run with --runs"
        needing = [spec.name for spec in deployment.specs if "tests" in spec.sources]
        rows += [["revision of tests", name, lost.format(n=told["n"])] for name in needing]
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
