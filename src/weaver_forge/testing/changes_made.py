"""The values that the simulated development consists of: a commit, a bug, and what a commit did to files.

Values only; ``history`` makes them.
"""

from dataclasses import dataclass
from datetime import datetime

from weaver_forge.testing.people import Author


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as a commit leaves it. ``old_path`` says where it was moved from."""

    path: str
    content: bytes
    old_path: str | None = None


@dataclass(frozen=True, slots=True)
class Bug:
    """What a commit broke.

    Args:
        number: Number of the commit that broke it.
        path: File with the guilty lines.
        failing: Test ids that fail from that commit until its fix; empty when it escaped the tests.
        hits_production: It hurts once it is deployed.
        mode: errors or latency.
        strength: Added probability of an error, or factor on the latency.
    """

    number: int
    service: str
    module: str
    path: str
    failing: tuple[str, ...]
    hits_production: bool
    mode: str
    strength: float


@dataclass(frozen=True, slots=True)
class Change:
    """A commit before it has an id.

    Args:
        number: 0-based position in the history; the first is the import of everything.
        message: The whole message; ``{reverted}`` stands for the id of the commit that it reverts.
        probability: True probability, before the dice, that it is bug-inducing.
        bug: What it broke, if it did.
        fixes: Number of the commit whose bug it repairs.
        is_revert: It repairs by taking that commit back.
    """

    number: int
    at: datetime
    author: Author
    kind: str
    message: str
    services: tuple[str, ...]
    edits: tuple[Edit, ...]
    n_added: int
    n_deleted: int
    probability: float = 0.0
    bug: Bug | None = None
    fixes: int | None = None
    is_revert: bool = False
