"""The reference is made from the commands: none can be missing, and no argument can be without a meaning."""

import re
from pathlib import Path

import pytest

from weaver_forge.cli.app import COMMANDS, SUBCOMMANDS
from weaver_forge.cli.reference import markdown

PUBLISHED = Path(__file__).parents[2] / "docs" / "cli.md"
NAMES = [name for _, name, _, _ in COMMANDS] + [
    f"{g} {n}" for g, (_, inner) in SUBCOMMANDS.items() for n, _, _ in inner
]


def test_the_reference_is_what_the_code_says() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == markdown(), "run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_in_the_reference_and_speaks_json(name: str) -> None:
    """``dev`` alone has no answer to print."""
    section = markdown().split(f"## weaver-forge {name}\n")[1].split("\n## ")[0]

    assert "`--json`" in section or name == "dev"


def test_every_argument_has_a_meaning() -> None:
    assert not re.findall(r"^\| .* \|  \|$", markdown(), flags=re.MULTILINE)
