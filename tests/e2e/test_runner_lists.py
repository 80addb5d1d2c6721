"""Real runners run what they are handed: in that order, that part of it, and under the same names as before.

Each project is run whole, what its reports name is put into an order and parted, tests that nobody knows yet are added,
and the runner takes the written list. Go, gotestsum, Maven and jest are installed by ``make peers``.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.cli.lists import write_rest, write_run
from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import (
    CORE_CI_TEST_RESULTS,
    RAW_GITHUB_ACTIONS_JOBS,
    RAW_GITHUB_ACTIONS_RUNS,
    RAW_TEST_RESULTS,
)
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.hooks.rendering import Lists
from weaver_forge.links import core_ci
from weaver_forge.settings import environment_with

pytestmark = pytest.mark.e2e
TOLD = Told(received_at=datetime(2100, 1, 1), revision="a" * 40, run_id="1")
REPOSITORY = Path("/usr/share/maven-repo")
PEERS = Path(__file__).parents[1] / "peers" / "node_modules"


def needed(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: make peers")


def run(folder: Path, *command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment_with(**variables), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def results(*reports: Path) -> pl.DataFrame:
    """What reports of one run are as ``core_ci__test_results``."""
    batch = decode([Frame(str(path), path.read_bytes()) for path in reports], TOLD)
    assert batch.rejected == ()
    others = (RAW_GITHUB_ACTIONS_RUNS, RAW_GITHUB_ACTIONS_JOBS, RAW_GIT_COMMITS)
    tables = core_ci(batch.tables[RAW_TEST_RESULTS.name], *map(empty, others))
    return tables[CORE_CI_TEST_RESULTS.name]


def known(*reports: Path) -> list[str]:
    return sorted(set(results(*reports)["test_id"]))


def firsts(seen: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(seen))


def go_file(folder: Path, package: str, *names: str) -> None:
    (folder / package).mkdir(exist_ok=True)
    bodies = "".join(f'func {name}(t *testing.T) {{ t.Run("x/y z", func(t *testing.T) {{}}) }}\n' for name in names)
    text = f'package {package}\nimport "testing"\n{bodies}'
    (folder / package / f"{names[0].lower()}_test.go").write_text(text, encoding="utf-8")


def go_events(path: Path) -> list[tuple[str, str]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        (event["Package"].rpartition("/")[2], event["Test"])
        for event in events
        if event["Action"] == "run" and "/" not in event["Test"]
    ]


def test_go_runs_packages_in_order_without_the_rest_and_with_what_is_new(tmp_path: Path) -> None:
    needed("go", "gotestsum")
    (tmp_path / "go.mod").write_text("module example.com/m\n\ngo 1.19\n", encoding="utf-8")
    for package in ("a", "b", "d"):
        go_file(tmp_path, package, "TestOne", "TestOneMore", "TestTwo")
    local = {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    whole = tmp_path / "whole.jsonl"
    whole.write_text(run(tmp_path, "go", "test", "-json", "./...", **local), encoding="utf-8")
    names = known(whole)
    first = ["example.com/m/b::TestTwo", "example.com/m/a::TestOne", "example.com/m/b::TestOneMore"]
    go_file(tmp_path, "a", "TestNew")
    go_file(tmp_path, "c", "TestFresh")
    rest = tuple(name for name in names if name not in first)
    lists = Lists(run=("example.com/m/gone::TestGone", *first), rest=rest)
    write_run(tmp_path / "now.sh", lists, "go")
    write_rest(tmp_path / "later.sh", lists, "go")

    files = ("--junitfile", "now.xml", "--jsonfile", "now.jsonl")
    run(tmp_path, "gotestsum", *files, "--raw-command", "--", "sh", "now.sh", "-json", **local)
    (tmp_path / "later.jsonl").write_text(run(tmp_path, "sh", "later.sh", "-json", **local), encoding="utf-8")

    now, later = go_events(tmp_path / "now.jsonl"), go_events(tmp_path / "later.jsonl")
    assert firsts(package for package, _ in now) == ["c", "b", "a"]
    assert set(now) == {("c", "TestFresh"), ("b", "TestTwo"), ("b", "TestOneMore"), ("a", "TestOne"), ("a", "TestNew")}
    assert {name for name in later if name[1] not in {"TestNew", "TestFresh"}} == {
        ("a", "TestOneMore"), ("a", "TestTwo"), ("b", "TestOne"), ("d", "TestOne"), ("d", "TestOneMore"),
        ("d", "TestTwo"),
    }  # fmt: skip
    assert known(tmp_path / "now.xml") == known(tmp_path / "now.jsonl")
    assert {name for name in known(tmp_path / "now.jsonl") if "New" not in name and "Fresh" not in name} <= set(names)
    assert results(tmp_path / "now.xml", tmp_path / "now.jsonl")["attempt"].max() == 1


def test_a_go_script_fails_as_its_tests_do_and_runs_the_others(tmp_path: Path) -> None:
    needed("go")
    (tmp_path / "go.mod").write_text("module example.com/m\n\ngo 1.19\n", encoding="utf-8")
    for package in ("a", "b"):
        go_file(tmp_path, package, "TestOne")
    (tmp_path / "a" / "bad_test.go").write_text("package a\nthis is no Go\n", encoding="utf-8")
    run_now = tuple(f"example.com/m/{package}::TestOne" for package in ("a", "gone", "b"))
    lists = Lists(run=run_now, rest=("example.com/m/a::TestGone",))
    write_run(tmp_path / "now.sh", lists, "go")

    done = subprocess.run(
        ["sh", "now.sh", "-v"], cwd=tmp_path, env=environment_with(GOTOOLCHAIN="local"), capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "m/gone is not here" in done.stderr
    assert "FAIL\texample.com/m/a [setup failed]" in done.stdout
    assert "ok  \texample.com/m/b" in done.stdout


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>org.ex</groupId><artifactId>m</artifactId><version>1</version>
<properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version>
<scope>test</scope></dependency></dependencies>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-surefire-plugin</artifactId>
<version>2.22.3</version></plugin></plugins></build></project>
"""
JAVA = """package org.ex;
import org.junit.*; import org.junit.runner.*; import org.junit.runners.*; import java.util.*;
{runner}public class {name} {{ {body} }}
"""
TWO = """@Test public void one() {{ System.out.println("RAN {0}#one"); }}
@Test public void two() {{ System.out.println("RAN {0}#two"); }}"""
PARAMETERS = """@Parameterized.Parameters(name="{0}") public static Collection<Object[]> data() {
  return Arrays.asList(new Object[][]{{"a,b"}, {"c#d"}}); }
@Parameterized.Parameter public String x;
@Test public void p() { System.out.println("RAN ParamTest#p[" + x + "]"); }"""
NESTED = """public static class InTest { @Test public void in() { System.out.println("RAN OuterTest$InTest#in"); } }
public static class Other { @Test public void in() { System.out.println("RAN OuterTest$Other#in"); } }"""


def java(folder: Path, name: str, body: str, runner: str = "") -> None:
    text = JAVA.format(name=name, body=body, runner=f"@RunWith({runner}.class) " if runner else "")
    (folder / f"{name}.java").write_text(text, encoding="utf-8")


def maven(folder: Path, *options: str | Path) -> list[str]:
    """Run Maven's tests; the tests that ran, in order."""
    shutil.rmtree(folder / "target" / "surefire-reports", ignore_errors=True)
    command = ("mvn", "-q", "-o", "-s", "/etc/maven/settings-debian.xml", f"-Dmaven.repo.local={REPOSITORY}", "test")
    said = run(folder, *command, *options, MAVEN_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    return re.findall(r"RAN (\S+)", said)


def reports(folder: Path) -> list[Path]:
    return sorted((folder / "target" / "surefire-reports").glob("TEST-*.xml"))


def test_surefire_runs_classes_in_order_without_the_rest_and_single_methods(tmp_path: Path) -> None:
    needed("mvn", "xargs")
    if not (REPOSITORY / "org/apache/maven/plugins/maven-surefire-plugin").is_dir():
        pytest.skip("needs Maven's plugins from Debian: make peers")
    sources = tmp_path / "src" / "test" / "java" / "org" / "ex"
    sources.mkdir(parents=True)
    (tmp_path / "pom.xml").write_text(POM, encoding="utf-8")
    for name in ("AlphaTest", "BetaTest", "GammaTest"):
        java(sources, name, TWO.format(name))
    java(sources, "ParamTest", PARAMETERS, "Parameterized")
    java(sources, "OuterTest", NESTED, "org.junit.experimental.runners.Enclosed")
    maven(tmp_path, "-Dsurefire.runOrder=failedfirst")
    names = known(*reports(tmp_path))
    first = [
        "org.ex.ParamTest::p[a,b]", "org.ex.GammaTest::two", "org.ex.OuterTest$InTest::in", "org.ex.AlphaTest::one",
    ]  # fmt: skip
    lists = Lists(run=tuple(first), rest=tuple(name for name in names if name not in first))
    write_run(tmp_path / "tests.excludes", lists, "surefire")
    java(sources, "NewTest", TWO.format("NewTest"))
    for statistics in tmp_path.glob(".surefire-*"):
        shutil.copy(tmp_path / "tests.excludes.order", statistics)

    ordered = maven(
        tmp_path, "-Dsurefire.runOrder=failedfirst", f"-Dsurefire.excludesFile={tmp_path / 'tests.excludes'}"
    )
    again = known(*reports(tmp_path))
    (option,) = (tmp_path / "tests.excludes.methods").read_text(encoding="utf-8").splitlines()
    methods = maven(tmp_path, option)

    assert set(names) == {
        *first, "org.ex.AlphaTest::two", "org.ex.BetaTest::one", "org.ex.BetaTest::two", "org.ex.GammaTest::one",
        "org.ex.OuterTest$Other::in", "org.ex.ParamTest::p[c#d]",
    }  # fmt: skip
    assert firsts(re.split(r"[#$]", name)[0] for name in ordered) == [
        "NewTest", "ParamTest", "GammaTest", "OuterTest", "AlphaTest"
    ]  # fmt: skip
    assert len(ordered) == len(set(ordered)) == 10
    assert {name for name in again if "NewTest" not in name} == {name for name in names if "BetaTest" not in name}
    assert set(methods) == {name.removeprefix("org.ex.").replace("::", "#") for name in first}
    assert known(*reports(tmp_path)) == sorted(first)


JEST = """
describe('{name} adds', () => {{ test('one (1+1)', () => {{}}); test('two', () => {{ {body} }}); }});
"""


def jest(folder: Path, *options: str | Path) -> list[str]:
    """Run jest; the files that ran, in order."""
    variables = {"JEST_JUNIT_ADD_FILE_ATTRIBUTE": "true", "JEST_JUNIT_OUTPUT_FILE": "junit.xml", "CI": "true"}
    command = ("node", PEERS / "jest" / "bin" / "jest.js", "-i", "--reporters=default", "--reporters=jest-junit")
    return re.findall(r"^PASS (\S+)", run(folder, *command, *options, **variables), re.MULTILINE)


def test_jest_runs_files_in_order_without_the_rest_and_new_ones_first(tmp_path: Path) -> None:
    needed("node")
    if not (PEERS / "jest").is_dir() or not (PEERS / "jest-junit").is_dir():
        pytest.skip("needs jest and jest-junit in tests/peers: make peers")
    (tmp_path / "node_modules").symlink_to(PEERS)
    (tmp_path / "package.json").write_text('{"private": true}', encoding="utf-8")
    (tmp_path / "src").mkdir()
    for name in "abcd":
        (tmp_path / "src" / f"{name}.test.js").write_text(JEST.format(name=name, body=""), encoding="utf-8")
    jest(tmp_path)
    names = known(tmp_path / "junit.xml")
    first = [name for file in ("c", "a", "d") for name in names if name.startswith(f"src/{file}.test.js::")][:-1]
    lists = Lists(run=tuple(first), rest=tuple(name for name in names if name not in first))
    write_run(tmp_path / "order.cjs", lists, "jest")
    write_rest(tmp_path / "later.cjs", lists, "jest")
    (tmp_path / "src" / "new.test.js").write_text(JEST.format(name="new", body=""), encoding="utf-8")

    later = jest(tmp_path, f"--testSequencer={tmp_path / 'later.cjs'}")
    ordered = jest(tmp_path, f"--testSequencer={tmp_path / 'order.cjs'}")
    alone = jest(tmp_path, f"--testSequencer={tmp_path / 'order.cjs'}", "src/b.test.js")

    assert len(names) == 8
    assert ordered == [f"src/{name}.test.js" for name in ("new", "c", "a", "d")]
    assert later == [f"src/{name}.test.js" for name in ("new", "b")]
    assert alone == ["src/b.test.js"]
    assert [name for name in known(tmp_path / "junit.xml") if name not in names] == []
