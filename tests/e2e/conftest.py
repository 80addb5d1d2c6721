"""The command line as a user has it: a process a call, in folders of its own, told nothing by this environment.

A command that starts the pipeline costs tens of seconds, so each story is lived once a session and looked at often.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.settings import environment_with, load
from weaver_forge.testing import OrganisationPlan
from weaver_forge.testing.cases import cases
from weaver_forge.testing.git_writer import advance_git, write_repository
from weaver_forge.testing.history import develop

CHECKOUT = Path(__file__).parents[2]
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The error lines, without the prefix."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]

    @property
    def data(self) -> Any:
        """The answer to ``--json``."""
        return json.loads(self.out)


Call = Callable[..., Said]


def start(command: list[str], cwd: Path, **variables: str) -> Said:
    """Run a command to its end, without what the outer environment says about deployments or workflows."""
    ours = ("WEAVER_FORGE_", "GITHUB_", "DAGSTER_", "MLFLOW_", "PYTEST_", "GIT_")
    environment = {name: value for name, value in environment_with(**variables).items() if not name.startswith(ours)}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def forge() -> Call:
    """Call ``weaver-forge ARGUMENTS`` in a folder."""

    def call(*arguments: str | Path, cwd: Path) -> Said:
        return start([sys.executable, "-m", "weaver_forge", *map(str, arguments)], cwd)

    return call


@pytest.fixture(scope="session")
def program() -> Call:
    """Call any program in a folder."""

    def call(*command: str | Path, cwd: Path, **variables: str) -> Said:
        return start([*map(str, command)], cwd, **variables)

    return call


@pytest.fixture(scope="session")
def new_deployment(forge: Call, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a deployment as `init` makes it; ``settings`` are added to its weaver-forge.toml."""

    def make(settings: str = "") -> Path:
        root = tmp_path_factory.mktemp("mine") / "forge"
        made = forge("init", root, cwd=root.parent)
        assert made.code == 0, made.err
        with (root / "weaver-forge.toml").open("a", encoding="utf-8") as file:
            file.write(settings)
        return root

    return make


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of some two hundred commits, the oldest 300 days old and the newest of last week."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "weaver-forge.toml").touch()
    begin = load(folder).now().date() - timedelta(days=300)
    plan = replace(OrganisationPlan.small(), start=begin, days=290, commits=260)
    write_repository(develop(plan, cases(plan)), folder / "shop")
    advance_git(folder / "shop", plan.ends_at)
    return folder / "shop"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's own repository as it is now: others may commit to it while the tests run. Shallow if it is."""
    clone = tmp_path_factory.mktemp("own") / "weaver-forge"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True, capture_output=True)
    return clone


@pytest.fixture(scope="session")
def is_shallow(checkout: Path) -> bool:
    """Whether the history of this project is cut off here, as a continuous integration's often is."""
    asked = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--is-shallow-repository"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return asked.stdout.strip() == "true"


@dataclass(frozen=True, slots=True)
class FirstDay:
    """A newcomer's deployment after a run with nothing but git history."""

    root: Path
    before: Said
    run: Said


@pytest.fixture(scope="session")
def first_day(
    forge: Call, new_deployment: Callable[[str], Path], repository: Path, checkout: Path, is_shallow: bool
) -> FirstDay:
    """`init`, a line of settings, `doctor`, `run`."""
    histories = [str(repository)] if is_shallow else [str(repository), str(checkout)]
    root = new_deployment(f"\n[sources]\ngit = {json.dumps(histories)}\n")
    before = forge("doctor", cwd=root)
    return FirstDay(root, before, forge("run", cwd=root))
