"""What was written for the source `junit` still means test reports."""

from pathlib import Path

import pytest

from weaver_forge.cli import loop
from weaver_forge.cli.app import build
from weaver_forge.errors import ConfigurationError
from weaver_forge.settings import load


def test_a_configuration_that_says_junit_names_test_reports(tmp_path: Path) -> None:
    (tmp_path / "weaver-forge.toml").write_text('[sources]\njunit = ["a/*.xml"]\ntests = ["b/*"]\n', encoding="utf-8")

    assert load(tmp_path).sources == {"tests": ("a/*.xml", "b/*")}


def test_an_unknown_source_is_answered_with_the_names_of_today(tmp_path: Path) -> None:
    (tmp_path / "weaver-forge.toml").write_text('[sources]\njnuit = ["a/*.xml"]\n', encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"tests") as refused:
        load(tmp_path)

    assert "junit" not in str(refused.value).replace("jnuit", "")


@pytest.mark.parametrize("flag", ["--tests", "--junit"])
def test_both_flags_name_test_reports(flag: str) -> None:
    command, bound, _ = build().parse_args(["ingest", flag, "r.xml"])

    assert command is loop.ingest
    assert bound.arguments["tests"] == ("r.xml",)
