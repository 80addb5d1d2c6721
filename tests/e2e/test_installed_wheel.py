"""The built wheel in a clean environment with its base dependencies: what a gate in somebody else's CI has."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).parents[2]
HEAVY = ("polars", "pyarrow", "deltalake", "dagster", "mlflow", "sklearn", "numpy")


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that has the wheel and nothing of this checkout."""

    python: Path
    forge: Path


def uv(*arguments: str | Path) -> None:
    """Run uv; without a package index the tests of this module are skipped, saying so."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        pytest.skip("needs uv, which `make setup` installs")
    done = subprocess.run([found, *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode and any(word in done.stderr for word in ("error sending request", "dns error", "offline")):
        pytest.skip(f"needs a package index or uv's cache: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    (wheel,) = folder.glob("weaver_forge-*.whl")
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    constraints = CHECKOUT / "constraints.txt"
    uv("pip", "install", "--quiet", "--compile-bytecode", "--python", python, "--constraints", constraints, wheel)
    return Installed(python, python.with_name("weaver-forge"))


@pytest.fixture(scope="session")
def made(installed: Installed, program: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that the wheel made, far from the checkout; its pipeline is the interpreter of these tests."""
    root = tmp_path_factory.mktemp("elsewhere") / "forge"
    said = program(installed.forge, "init", root, cwd=root.parent)
    assert said.code == 0, said.err
    assert "cannot run the pipeline yet" in said.out
    settings = root / "weaver-forge.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(str(installed.python), sys.executable), encoding="utf-8")
    return root


@pytest.fixture
def hostile(tmp_path: Path, repository: Path) -> Path:
    """A repository with packages of our trees' names that must never be imported."""
    folder = tmp_path / "shop"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(folder)], check=True, capture_output=True)
    subprocess.run(
        ["git", "-C", str(folder), "remote", "set-url", "origin", _remote(repository)], check=True, capture_output=True
    )
    for name in ("models", "assets", "weaver_forge"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n", encoding="utf-8")
    return folder


def _remote(repository: Path) -> str:
    asked = ["git", "-C", str(repository), "config", "--get", "remote.origin.url"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def test_the_wheel_knows_its_version(installed: Installed, program: Callable[..., Any], tmp_path: Path) -> None:
    said = program(installed.forge, "--version", cwd=tmp_path)

    assert (said.code, said.out.strip(), said.err) == (0, "0.1.0", "")


def test_only_the_light_library_is_importable(
    installed: Installed, program: Callable[..., Any], tmp_path: Path
) -> None:
    """A wheel with a top-level `models` would break every repository that has its own."""
    script = (
        "import importlib.util as u, weaver_forge, sys;"
        f"print(weaver_forge.__file__); print([n for n in {('assets', 'models', *HEAVY)!r} if u.find_spec(n)])"
    )

    said = program(installed.python, "-I", "-c", script, cwd=tmp_path)

    place, found = said.out.splitlines()
    assert Path(place).is_relative_to(installed.python.parents[1])
    assert found == "[]"


@pytest.mark.parametrize("tree", ["assets", "models"])
def test_init_copies_the_whole_tree(tree: str, made: Path) -> None:
    ours = {
        path.relative_to(CHECKOUT): path.read_bytes()
        for path in (CHECKOUT / tree).rglob("*")
        if path.is_file() and path.suffix in {".py", ".md"}
    }

    copied = {
        path.relative_to(made): path.read_bytes() for path in (made / tree).rglob("*") if path.suffix in {".py", ".md"}
    }

    assert copied.keys() == ours.keys()
    assert [name for name in ours if ours[name] != copied[name]] == []


def test_the_wheel_upgrades_a_deployment_and_keeps_what_was_changed_there(
    installed: Installed, program: Callable[..., Any], tmp_path: Path
) -> None:
    """As if an earlier release had had other files: the note of `init` says that it put them there."""
    root = tmp_path / "forge"
    assert program(installed.forge, "init", root, cwd=tmp_path).code == 0
    note = root / "weaver-forge.files.json"
    said = json.loads(note.read_text(encoding="utf-8"))
    for name, was in (("assets/jobs.py", b"earlier"), ("assets/report.py", b"earlier too")):
        (root / name).write_bytes(was)
        said["files"][name] = hashlib.sha256(was).hexdigest()
    (root / "assets" / "report.py").write_bytes(b"mine")
    note.write_text(json.dumps(said), encoding="utf-8")

    foreseen = program(installed.forge, "upgrade", "--dry-run", "--json", cwd=root)
    done = program(installed.forge, "upgrade", "--json", cwd=root)
    again = program(installed.forge, "upgrade", cwd=root)

    ours = {name: (CHECKOUT / "assets" / name).read_bytes() for name in ("jobs.py", "report.py")}
    assert (foreseen.code, done.code, again.code) == (0, 0, 0), done.err
    assert foreseen.data["replaced"] == done.data["replaced"] == ["assets/jobs.py"]
    assert done.data["beside"] == ["assets/report.py"]
    assert (root / "assets" / "jobs.py").read_bytes() == ours["jobs.py"]
    assert (root / "assets" / "report.py").read_bytes() == b"mine"
    assert (root / "assets" / "report.py.new").read_bytes() == ours["report.py"]
    assert "Nothing to do" in again.out


def test_a_deployment_of_the_wheel_starts_its_pipeline(
    made: Path, installed: Installed, program: Callable[..., Any]
) -> None:
    """Its own assets and models are the ones that are asked: what they say comes back, with their exit code."""
    said = program(installed.forge, "backtest", "nope", cwd=made)

    assert said.code == 2
    assert said.errors == ["unknown decision 'nope'. Registered: test_selection, load_forecast, anomaly, deploy_risk"]


def test_the_gate_answers_in_a_repository_with_a_models_package_of_its_own(
    installed: Installed, program: Callable[..., Any], first_day: Any, hostile: Path
) -> None:
    said = program(
        *(installed.forge, "gate", "--decision", "deploy_risk", "--change", "HEAD", "--from", first_day.root),
        cwd=hostile,
    )

    assert said.code == 0, said.err
    assert "the wrong package" not in said.out + said.err
    assert said.out.startswith(("ALLOW", "REVIEW", "DENY"))


def test_the_gate_imports_nothing_heavy(
    installed: Installed, program: Callable[..., Any], first_day: Any, hostile: Path
) -> None:
    """Under the test environment's interpreter too, where all of it could be imported."""
    script = (
        "import sys; from weaver_forge.cli.app import run;"
        f"run(['gate', '--decision', 'deploy_risk', '--change', 'HEAD', '--from', {str(first_day.root)!r}]);"
        f"print('HEAVY', [n for n in {HEAVY!r} if n in sys.modules])"
    )

    for python in (installed.python, sys.executable):
        said = program(python, "-I", "-c", script, cwd=hostile)
        assert said.out.splitlines()[-1] == "HEAVY []", said.err
