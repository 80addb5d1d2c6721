"""Files are found, decompressed, or refused by name."""

import gzip
from pathlib import Path

import pytest
import zstandard

from weaver_forge.errors import MissingInput, SourceError
from weaver_forge.sources.files import expand, read_frames


def test_patterns_expand_to_sorted_files_without_repeats(tmp_path: Path) -> None:
    for name in ("b.xml", "a.xml", "deep/er/c.xml", "d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    found = expand(["**/*.xml", "a.xml", str(tmp_path / "deep")], tmp_path)

    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.xml", "b.xml", "deep/er/c.xml"]


def test_an_absolute_pattern_needs_no_root(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("x")

    found = expand([str(tmp_path / "*.xml")], Path("/nonexistent"))

    assert found == [tmp_path / "a.xml"]


def test_a_name_with_brackets_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "TEST[1].xml").write_text("x")

    assert expand(["TEST[1].xml"], tmp_path) == [tmp_path / "TEST[1].xml"]


@pytest.mark.parametrize("pattern", ["*.xml", "gone.xml", "empty"])
def test_a_pattern_that_matches_nothing_is_an_error(tmp_path: Path, pattern: str) -> None:
    """A mistyped path must not read as an empty input."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(MissingInput, match=r"matches no file|no such file|no file in this folder"):
        expand([pattern], tmp_path)


@pytest.mark.parametrize(
    "stored",
    [
        b"hello",
        gzip.compress(b"hello"),
        gzip.compress(b"hel") + gzip.compress(b"lo"),
        zstandard.compress(b"hello"),
        zstandard.compress(b"hel") + zstandard.compress(b"lo"),
    ],
    ids=["plain", "gzip", "gzip members", "zstd", "zstd frames"],
)
def test_compression_is_undone_whatever_the_name(tmp_path: Path, stored: bytes) -> None:
    (tmp_path / "report.xml").write_bytes(stored)

    (frame,) = read_frames(tmp_path / "report.xml")

    assert (frame.name, frame.data, frame.offset) == (str(tmp_path / "report.xml"), b"hello", 0)


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(b"hello" * 100)[:-6],
        gzip.compress(b"hello" * 100)[:12] + b"\0" * 40,
        zstandard.compress(bytes(range(256)) * 20)[:-5],
        zstandard.compress(b"hello")[:5] + b"\xff" * 20,
    ],
    ids=["gzip cut", "gzip changed", "zstd cut", "zstd changed"],
)
def test_damaged_compression_names_the_file(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "report.gz").write_bytes(damaged)

    with pytest.raises(SourceError, match=r"report\.gz: damaged compression"):
        list(read_frames(tmp_path / "report.gz"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"gone\.xml"):
        list(read_frames(tmp_path / "gone.xml"))


def test_an_empty_file_is_one_empty_frame(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert [frame.data for frame in read_frames(tmp_path / "empty")] == [b""]
