"""The process that may have to compute starts before it is asked: its answer is the same, and it never stays behind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver_forge.cli import ahead, pipeline
from weaver_forge.cli.ahead import started_ahead
from weaver_forge.settings import Settings

ANSWERS = """
import json, sys
waits = sys.argv[2] == "-"
asked = sys.stdin.read() if waits else sys.argv[2]
if asked:
    print(json.dumps({"event": "result", "data": {"asked": json.loads(asked), "waited": waits, "for": sys.argv[3:]}}))
"""
CANNOT_WAIT = """
import json, sys
print(json.dumps({"event": "result", "data": {"asked": json.loads(sys.argv[2])}}))
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Settings]:
    for name, text in {"assets/__init__.py": "", "assets/__main__.py": ANSWERS, "data/published/CURRENT": "{}"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "weaver-forge.toml").write_text(f'[pipeline]\npython = "{sys.executable}"\n')
    yield Settings(root=tmp_path, python=Path(sys.executable), decisions={})
    pipeline.end()


def test_a_question_is_answered_by_the_process_that_was_started_ahead(deployment: Settings) -> None:
    pipeline.begin(deployment, "test_selection")

    first = pipeline.ask(deployment, "predict", {"n": 1}, 30.0)
    second = pipeline.ask(deployment, "predict", {"n": 2}, 30.0)

    assert first == {"asked": {"n": 1}, "waited": True, "for": ["test_selection"]}
    assert second == {"asked": {"n": 2}, "waited": False, "for": []}


def test_a_deployment_that_cannot_wait_is_asked_as_before(deployment: Settings) -> None:
    (deployment.root / "assets" / "__main__.py").write_text(CANNOT_WAIT)
    pipeline.begin(deployment, "test_selection")

    assert pipeline.ask(deployment, "predict", {"n": 1}, 30.0) == {"asked": {"n": 1}}


def test_another_deployment_or_verb_is_not_asked_of_it(deployment: Settings, tmp_path: Path) -> None:
    pipeline.begin(deployment, "test_selection")

    assert pipeline.ask(deployment, "impact", {"n": 1}, 30.0)["waited"] is False
    assert pipeline._asked_ahead(Settings(root=tmp_path / "x", python=Path("p"), decisions={}), "predict", {}) is None


@pytest.mark.parametrize(
    ("words", "n"),
    [
        (["rank-tests"], 1),
        (["select", "--from={root}"], 1),
        (["rank-tests", "--from", "{root}"], 1),
        (["rank-tests", "--no-on-demand"], 0),
        (["rank-tests", "--help"], 0),
        (["rank-tests", "--from", "{root}/nowhere"], 0),
        (["gate"], 0),
        ([], 0),
    ],
)
def test_it_is_started_where_it_may_be_needed_and_never_stays(
    deployment: Settings, words: list[str], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(deployment.root)
    monkeypatch.delenv("WEAVER_FORGE_HOME", raising=False)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)

    with started_ahead([word.format(root=deployment.root) for word in words]):
        children = [child for _, child in pipeline._ahead]

    assert len(children) == n
    assert all(child.returncode is not None for child in children)
    assert not pipeline._ahead


def test_one_core_has_no_room_for_it(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(deployment.root)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 1)

    with started_ahead(["rank-tests"]):
        assert not pipeline._ahead
