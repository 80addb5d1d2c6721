"""weaver-forge import: what is fetched lies in the inbox, and the command says what it was."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from weaver_forge.cli.app import run
from weaver_forge.errors import UsageError
from weaver_forge.testing.fake_github import FakeGitHub
from weaver_forge.testing.fake_server import FakeClock

NOW = datetime(2026, 3, 20, 12)


@pytest.fixture
def server() -> FakeGitHub:
    fake = FakeGitHub(FakeClock(NOW))
    fake.add_history(5, datetime(2026, 3, 1), NOW)
    return fake


def place(folder: Path, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "weaver-forge.toml").write_text(
        f'[clock]\nnow = "2026-03-20T12:00:00Z"\n[github]\nrepositories = ["acme/shop"]\napi = "{api}"\n'
    )
    monkeypatch.setenv("WEAVER_FORGE_HOME", str(folder))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)


def test_configured_repositories_are_fetched_into_the_inbox(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server:
        place(tmp_path, server.address, monkeypatch)
        code = run(["import", "github", "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (said["imported"][0]["repository"], said["imported"][0]["runs"]) == ("acme/shop", 5)
    assert all(Path(name).is_file() for name in said["imported"][0]["files"])


def test_a_repository_that_cannot_be_read_is_said_and_ends_with_five(
    server: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server:
        place(tmp_path, server.address, monkeypatch)
        code = run(["import", "github", "acme/other", "acme/shop", "--since", "2026-03-01"])

    said = capsys.readouterr()
    assert code == 5
    assert "acme/shop: 5 runs" in said.out
    assert "Check the repository's name" in said.err


@pytest.mark.parametrize("arguments", [["--since", "lately", "acme/shop"], []])
def test_what_cannot_be_meant_is_a_usage_error(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weaver-forge.toml").write_text("")
    monkeypatch.setenv("WEAVER_FORGE_HOME", str(tmp_path))

    with pytest.raises(UsageError):
        run(["import", "gitlab", *arguments])
