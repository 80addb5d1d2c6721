"""Starting verbs as processes: what is relayed, and that no child's crash reads as a verdict."""

import json
import sys
from pathlib import Path

import pytest

from weaver_forge.cli import loop
from weaver_forge.cli.init import make_deployment
from weaver_forge.cli.pipeline import ask, on_demand, relay
from weaver_forge.errors import ConfigurationError, SourceError, UsageError, WeaverForgeError
from weaver_forge.settings import SOURCES, Settings, load


def _deployment(root: Path, program: str) -> Settings:
    """A deployment whose pipeline is this program."""
    (root / "assets").mkdir()
    (root / "assets" / "__init__.py").touch()
    (root / "assets" / "__main__.py").write_text(
        "import json, sys, time, os\nsay = lambda **e: print(json.dumps(e))\n" + program
    )
    return Settings(root=root, python=Path(sys.executable), decisions={})


def test_events_are_shown_and_the_result_is_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "say(event='progress', step='raw_git', done=1, total=2, message='x')\n"
        "print('chatter')\n"
        "say(event='table', title='T', columns=['a', 'b'], rows=[['x', 1.5], ['yy', None]])\n"
        "say(event='line', text='careful', style='warn')\n"
        "say(event='result', data={'argument': json.loads(sys.argv[2])})\n"
    )
    settings = _deployment(tmp_path, program)

    assert relay(settings, "run", {"n": 1}, as_json=False) == 0
    text = capsys.readouterr()
    assert relay(settings, "run", {"n": 1}, as_json=True) == 0
    data = capsys.readouterr()

    assert "warning: careful" in text.out
    assert "yy    -" in text.out
    assert "raw_git 1/2" in text.err
    assert "chatter" in text.err
    assert json.loads(data.out) == {"argument": {"n": 1}}


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("say(event='error', what='w', where='x', do='d', exit_code=5); sys.exit(5)", 5),
        ("raise RuntimeError('crash')", 70),
        ("sys.exit(1)", 70),
        ("sys.exit(3)", 70),
        ("os.kill(os.getpid(), 9)", 70),
        ("sys.exit(4)", 4),
    ],
)
def test_a_childs_crash_never_reads_as_a_verdict(
    tmp_path: Path, program: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert relay(_deployment(tmp_path, program), "run", {}, as_json=True) == code
    assert "error:" in capsys.readouterr().err


def test_a_prediction_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    compute = on_demand(_deployment(tmp_path, "time.sleep(60)"), None, tmp_path / "s.duckdb", 0.2)

    with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
        compute("d", "changes", {"revision": "abc"})


@pytest.mark.parametrize(("said", "told"), [("fix", {"branch": "fix"}), ("", {})])
def test_a_question_goes_with_the_branch_of_the_revision_where_one_is_told(
    tmp_path: Path, said: str, told: dict[str, str]
) -> None:
    program = "say(event='result', data={'predictions': {'n': 1, 'same': json.loads(sys.argv[2]), 'each': {}}})"
    compute = on_demand(
        _deployment(tmp_path, program), None, tmp_path / "s.duckdb", 20, branch_of={"abc": said}.__getitem__
    )

    (arguments,) = compute("d", "tests", {"revision": "abc"})

    assert {name: value for name, value in arguments.items() if name == "branch"} == told


def test_what_the_verb_reports_is_raised_as_it_says(tmp_path: Path) -> None:
    program = "say(event='error', what='unknown revision', where='repo', do='fetch'); sys.exit(5)"

    with pytest.raises(WeaverForgeError, match=r"repo: unknown revision\. fetch"):
        ask(_deployment(tmp_path, program), "predict", {}, 10)


def test_an_interpreter_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    settings = _deployment(tmp_path, "")
    missing = Settings(root=settings.root, python=tmp_path / "no-python", decisions={})

    with pytest.raises(ConfigurationError, match=r"\[pipeline\]"):
        relay(missing, "run", {}, as_json=False)


def test_paths_are_the_callers_not_the_deployments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _deployment(tmp_path, "say(event='result', data=json.loads(sys.argv[2]))")
    (tmp_path / "weaver-forge.toml").write_text(f'[pipeline]\npython = "{sys.executable}"\n')
    monkeypatch.setenv("WEAVER_FORGE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    loop.ingest(git=("repo", "/abs"), tests=("r/**/*.xml",), revision="a" * 40, json=True)

    here = tmp_path / "elsewhere"
    assert json.loads(capsys.readouterr().out) == {
        "git": {"paths": [str(here / "repo"), "/abs"]},
        "tests": {"paths": [str(here / "r/**/*.xml")], "revision": "a" * 40},
    }


def test_paths_without_a_flag_are_handed_over_for_their_source_to_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = _deployment(tmp_path, "say(event='result', data=json.loads(sys.argv[2]))")
    monkeypatch.setattr(loop, "deployment", lambda: settings)
    monkeypatch.chdir(tmp_path)

    loop.ingest("reports", "/abs", otlp=("o",), run="7", json=True)

    assert json.loads(capsys.readouterr().out) == {
        "otlp": {"paths": [str(tmp_path / "o")]},
        "unsaid": {"paths": [str(tmp_path / "reports"), "/abs"], "run_id": "7"},
    }


def test_a_revision_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tests"):
        loop.ingest(revision="abc")


def test_a_new_deployment_is_whole_and_loads(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    make_deployment(folder)

    settings = load(folder)
    assert str(settings.python) == sys.executable
    assert set(settings.decisions) == {"test_selection", "load_forecast", "anomaly", "deploy_risk"}
    assert {path.name for path in settings.inbox.iterdir()} == set(SOURCES)
    assert (folder / "assets" / "__main__.py").is_file()
    assert (folder / "dagster_home" / "dagster.yaml").is_file()
    assert settings.policy.is_file()
    assert not list(folder.rglob("__pycache__"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")

    with pytest.raises(UsageError, match=r"precious\.txt"):
        make_deployment(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
