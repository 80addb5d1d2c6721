"""How large a simulated organisation is and when it lives: the one value that determines every byte.

Put a knob of the simulation here. What services exist and call each other is in ``topology``.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from weaver_forge.errors import UsageError

REMOTE = "https://github.com/simulated-organisation/shop.git"
REPO_ID = "github.com/simulated-organisation/shop"
NAMESPACE = "shop"
ENVIRONMENT = "production"
_EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationPlan:
    """Size and time of a simulated organisation. The same plan gives the same bytes.

    Args:
        seed: Of every random number in it.
        days: Length of the history; it begins at midnight UTC of ``start``.
        start: First day; the default is a Monday.
        services: How many of :data:`weaver_forge.testing.topology.SERVICES` exist, 1-8, from the first on.
        commits: Approximate number of commits, fixes and reverts included.
        authors: People who commit; the last fifth of them join later.
        tests: Test cases over all services.
        flaky_tests: How many of them fail at random, about one time in ten.
        spans: Expected number of spans over the whole history.
        infrastructure_incidents: Incidents that no deployment causes.
        json_every: Every so many days the traces are OTLP JSON lines instead of protobuf.
        leak_day: Day from which one resource's cost grows without traffic.
    """

    seed: int = 7
    days: int = 60
    start: date = date(2026, 1, 5)
    services: int = 8
    commits: int = 520
    authors: int = 10
    tests: int = 120
    flaky_tests: int = 7
    spans: int = 1_000_000
    infrastructure_incidents: int = 4
    json_every: int = 20
    leak_day: int = 35

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if not 1 <= self.services <= 8 or self.days < 2 or self.authors < 1 or self.commits < 1:
            raise UsageError(
                f"a plan needs 1-8 services, 2 days or more, an author and a commit; got {self}",
                where="OrganisationPlan",
                do="Begin with OrganisationPlan.small() and change one thing",
            )

    @classmethod
    def demo(cls, seed: int = 7) -> "OrganisationPlan":
        """Sixty days, eight services and about a million spans: what the demo and the notebooks show."""
        return cls(seed=seed)

    @classmethod
    def small(cls, seed: int = 7) -> "OrganisationPlan":
        """Eight days, three services and about 20,000 spans: enough for a test, made in about two seconds."""
        return cls(
            seed=seed,
            days=8,
            services=3,
            commits=60,
            authors=5,
            tests=30,
            flaky_tests=3,
            spans=20_000,
            infrastructure_incidents=1,
            json_every=4,
            leak_day=4,
        )

    @property
    def starts_at(self) -> datetime:
        """First instant of the history, UTC."""
        return datetime.combine(self.start, time())

    @property
    def ends_at(self) -> datetime:
        """First instant after the history, UTC."""
        return self.starts_at + timedelta(days=self.days)

    def rng(self, stream: str, *numbers: int) -> np.random.Generator:
        """A generator of its own for each part (and day), so that no part shifts another's numbers."""
        return np.random.default_rng([self.seed, zlib.crc32(stream.encode()), *numbers])


def unix_ns(at: datetime) -> int:
    """Nanoseconds since 1970 of a naive UTC instant."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def iso(at: datetime) -> str:
    """A naive UTC instant as ISO 8601 with Z, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
