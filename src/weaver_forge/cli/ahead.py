"""Starting the process that may have to compute an answer, while the command line is still being read.

Loading what computes takes as long as reading flags, policy and snapshot, and a second core is idle meanwhile. The
process waits for its question; where an answer is published none comes, and it is ended. Put here only for which
commands, and where. What is asked, and how, is ``pipeline``'s. Whatever stands in the way here is said by the command.
"""

import gc
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_forge.errors import WeaverForgeError

if TYPE_CHECKING:
    from weaver_forge.settings import Settings

DECISIONS = {"rank-tests": "test_selection", "select": "test_selection"}
"""Command -> the decision that it may have to compute, where that is large."""

_NONE = ("--no-on-demand", "--help", "-h")


@contextmanager
def started_ahead(argv: Sequence[str]) -> Generator[None]:
    """Have the process of a command's question started, and ended where no question came."""
    decision = DECISIONS.get(argv[0]) if argv else None
    if decision is None or set(_NONE) & set(argv) or (os.cpu_count() or 1) < 2:
        yield
        return
    from weaver_forge.cli import pipeline

    collects = gc.isenabled()
    gc.disable()  # looking for cycles among ten thousand rows again and again costs more than it frees
    try:
        found = _settings(argv)
        if found is not None and (found.published / "CURRENT").is_file():
            pipeline.begin(found, decision)
    except (OSError, WeaverForgeError):
        pass  # the command meets the same and says so
    try:
        yield
    finally:
        pipeline.end()
        if collects:
            gc.enable()


def _settings(argv: Sequence[str]) -> "Settings | None":
    from weaver_forge.cli.place import deployment_of
    from weaver_forge.settings import find

    for place, word in enumerate(argv):
        if word == "--from" and place + 1 < len(argv):
            return deployment_of(Path(argv[place + 1]))
        if word.startswith("--from="):
            return deployment_of(Path(word.removeprefix("--from=")))
    return find()
