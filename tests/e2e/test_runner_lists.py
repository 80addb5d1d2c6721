"""Real runners run what they are handed: in that order, that part of it, and under the same names as before.

Each project is run whole, what its reports name is put into an order and parted, tests that nobody knows yet are added,
and the snippets of docs/runners.md are run, in which ``weaver-forge rank-tests`` and ``select`` give that order. Go,
gotestsum, Maven and jest are installed by ``make peers``; of Gradle there is only what it is called with.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.cli.lists import write_run
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
PAGE = Path(__file__).parents[2] / "docs" / "runners.md"
RANKING = """#!{python}
import json, sys
from pathlib import Path
from weaver_forge.__main__ import main
from weaver_forge.cli.lists import write_rest, write_run
from weaver_forge.hooks.rendering import Lists

if not Path("lists.json").exists():
    sys.exit(main())
said = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert (sys.argv[1], said.pop("--budget", "")) in (("rank-tests", "25%"), ("select", ""))
lists, form = Lists(**json.loads(Path("lists.json").read_text())), said.pop("--format")
for flag, write in (("--run-file", write_run), ("--rest-file", write_rest)):
    if flag in said:
        write(Path(said.pop(flag)), lists, form)
assert not said
"""
"""Stands in for weaver-forge: the order is the test's, all else is the command's own; it is all its own without one."""
GRADLE = """#!/bin/sh
echo gradle "$@"
"""
MAVEN = """#!/bin/sh
exec /usr/bin/env -u MAVEN_ARGS {mvn} -q -o -s /etc/maven/settings-debian.xml -Dmaven.repo.local={repository} "$@"
"""
QUICK = {"MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


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


def follow(folder: Path, chapter: str, lists: Lists | None, variables: Mapping[str, str], part: int = 0) -> str:
    """Run a snippet of the page, as it stands there; what its commands said. Without lists nobody has an answer."""
    found = PAGE.read_text(encoding="utf-8").partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    snippet = re.findall(r"^```sh\n(.*?)^```$", found, re.MULTILINE | re.DOTALL)[part]
    (folder / "lists.json").unlink(missing_ok=True)
    if lists is not None:
        (folder / "lists.json").write_text(json.dumps({"run": lists.run, "rest": lists.rest}), encoding="utf-8")
    (folder / "bin").mkdir(exist_ok=True)
    maven = MAVEN.format(mvn=shutil.which("mvn"), repository=REPOSITORY)
    ours = RANKING.format(python=sys.executable)
    for name, text in (("weaver-forge", ours), ("mvn", maven), ("gradle", GRADLE)):
        (folder / "bin" / name).write_text(text, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{environment_with()['PATH']}"
    return run(folder, "sh", "-e", "-c", snippet, PATH=path, **variables)


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

    follow(tmp_path, "Go", Lists(run=("example.com/m/gone::TestGone", *first), rest=rest), local)

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


def test_a_go_script_that_has_expired_runs_everything(tmp_path: Path) -> None:
    needed("go")
    (tmp_path / "go.mod").write_text("module example.com/m\n\ngo 1.19\n", encoding="utf-8")
    go_file(tmp_path, "a", "TestOne", "TestTwo")
    lists = Lists(
        run=("example.com/m/a::TestOne",),
        rest=("example.com/m/a::TestTwo",),
        told={"expires_at": "2020-01-01T00:00:00Z"},
    )
    write_run(tmp_path / "now.sh", lists, "go")

    said = run(tmp_path, "sh", "now.sh", "-v", GOTOOLCHAIN="local")

    assert "this list has expired" in said
    assert "--- PASS: TestTwo" in said


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
    (tmp_path / "mvn").write_text(MAVEN.format(mvn=shutil.which("mvn"), repository=REPOSITORY), encoding="utf-8")
    run(tmp_path, "sh", "mvn", "test", "-Dsurefire.runOrder=failedfirst", **QUICK)
    names = known(*reports(tmp_path))
    first = [
        "org.ex.ParamTest::p[a,b]", "org.ex.GammaTest::two", "org.ex.OuterTest$InTest::in", "org.ex.AlphaTest::one",
    ]  # fmt: skip
    lists = Lists(run=tuple(first), rest=tuple(name for name in names if name not in first))
    for name in ("AaaNewTest", "NewTest", "ZzzNewTest"):
        java(sources, name, TWO.format(name))
    shutil.rmtree(tmp_path / "target" / "surefire-reports")

    ordered = re.findall(r"RAN (\S+)", follow(tmp_path, "Maven surefire", lists, QUICK))
    again = known(*reports(tmp_path))
    shutil.rmtree(tmp_path / "target" / "surefire-reports")
    methods = re.findall(r"RAN (\S+)", follow(tmp_path, "Maven surefire", lists, QUICK, part=1))

    assert set(names) == {
        *first, "org.ex.AlphaTest::two", "org.ex.BetaTest::one", "org.ex.BetaTest::two", "org.ex.GammaTest::one",
        "org.ex.OuterTest$Other::in", "org.ex.ParamTest::p[c#d]",
    }  # fmt: skip
    classes = firsts(re.split(r"[#$]", name)[0] for name in ordered)
    assert sorted(classes[:3]) == ["AaaNewTest", "NewTest", "ZzzNewTest"]
    assert classes[3:] == ["ParamTest", "GammaTest", "OuterTest", "AlphaTest"]
    assert len(ordered) == len(set(ordered)) == 14
    assert {name for name in again if "NewTest" not in name} == {name for name in names if "BetaTest" not in name}
    assert set(methods) == {name.removeprefix("org.ex.").replace("::", "#") for name in first}
    assert known(*reports(tmp_path)) == sorted(first)


JEST = """
describe('{name} adds', () => {{ test('one (1+1)', () => {{}}); test('two', () => {{ {body} }}); }});
"""


JUNIT = {"JEST_JUNIT_ADD_FILE_ATTRIBUTE": "true", "JEST_JUNIT_OUTPUT_FILE": "junit.xml", "CI": "true"}


def test_jest_runs_files_in_order_without_the_rest_and_new_ones_first(tmp_path: Path) -> None:
    needed("npx")
    if not (PEERS / "jest").is_dir() or not (PEERS / "jest-junit").is_dir():
        pytest.skip("needs jest and jest-junit in tests/peers: make peers")
    (tmp_path / "node_modules").symlink_to(PEERS)
    reporters = '{"private": true, "jest": {"reporters": ["default", "jest-junit"]}}'
    (tmp_path / "package.json").write_text(reporters, encoding="utf-8")
    (tmp_path / "src").mkdir()
    for name in "abcd":
        (tmp_path / "src" / f"{name}.test.js").write_text(JEST.format(name=name, body=""), encoding="utf-8")
    run(tmp_path, "npx", "jest", **JUNIT)
    names = known(tmp_path / "junit.xml")
    first = [name for file in ("c", "a", "d") for name in names if name.startswith(f"src/{file}.test.js::")][:-1]
    lists = Lists(run=tuple(first), rest=tuple(name for name in names if name not in first))
    (tmp_path / "src" / "new.test.js").write_text(JEST.format(name="new", body=""), encoding="utf-8")

    ran = re.findall(r"^PASS (\S+)", follow(tmp_path, "jest", lists, JUNIT), re.MULTILINE)
    alone = run(tmp_path, "npx", "jest", f"--testSequencer={tmp_path / 'order.cjs'}", "src/b.test.js", **JUNIT)
    write_run(tmp_path / "old.cjs", replace(lists, told={"expires_at": "2020-01-01T00:00:00Z"}), "jest")
    expired = run(tmp_path, "npx", "jest", f"--testSequencer={tmp_path / 'old.cjs'}", **JUNIT)

    assert len(names) == 8
    assert ran == [f"src/{name}.test.js" for name in ("new", "c", "a", "d", "new", "b")]
    assert "all 1 files may run later; none is left out" in alone
    assert "PASS src/b.test.js" in alone
    assert "this list has expired" in expired
    assert expired.count("PASS src/") == 5
    assert [name for name in known(tmp_path / "junit.xml") if "/new." not in name] == names


PYTEST = """
import pytest
@pytest.mark.parametrize("text", ["1-c::d", "x"])
def test_p(text): pass
class TestK:
    def test_k(self): pass
def test_flaky(state=[]):
    state.append(1)
    assert len(state) > 1
"""


@pytest.mark.parametrize("options", ["", "-p xdist -n 1"])
def test_pytest_runs_tests_in_order_without_the_rest_and_new_ones_first(tmp_path: Path, options: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "test_m.py").write_text(PYTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\njunit_family = xunit2\n", encoding="utf-8")
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "WEAVER_FORGE_HOME": str(tmp_path), "TRACEPARENT": ""}
    addopts = f"--junitxml=r.xml -p pytest_rerunfailures --reruns 2 {options}"
    run(tmp_path, sys.executable, "-m", "pytest", PYTEST_ADDOPTS=addopts, **quiet)
    names = known(tmp_path / "r.xml")
    first = ["sub.test_m.TestK::test_k", "sub.test_m::test_flaky", "sub.test_m::test_p[1-c::d]"]
    lists = Lists(run=("sub.test_m::test_gone", *first), rest=tuple(name for name in names if name not in first))
    (tmp_path / "sub" / "test_new.py").write_text("def test_new(): pass\n", encoding="utf-8")

    follow(tmp_path, "pytest", lists, {"PYTEST_ADDOPTS": addopts, **quiet})

    ran = [json.loads(line) for line in (tmp_path / "ran.jsonl").read_text(encoding="utf-8").splitlines()][1:]
    assert firsts(line["test_id"] for line in ran) == ["sub.test_new::test_new", *first]
    assert set(names) == {*first, "sub.test_m::test_p[x]"}
    assert known(tmp_path / "r.xml") == known(tmp_path / "ran.jsonl") == sorted(["sub.test_new::test_new", *first])
    assert results(tmp_path / "r.xml", tmp_path / "ran.jsonl").height == len(first) + 1 + 1


def two_of_pytest(folder: Path) -> None:
    (folder / "test_m.py").write_text("def test_one(): pass\ndef test_two(): pass\n", encoding="utf-8")


def two_of_go(folder: Path) -> None:
    (folder / "go.mod").write_text("module example.com/m\n\ngo 1.19\n", encoding="utf-8")
    go_file(folder, "a", "TestOne")
    go_file(folder, "b", "TestTwo")


def two_of_maven(folder: Path) -> None:
    if not (REPOSITORY / "org/apache/maven/plugins/maven-surefire-plugin").is_dir():
        pytest.skip("needs Maven's plugins from Debian: make peers")
    sources = folder / "src" / "test" / "java" / "org" / "ex"
    sources.mkdir(parents=True)
    (folder / "pom.xml").write_text(POM, encoding="utf-8")
    for name in ("OneTest", "TwoTest"):
        java(sources, name, f'@Test public void t() {{ System.out.println("RAN {name}"); }}')


def two_of_jest(folder: Path) -> None:
    if not (PEERS / "jest").is_dir():
        pytest.skip("needs jest in tests/peers: make peers")
    (folder / "node_modules").symlink_to(PEERS)
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    for name in ("one", "two"):
        (folder / f"{name}.test.js").write_text(JEST.format(name=name, body=""), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """A project with two tests, of which one is left for later.

    Args:
        part: Which snippet of the chapter is for it.
        names: Of the test that runs, and of the other.
        ran: How its runner names a test that ran.
        now: What is seen where there is a list.
        whole: What is seen where there is none.
    """

    part: int
    build: Callable[[Path], None]
    names: tuple[str, str]
    ran: str
    now: tuple[str, ...]
    whole: tuple[str, ...]
    programs: tuple[str, ...] = ()


TWO_TESTS = {
    "pytest": Two(
        part=0, build=two_of_pytest, names=("test_m::test_one", "test_m::test_two"), ran=r"::(\w+) PASSED",
        now=("test_one",), whole=("test_one", "test_two"),
    ),
    "go": Two(
        part=1, build=two_of_go, names=("example.com/m/a::TestOne", "example.com/m/b::TestTwo"),
        ran=r"(?m)^--- PASS: (\w+)", now=("TestOne",), whole=("TestOne", "TestTwo"), programs=("go",),
    ),
    "surefire": Two(
        part=2, build=two_of_maven, names=("org.ex.OneTest::t", "org.ex.TwoTest::t"), ran=r"RAN (\w+)",
        now=("OneTest",), whole=("OneTest", "TwoTest"), programs=("mvn",),
    ),
    "jest": Two(
        part=3, build=two_of_jest, names=("one.test.js::one", "two.test.js::two"), ran=r"(?m)^PASS \S*?(\w+)\.test\.js",
        now=("one",), whole=("one", "two"), programs=("npx",),
    ),
    "gradle": Two(
        part=4, build=lambda folder: None, names=("org.ex.OneTest::t", "org.ex.TwoTest::t"), ran=r"(?m)^gradle (.+)$",
        now=("test --init-script tests.gradle",), whole=("test",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("runner", TWO_TESTS)
def test_where_there_is_no_list_the_whole_suite_runs(tmp_path: Path, runner: str) -> None:
    """The command without an answer is the real one, in a folder without a deployment; then one without a test."""
    two = TWO_TESTS[runner]
    needed(*two.programs)
    two.build(tmp_path)
    variables = {"WEAVER_FORGE_HOME": "", "PYTEST_ADDOPTS": "-v", "GOTOOLCHAIN": "local", "CI": "true", **QUICK}
    answers = {"list": Lists(run=two.names[:1], rest=two.names[1:]), "error": None, "nothing": Lists(run=())}

    seen = {
        answer: follow(tmp_path, "The whole suite where there is no list", lists, variables, two.part)
        for answer, lists in answers.items()
    }

    ran = {answer: tuple(sorted(set(re.findall(two.ran, said)))) for answer, said in seen.items()}
    assert ran == {"list": two.now, "error": two.whole, "nothing": two.whole}, seen
    assert "no weaver-forge.toml here or above" in seen["error"]
