"""Where a change began, by what CI says: the target of a merge request, or the commit before a push.

Put here which of CI's words mean that, and whether the clone has it. What is done with it belongs in ``revision``.
Sources: docs.github.com, webhook events and payloads (push); docs.gitlab.com, predefined CI/CD variables.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from weaver_forge.hooks.revision import LocalRepository

Variable = Callable[[str], str | None]

_WHOLE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LAST_ALONE = "only the files of the last commit count"


def began(variable: Variable, repository: LocalRepository) -> tuple[str, str]:
    """Where the change that CI runs for began, and what is to be said; each empty where there is nothing.

    Args:
        variable: Gives an environment variable.
        repository: The clone, with the change checked out.
    """
    target = variable("GITHUB_BASE_REF")
    requested = [one for one in (variable("CI_MERGE_REQUEST_DIFF_BASE_SHA"), target and f"origin/{target}") if one]
    found = next((one for one in requested if repository.resolve(one)), "")
    if found and repository.resolve(found) == repository.resolve("HEAD"):
        return "", f"{_LAST_ALONE}: what is checked out is {found}, which the change goes to, and not the change"
    if found:
        return found, ""
    if requested:  # what was pushed last is a part of a request: it is not asked for
        missing = f"{requested[0]}, which the change goes to, is not in this clone (fetch it, or give --base)"
        return "", f"{_LAST_ALONE}: {missing}"
    return _pushed(variable, repository)


def _pushed(variable: Variable, repository: LocalRepository) -> tuple[str, str]:
    """The commit before a push, where what is checked out came after it."""
    before = variable("CI_COMMIT_BEFORE_SHA") or _before(variable)
    if not _WHOLE.fullmatch(before):
        return "", ""
    if not before.strip("0"):
        return "", f"{_LAST_ALONE}: CI names no commit that was there before (give --base)"
    if repository.resolve(before) == before and repository.is_after(before):
        return before, ""
    why = "what is checked out does not follow on it, or this clone does not have it"
    return "", f"{_LAST_ALONE}, not those since {before[:12]}, which was there before this push: {why} (give --base)"


def _before(variable: Variable) -> str:
    """What GitHub's event of a push says; empty where there is none, or it cannot be read: no run fails for that."""
    path = variable("GITHUB_EVENT_PATH")
    if not path or variable("GITHUB_EVENT_NAME") != "push":
        return ""
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    before = event.get("before") if isinstance(event, dict) else None
    return before if isinstance(before, str) else ""
