"""What makes the inbox's sensor start a run: what a run could take in, and nothing else."""

import sys
from pathlib import Path

import pytest

from assets.jobs import inbox_stamp
from weaver_forge.settings import Settings


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("otlp/received/traces-1.otlp", True),
        ("otlp/mine.otlp", True),
        ("otlp/mine/kept/a.otlp", True),
        ("otlp/received/.traces-2.otlp.open", False),
        ("otlp/kept/traces-1.otlp", False),
    ],
)
def test_only_what_a_run_takes_in_changes_the_stamp(tmp_path: Path, name: str, *, counts: bool) -> None:
    settings = Settings(root=tmp_path, python=Path(sys.executable), decisions={})
    path = settings.inbox / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something")

    assert bool(inbox_stamp(settings)) == counts
