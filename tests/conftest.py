"""What holds for all tests."""

from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")

TOGETHER = {
    "tests/e2e/test_bad_input.py": "a newcomer",
    "tests/e2e/test_installed_wheel.py": "a newcomer",
    "tests/e2e/test_own_history.py": "a newcomer",
    "tests/pipeline/test_definitions.py": "a deployment that lived",
    "tests/pipeline/test_notebooks.py": "a deployment that lived",
    "tests/pipeline/test_replay_verbs.py": "a deployment that lived",
    "tests/pipeline/test_whole_loop.py": "a deployment that lived",
}
"""Files whose tests look at the same session-wide set-up of most of a minute: two processes would make it twice."""


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not loaded, nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``: tests of a file run in one process, and so do those of files that belong together."""
    from xdist.scheduler import LoadFileScheduling

    class _LoadTogether(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return _LoadTogether(config, log) if config.getvalue("dist") == "loadfile" else None
