"""Code hosts are read from weaver-forge.toml, and one repository that cannot be read stops no other."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.errors import ConfigurationError, SourceError
from weaver_forge.settings import load
from weaver_forge.sources.hosts import Host, configured, fetch, summary
from weaver_forge.sources.rest import Patience
from weaver_forge.testing.fake_github import FakeGitHub
from weaver_forge.testing.fake_server import FakeClock

NOW = datetime(2026, 3, 20, 12)


def host(section: dict[str, Any], root: Path = Path(), kind: str = "github", **variables: str) -> Host:
    return configured(kind, section, root=root, variable=variables.get)


def test_what_is_not_said_has_a_default() -> None:
    made = host({"repositories": ["acme/shop"]}, GITHUB_TOKEN="t0")

    assert made == Host(kind="github", api="https://api.github.com", repositories=("acme/shop",), token="t0")


def test_a_section_of_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "weaver-forge.toml").write_text(
        '[gitlab]\nrepositories = ["a/b/c"]\napi = "https://git.example.org/api/v4"\nsince = 2026-01-02\n'
        'token_file = "secret"\n'
    )
    (tmp_path / "secret").write_text("t1\n")

    made = host(dict(load(tmp_path).code_hosts["gitlab"]), tmp_path, "gitlab")

    assert (made.api, made.token, made.since) == ("https://git.example.org/api/v4", "t1", datetime(2026, 1, 2))


def test_a_token_is_shown_nowhere() -> None:
    assert "t0ken" not in repr(host({}, GITHUB_TOKEN="t0ken"))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"repositories": "acme/shop"}, "is no list of names"),
        ({"repositories": ["shop"]}, "is no list of names"),
        ({"api": "api.github.com"}, "is no web address"),
        ({"token_env": "NOT_THERE"}, "the variable NOT_THERE is not set"),
        ({"token_file": "not-there"}, "the token cannot be read"),
        ({"since": "lately"}, "is no date"),
    ],
)
def test_what_cannot_be_meant_is_refused(section: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        host(section, tmp_path)


def test_a_repository_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    clock = FakeClock(NOW)
    server = FakeGitHub(clock)
    server.add_run(datetime(2026, 3, 19))
    with server:
        made = Host(kind="github", api=server.address, repositories=("acme/gone", "acme/shop"))
        gone, shop = fetch(made, tmp_path, now=clock.now, patience=Patience(), sleep=clock.sleep)

    assert isinstance(gone, SourceError)
    assert not isinstance(shop, SourceError)
    assert summary(shop) == "acme/shop: 1 runs, 2 jobs"
    assert sorted(path.parent.name for path in tmp_path.rglob("*.jsonl")) == ["acme__shop"]
