"""What pytest takes for paths of tests before it knows the plugin's flags."""

from pathlib import Path

import pytest

from weaver_forge.hooks.pytest_paths import misled

FLAGS = ("--weaver-mode", "--weaver-from")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with an ini file in a folder, and rankings inside and outside of that."""
    (tmp_path / "shop" / "tests").mkdir(parents=True)
    (tmp_path / "shop" / "pytest.ini").write_text("[pytest]\n")
    for name in ("ranking.json", "shop/ranking.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("here", "arguments"),
    [
        ("shop", ["--weaver-from", "ranking.json"]),
        ("shop", ["--weaver-from=../ranking.json"]),
        ("shop", ["--weaver-from", "../none.json", "tests"]),
        ("shop", ["tests", "-k", "a or b", "--weaver-mode", "select"]),
    ],
)
def test_a_value_within_the_project_or_none_leads_nowhere(root: Path, here: str, arguments: list[str]) -> None:
    assert not misled(arguments, FLAGS, root / here, None)


def test_a_value_above_tests_that_leads_to_the_same_ini_file_changes_nothing(root: Path) -> None:
    ini = root / "shop" / "pytest.ini"

    assert not misled(["--weaver-from", "../ranking.json"], FLAGS, root / "shop" / "tests", ini)


@pytest.mark.parametrize("found", [None, "pytest.ini"])
@pytest.mark.parametrize("more", [[], ["tests"], ["tests/test_a.py::test_b"]])
def test_a_value_above_the_project_does_and_the_flag_is_named(root: Path, more: list[str], found: str | None) -> None:
    (said,) = misled([*more, "--weaver-from", "../ranking.json"], FLAGS, root / "shop", root / found if found else None)

    assert "write --weaver-from=..." in said


def test_a_folder_called_as_a_mode_is_a_path_too(root: Path) -> None:
    (root / "select").mkdir()

    (said,) = misled(["--weaver-mode", "select", "shop"], FLAGS, root, None)

    assert "write --weaver-mode=..." in said
