"""A decision in words, the same for terminal, summary and JSON: facts first, then where they come from, score last.

Put here what is said of a prediction. How it is laid out belongs to each hook and to ``cli``.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from weaver_forge.hooks.ci_gate import GateAnswer

SHOWN = 8
"""Facts and candidates shown; the rest is in the JSON."""

Group = tuple[str, list[str]]


def headline(answer: GateAnswer) -> str:
    """Verdict, level and what it is about, in one line."""
    ruling = answer.ruling
    about = answer.unit.replace("|", " ") or answer.request.decision
    shadow = "" if ruling.applied else ", held out: not enforced" if ruling.held_out else ", not enforced"
    return f"{str(ruling.verdict).upper()} {answer.request.decision} for {about} (level {ruling.level}{shadow})"


def facts_of(answer: GateAnswer) -> list[Group]:
    """Groups of lines about the judged prediction; empty where there is none."""
    if not answer.predictions:
        return []
    row = answer.predictions[0]
    groups = [
        ("Evidence", [fact_line(fact) for fact in evidence_of(row)[:SHOWN]]),
        ("Candidates", [candidate_line(candidate) for candidate in answer.candidates[:SHOWN]]),
        ("Model", [model_line(row)]),
        ("Data", data_lines(row, answer.snapshot_version, answer.losses)),
        ("Score", [score_line(row, answer.score_unit)]),
    ]
    return [(title, lines) for title, lines in groups if lines]


def evidence_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts of a row, from JSON text or a list."""
    evidence = row.get("evidence") or []
    return list(json.loads(evidence)) if isinstance(evidence, str) else list(evidence)


def fact_line(fact: Mapping[str, Any]) -> str:
    """A fact, how much it counts, and its link."""
    contribution = fact.get("contribution")
    weight = f"  ({contribution:+.2f})" if isinstance(contribution, int | float) else ""
    link = f"  {fact['link']}" if fact.get("link") else ""
    return f"{fact.get('fact', '')}{weight}{link}"


def candidate_line(row: Mapping[str, Any]) -> str:
    """A ranked cause with its share of belief."""
    first = evidence_of(row)[:1]
    because = f": {first[0].get('fact', '')}" if first else ""
    return f"{row['rank']}. {row['candidate']} ({row['probability']:.0%}){because}"


def model_line(row: Mapping[str, Any]) -> str:
    """Which method spoke, and beside which baseline."""
    name = f"{row.get('model_name')} {row.get('model_version')}"
    if row.get("is_baseline"):
        return f"{name}: the named baseline, since no trained model has beaten it"
    return f"{name}, which beat the baseline {row.get('baseline_name')}"


def data_lines(row: Mapping[str, Any], version: int | None, losses: Mapping[str, str]) -> list[str]:
    """How old the data is, and what was missing."""
    snapshot = f", snapshot {version}" if version is not None else ""
    lines = [f"as of {instant(row.get('data_as_of'))}, predicted {instant(row.get('made_at'))}{snapshot}"]
    return lines + [f"missing {name}: {loss or 'not said what is lost'}" for name, loss in losses.items()]


def score_line(row: Mapping[str, Any], unit: str) -> str:
    """The number, last, beside the baseline's for the same subject."""
    baseline = row.get("baseline_probability")
    if row.get("probability") is not None:
        beside = f" (baseline {baseline:.3f})" if baseline is not None else ""
        return f"{row['probability']:.3f}{beside} {unit}".rstrip()
    if row.get("value") is not None:
        band = ""
        if row.get("q_100") is not None and row.get("q_900") is not None:
            band = f", 80 % of the time between {row['q_100']:.4g} and {row['q_900']:.4g}"
        return f"{row['value']:.4g}{band} {unit}".rstrip()
    return f"{row['score']:.4g} {unit}".rstrip() if row.get("score") is not None else "an order only"


def instant(value: object) -> str:
    """A naive UTC instant for people; a dash where there is none."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else "-"


def plain(value: Any) -> Any:
    """A value for JSON: instants as ISO with Z, JSON text columns opened, the rest as it is."""
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    if isinstance(value, Mapping):
        opened = {"evidence", "sources_missing"}
        return {
            str(key): plain(json.loads(item) if key in opened and isinstance(item, str) and item else item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)  # NaN and infinities are no JSON, and must not look like a missing number either
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def answer_as_data(answer: GateAnswer, *, rows: int = 20) -> dict[str, Any]:
    """The answer as the CLI's JSON; at most ``rows`` predictions, with their number."""
    ruling = answer.ruling
    data = {
        "decision_id": answer.decision_id,
        "decision": answer.request.decision,
        "entity": answer.entity,
        "unit": answer.unit,
        "subject": answer.subject,
        "hook": answer.request.hook,
        "verdict": str(ruling.verdict),
        "exit_code": ruling.exit_code,
        "level": str(ruling.level),
        "action": ruling.action,
        "ceiling": str(ruling.ceiling),
        "earned": str(ruling.earned),
        "by": ruling.by,
        "takes": ruling.takes,
        "acts": ruling.acts,
        "held_out": ruling.held_out,
        "draw": ruling.draw,
        "scope": str(ruling.scope),
        "applied": ruling.applied,
        "freshness": str(ruling.freshness),
        "reasons": ruling.reasons,
        "rules": ruling.rules,
        "expires_at": ruling.expires_at,
        "sources_missing": answer.losses,
        "snapshot_version": answer.snapshot_version,
        "n_predictions": len(answer.predictions),
        "predictions": answer.predictions[:rows],
        "candidates": answer.candidates[:rows],
        "recorded": answer.recorded,
        "notes": answer.notes,
    }
    return {key: plain(value) for key, value in data.items()}
