"""replay and backtest on a deployment that lived: they write nothing, record once, and name the feature that leaks."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from assets.replaying import Request, open_for_reading, replay_kind
from assets.verbs.backtest import backtest
from assets.verbs.replay import replay
from models.replaying import Window
from weaver_forge.cli import replay_markdown, replay_text
from weaver_forge.errors import UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.settings import Settings

Lived = tuple[Settings, list[dict[str, Any]]]


def said(verb: Callable[..., int], settings: Settings, **arguments: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    assert verb(settings, arguments, lambda event: events.append(dict(event))) == 0
    data: list[dict[str, Any]] = json.loads(json.dumps(events[-1]["data"], default=str))
    return data


def stored(settings: Settings) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file of the deployment's data."""
    files = (path for path in settings.data.rglob("*") if path.is_file() and "ledger" not in path.name)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def counts(settings: Settings) -> dict[str, int]:
    with Ledger.open(settings.ledger_url) as ledger:
        return {kind: len(ledger.rows(kind)) for kind in ("predictions", "outcomes", "decisions")}


@pytest.mark.parametrize("decision", ["test_selection", "deploy_risk", "anomaly", "load_forecast"])
def test_every_decision_is_replayed_and_nothing_is_written(lived: Lived, decision: str) -> None:
    settings, _ = lived
    before, ledger = stored(settings), counts(settings)

    data = said(replay, settings, decision=decision, last=10, steps=2, budgets=["25%"])

    assert (stored(settings), counts(settings)) == (before, ledger)
    for kind in data:
        assert kind["steps"] or kind["window"]["n_decisions"] == 0
        assert all(action["policies"] for action in kind["actions"])


def test_text_and_markdown_show_what_the_data_say(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    settings, _ = lived
    data = said(replay, settings, decision="test_selection", last=10, steps=1, budgets=["25%"])

    replay_text.show(data)
    markdown = replay_markdown.document(data)

    text = capsys.readouterr().out
    (action,) = data[0]["actions"]
    for row in action["policies"]:
        assert row["policy"] in text
        assert row["policy"] in markdown
    assert "point in time" in text
    assert markdown.count("<details>") == markdown.count("</details>")
    assert all(line.count("|") >= 8 for line in markdown.splitlines() if line.startswith("| "))


def test_policies_are_put_side_by_side_and_an_unreadable_one_is_said(lived: Lived, tmp_path: Path) -> None:
    settings, _ = lived
    for name, threshold in (("loose.yaml", 0.9), ("strict.yaml", 0.0)):
        rules = f"version: 1\ndecisions: {{deploy_risk: {{ceiling: autonomous, deny_at: {threshold}}}}}\n"
        (tmp_path / name).write_text(rules, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("loose.yaml", "strict.yaml")]

    data = said(replay, settings, decision="deploy_risk", entity="changes", last=20, policies=files)

    rows = {(row["policy"], row["view"]): row for row in data[0]["actions"][0]["policies"]}
    strict = rows["strict.yaml", "if it were enforced"]
    assert strict["acted"]["units"] + strict["held_out"]["n"] == data[0]["window"]["n_decisions"]
    assert strict["caught"] >= rows["loose.yaml", "if it were enforced"]["caught"]


def test_a_replay_is_recorded_once_however_often_it_is_made(lived: Lived, tmp_path: Path) -> None:
    settings = replace(lived[0], ledger_url=f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    deployment = open_for_reading(settings, lambda _event: None)
    spec = next(spec for spec in deployment.specs if spec.name == "deploy_risk")
    kind = spec.kind("changes")
    before = counts(settings)

    first, again, wider = (
        replay_kind(deployment, spec, kind, Request(window=Window(until=settings.now(), last=n), record=True))[
            "recorded"
        ]
        for n in (5, 5, 8)
    )

    assert first == {"predictions": 5, "outcomes": 5}
    assert again == {"predictions": 0, "outcomes": 0}
    assert wider == {"predictions": 3, "outcomes": 3}
    after = counts(settings)
    assert after["predictions"] - before["predictions"] == 8
    with Ledger.open(settings.ledger_url) as ledger:
        assert ledger.verify().ok
        replayed = ledger.rows("predictions", "where origin = 'replay'")
        assert {row["decision"] for row in replayed} == {"deploy_risk"}
        assert all(row["predicted_at"] <= settings.now() for row in replayed)


def test_a_backtest_is_the_short_form(lived: Lived) -> None:
    settings, _ = lived

    data = said(backtest, settings, decision="test_selection")

    (kind,) = data
    assert kind["reason"]
    assert kind["scores"]
    assert datetime.fromisoformat(kind["trained_until"])
    assert len(kind["steps"]) == 1
    assert {row["view"] for row in kind["actions"][0]["policies"]} == {"as earned now", "if it were enforced"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"decision": "nope"}, "unknown decision"),
        ({"decision": "deploy_risk", "entity": "nope"}, "has no 'nope'"),
        ({"decision": "deploy_risk", "last": 5, "since": "2026-01-01"}, "both say where to begin"),
        ({"decision": "deploy_risk", "since": "yesterday"}, "no date or time"),
        ({"decision": "deploy_risk", "last": -1}, "whole numbers"),
        ({"decision": "test_selection", "budgets": ["much"]}, "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(lived: Lived, arguments: dict[str, Any], what: str) -> None:
    settings, _ = lived

    with pytest.raises(UsageError, match=what):
        replay(settings, arguments, lambda _event: None)
