"""Real test runners write reports here, and each is read as what happened: pytest, Go, and Maven's surefire.

Go, gotestsum and Maven are Debian packages (golang-go, gotestsum, maven, libsurefire-java, junit4); a test skips,
saying so, where they are missing.
"""

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode import coverage_contexts
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode
from weaver_forge.settings import environment_with

pytestmark = pytest.mark.e2e
TOLD = Told(received_at=datetime(2100, 1, 1))

PYTEST = """
import pathlib, pytest

@pytest.mark.parametrize("text", ["a/b", "c::d", "[e]"])
def test_param(text): pass

@pytest.mark.parametrize("text", ["x|run"])
def test_bad(text): assert not text

class TestCls:
    def test_skip(self): pytest.skip("later")
    @pytest.mark.xfail
    def test_xfail(self): assert 0
    @pytest.mark.xfail(strict=True)
    def test_xpass(self): pass

def test_flaky(tmp_path_factory):
    mark = pathlib.Path(__file__).with_name("mark")
    is_first = not mark.exists()
    mark.write_text("")
    assert not is_first

@pytest.fixture
def bad_setup(): raise RuntimeError("setup")
def test_setup(bad_setup): pass

@pytest.fixture
def bad_teardown():
    yield
    raise RuntimeError("teardown")
def test_teardown(bad_teardown): pass
"""
PYTEST_TRUTH = {
    "test_param[a/b]": ("passed", 1),
    "test_param[c::d]": ("passed", 1),
    "test_param[[e]]": ("passed", 1),
    "test_bad[x|run]": ("failed", 3),
    "test_skip": ("skipped", 1),
    "test_xfail": ("xfailed", 1),
    "test_xpass": ("xpassed", 3),
    "test_flaky": ("passed", 2),
    "test_setup": ("error", 3),
    "test_teardown": ("error", 3),
}
"""Name -> how it ended, after how many executions (two reruns)."""


def rows(path: Path) -> pl.DataFrame:
    batch = decode([Frame(str(path), path.read_bytes())], TOLD)
    assert batch.rejected == ()
    return batch.tables[RAW_TEST_RESULTS.name]


def ended(frame: pl.DataFrame) -> dict[str, tuple[str, int]]:
    """Name -> last status and number of attempts."""
    tests = frame.sort("position", "attempt").group_by("name").agg(pl.last("status"), n=pl.len())
    return {name: (status, n) for name, status, n in tests.iter_rows()}


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment_with(**environment)
    )


# A plugin that some dependency of ours brings along takes seconds to import, and these runs are not about it.
ALONE = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def needed(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: golang-go, gotestsum, maven, libsurefire-java, junit4)")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_pytest_with_reruns_says_the_same_in_junit_and_ctrf(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """JUnit XML hides reruns and CTRF counts them; read rightly, both tell each test's end and executions."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_mod.py").write_text(PYTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    plugins = ("-p", "pytest_rerunfailures", "-p", "ctrf", "-p", "xdist", "-p", "no:cacheprovider")
    words = ("-q", *plugins, "--reruns", "2", "--junitxml=r.xml", "--ctrf", "r.json", *workers)

    done = run(tmp_path, sys.executable, "-m", "pytest", *words, "tests", **ALONE)

    assert done.returncode == 1, done.stdout + done.stderr
    junit, ctrf = rows(tmp_path / "r.xml"), rows(tmp_path / "r.json")
    assert ended(junit) == PYTEST_TRUTH
    assert ended(ctrf) == PYTEST_TRUTH
    identity = ["classname", "name", "attempt"]
    assert junit.select(identity).sort(identity).equals(ctrf.select(identity).sort(identity))
    assert {*junit["producer"], *ctrf["producer"]} == {"pytest"}


def test_a_module_that_pytest_cannot_collect_is_no_test(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    (tmp_path / "test_fine.py").write_text("def test_a(): pass\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    run(tmp_path, sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", "--junitxml=r.xml", **ALONE)

    assert ended(rows(tmp_path / "r.xml")) == {"test_broken": ("collection_error", 1), "test_a": ("passed", 1)}


def test_coverage_of_real_tests_names_them_as_their_report_does(tmp_path: Path) -> None:
    """Contexts by function name and pytest's own names of tests meet in one identity."""
    (tmp_path / "lib.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 2\n", encoding="utf-8")
    (tmp_path / "test_lib.py").write_text(
        "import lib\n\n\ndef test_f():\n    assert lib.f()\n\n\nclass TestG:\n    def test_g(self):\n        lib.g()\n",
        encoding="utf-8",
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / ".coveragerc").write_text(
        "[run]\ndynamic_context = test_function\nsource = .\n[json]\nshow_contexts = True\n", encoding="utf-8"
    )
    words = ("-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=r.xml")

    run(tmp_path, sys.executable, *words, **ALONE)
    run(tmp_path, sys.executable, "-m", "coverage", "json", "-o", "c.json")

    frames = [Frame(name, (tmp_path / name).read_bytes()) for name in (".coverage", "c.json")]
    maps = [
        next(iter(coverage_contexts.decode([frame], TOLD, root=str(tmp_path)).tables.values()))
        .filter(pl.col("file") == "lib.py")
        .select("kind", "test_id", "n_lines")
        .rows()
        for frame in frames
    ]
    assert maps[0] == maps[1] == [
        ("import", "", 2), ("test", "test_lib.TestG::test_g", 1), ("test", "test_lib::test_f", 1)
    ]  # fmt: skip
    tests = rows(tmp_path / "r.xml").select(pl.col("classname") + "::" + pl.col("name"))
    assert set(tests.to_series()) == {"test_lib.TestG::test_g", "test_lib::test_f"}


GO = """package a

import (
	"os"
	"testing"
)

func TestOK(t *testing.T) {}
func TestSub(t *testing.T) {
	t.Run("x/y z", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("no") })
}
func TestSkip(t *testing.T) { t.Skip("later") }
func TestFlaky(t *testing.T) {
	if _, err := os.Stat("mark"); err != nil {
		os.WriteFile("mark", nil, 0o600)
		t.Fatal("first")
	}
}
"""


def go_module(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "go.mod").write_text("module example.com/m\n\ngo 1.19\n", encoding="utf-8")
    (folder / "a" / "a_test.go").write_text(GO, encoding="utf-8")


def go(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    cache = os.fspath(folder.parent / "gocache")
    return run(folder, *command, GOCACHE=cache, GOPATH=cache, GOPROXY="off", GOFLAGS="-mod=mod", GOTOOLCHAIN="local")


def test_go_test_runs_are_read_from_events(tmp_path: Path) -> None:
    needed("go")
    go_module(tmp_path)

    done = go(tmp_path, "go", "test", "-json", "-count=2", "./...")

    (tmp_path / "r.jsonl").write_text(done.stdout, encoding="utf-8")
    assert ended(rows(tmp_path / "r.jsonl")) == {
        "TestOK": ("passed", 2),
        "TestSub": ("failed_by_child", 2),
        "TestSub/x/y_z": ("passed", 2),
        "TestSub/bad": ("failed", 2),
        "TestSkip": ("skipped", 2),
        "TestFlaky": ("passed", 2),
    }, done.stdout + done.stderr


def test_a_go_package_that_panics_or_does_not_build_is_told(tmp_path: Path) -> None:
    needed("go")
    go_module(tmp_path)
    for name, body in (("broken", "func TestX(t *testing.T) { return 1 }"),
                       ("panics", "func TestX(t *testing.T) { go func() { panic(1) }(); select {} }")):  # fmt: skip
        (tmp_path / name).mkdir()
        text = f'package {name}\nimport "testing"\n{body}\n'
        (tmp_path / name / "x_test.go").write_text(text, encoding="utf-8")

    done = go(tmp_path, "go", "test", "-json", "./broken", "./panics")

    (tmp_path / "r.jsonl").write_text(done.stdout, encoding="utf-8")
    frame = rows(tmp_path / "r.jsonl")
    assert dict(frame.select("classname", "status").iter_rows()) == {
        "example.com/m/broken": "collection_error",
        "example.com/m/panics": "error",
    }, done.stdout + done.stderr


def test_gotestsum_reruns_are_the_same_in_both_its_files(tmp_path: Path) -> None:
    needed("go", "gotestsum")
    go_module(tmp_path)
    command = ("gotestsum", "--rerun-fails=1", "--packages", "./...", "--junitfile", "r.xml", "--jsonfile", "r.jsonl")

    done = go(tmp_path, *command)

    junit, events = rows(tmp_path / "r.xml"), rows(tmp_path / "r.jsonl")
    truth = {
        "TestOK": ("passed", 1),
        "TestSub": ("failed_by_child", 2),
        "TestSub/x/y_z": ("passed", 1),
        "TestSub/bad": ("failed", 2),
        "TestSkip": ("skipped", 1),
        "TestFlaky": ("passed", 2),
    }
    assert ended(events) == truth, done.stdout + done.stderr
    assert ended(junit) == truth
    assert dict(junit.select("name", "parent").iter_rows())["TestSub/x/y_z"] == "TestSub"


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>org.ex</groupId><artifactId>m</artifactId><version>1</version>
<properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version>
<scope>test</scope></dependency></dependencies>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-surefire-plugin</artifactId>
<version>2.22.3</version><configuration><rerunFailingTestsCount>2</rerunFailingTestsCount></configuration></plugin>
</plugins></build></project>
"""
JAVA = """package org.ex;
import org.junit.*;
public class FlakyTest {
  static int n = 0;
  @Test public void fine() {}
  @Test public void flaky() { n++; Assert.assertTrue("first", n > 1); }
  @Test public void broken() { Assert.fail("no"); }
  @Ignore @Test public void later() {}
}
"""


def test_surefire_reruns_are_attempts(tmp_path: Path) -> None:
    """Debian's repository stands in for the network."""
    needed("mvn")
    repository = Path("/usr/share/maven-repo")
    if not (repository / "org/apache/maven/plugins/maven-surefire-plugin").is_dir():
        pytest.skip("needs Maven's plugins (Debian: libsurefire-java, libmaven-compiler-plugin-java, junit4)")
    sources = tmp_path / "src" / "test" / "java" / "org" / "ex"
    sources.mkdir(parents=True)
    (sources / "FlakyTest.java").write_text(JAVA, encoding="utf-8")
    (tmp_path / "pom.xml").write_text(POM, encoding="utf-8")

    done = run(
        tmp_path, "mvn", "-q", "-o", "-s", "/etc/maven/settings-debian.xml", f"-Dmaven.repo.local={repository}", "test"
    )

    report = tmp_path / "target" / "surefire-reports" / "TEST-org.ex.FlakyTest.xml"
    assert report.exists(), done.stdout + done.stderr
    frame = rows(report)
    assert ended(frame) == {
        "fine": ("passed", 1),
        "flaky": ("passed", 2),
        "broken": ("failed", 3),
        "later": ("skipped", 1),
    }
    assert frame["producer"].unique().to_list() == ["surefire"]
