"""Running measures, each in a process of its own, one at a time, and keeping what several figures are held against."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.measuring.corpora import Corpora
from weaver_forge.errors import SourceError
from weaver_forge.settings import Settings

ROUNDS = 2
"""Measures that a ratio rests on are run so often, taking turns; the one that took least time counts."""

_CLICKHOUSE = Path(__file__).with_name("clickhouse.py")


class Bench:
    """Measures on one set of corpora.

    Args:
        settings: Of the deployment whose code is measured.
        corpora: What is read.
        peer: An interpreter whose environment has chdb.
        tell: Told what is measured next.
    """

    def __init__(self, settings: Settings, corpora: Corpora, peer: Path | None, tell: Callable[[str], None]) -> None:
        self._settings, self._tell, self._number = settings, tell, 0
        self.corpora, self.peer = corpora, peer

    def run(self, measure: str, **arguments: Any) -> dict[str, Any]:
        """One measure's figures.

        Raises:
            SourceError: If it failed.
        """
        self._tell(measure)
        return self._figures(
            [str(self._settings.python), "-m", "assets.measuring", measure, json.dumps(arguments)], measure
        )

    def ingest(self, path: Path, **arguments: Any) -> dict[str, Any]:
        """Spans taken in by a deployment of its own, which is removed."""
        folder = self.folder()
        figures = self.run("ingest", path=str(path), folder=str(folder), **arguments)
        shutil.rmtree(folder)
        return figures

    def folder(self) -> Path:
        """A place for a new deployment."""
        self._number += 1
        return self.corpora.folder / f"deployment-{self._number}"

    @cached_property
    def pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The bound, and the whole way with ptars: taking turns, because a machine is not always as fast."""
        path = self.corpora.protobuf
        rounds = [(self.run("upb", path=str(path)), self.ingest(path)) for _ in range(ROUNDS)]
        return _least([upb for upb, _ in rounds]), _least([whole for _, whole in rounds])

    @cached_property
    def json(self) -> dict[str, Any]:
        """The whole way from JSON lines."""
        return self.ingest(self.corpora.json)

    @cached_property
    def more(self) -> tuple[Path, dict[str, Any]]:
        """The whole way of the larger corpus, and the deployment that has it."""
        folder = self.folder()
        return folder, self.run("ingest", path=str(self.corpora.more), folder=str(folder))

    def clickhouse(self) -> dict[str, Any]:
        """The peer's way of the ordinary corpus.

        Raises:
            SourceError: If it failed.
        """
        assert self.peer is not None
        self._tell("clickhouse")
        folder = self.folder()
        arguments = {"path": str(self.corpora.protobuf), "folder": str(folder)}
        figures = self._figures([str(self.peer), str(_CLICKHOUSE), json.dumps(arguments)], "clickhouse")
        shutil.rmtree(folder)
        return figures

    def _figures(self, command: list[str], measure: str) -> dict[str, Any]:
        done = subprocess.run(command, cwd=self._settings.root, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
            raise SourceError(f"the measure failed: {last}", where=measure, do="Run it by itself: --only NAME")
        figures: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
        return figures


def _least(rounds: list[Mapping[str, Any]]) -> dict[str, Any]:
    return dict(min(rounds, key=lambda figures: figures["cpu_s"] / figures["n"]))
