"""What a test runner's hook may know of a deployment in reach of it: its clock, its kill switch, its quarantine.

Put here what is looked up around a ranking. Reading the ranking is ``handed_order``'s. Nothing but the standard library
is loaded unless something of a deployment is there.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from weaver_forge.hooks.handed_order import Handed


def allowed_rest(handed: Handed) -> tuple[tuple[str, ...], str]:
    """What may be left for later, and why it is nothing."""
    if handed.rest is None:
        return (), "the ranking does not say what may run later (rank-tests --json does)"
    if set(handed.rest) >= set(handed.order):
        return (), "the ranking would leave everything for later"
    halted = halted_here(handed)
    return ((), f"halted: {halted}") if halted else (handed.rest, "")


def halted_here(handed: Handed) -> str:
    """Why the kill switch of the deployment in reach is on; empty where it is not, or none is in reach."""
    from weaver_forge.errors import NotADeployment
    from weaver_forge.settings import find

    folders = [handed.published] if handed.published else []
    with suppress(NotADeployment):  # the ranking came from elsewhere: what made it has looked at its own switch
        folders.append(find().published)
    for folder in folders:
        if not (folder / "halted.json").exists():
            continue
        from weaver_forge.hooks.standing import ALL, read_halts

        halts, _ = read_halts(folder)
        names = (ALL, handed.scope) if handed.scope else tuple(halts)
        why = next((halts[name] for name in names if name in halts), "")
        if why:
            return why
    return ""


def held_here(root: Path) -> tuple[dict[str, Any], str]:
    """Tests in quarantine as the deployment in reach publishes them, and why they cannot be read; mostly none is.

    Those of other repositories are none: their tests may be called the same. Where git does not say which repository
    this is, entries count only if all are of one.

    Args:
        root: Where the tests are.
    """
    from weaver_forge.errors import NotADeployment
    from weaver_forge.settings import find

    with suppress(NotADeployment):
        folder = find().published
        if (folder / "quarantine.json").exists():
            from weaver_forge.hooks.quarantine import of_one_repository, read_quarantine
            from weaver_forge.hooks.revision import repository_at

            here = repository_at(root)
            found, problem = read_quarantine(folder, now(), here.repo_id if here else "")
            inside, ambiguous = of_one_repository(found)
            return {one.test_id: one.expires_at for one in inside}, problem or ambiguous
    return {}, ""


def now() -> Any:
    """The current instant, naive UTC: the deployment's, where one is in reach."""
    from weaver_forge.errors import NotADeployment
    from weaver_forge.settings import Settings, find

    try:
        return find().now()
    except NotADeployment:
        return Settings(root=Path.cwd(), python=Path(sys.executable), decisions={}).now()
