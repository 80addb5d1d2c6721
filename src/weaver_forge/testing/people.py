"""Who commits to the simulated repository and when they do. What they change is in ``history``."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.topology import services

_NAMES = (
    ("Ada", "Moreno"),
    ("Bela", "Kovacs"),
    ("Chidi", "Okafor"),
    ("Dana", "Lindqvist"),
    ("Emre", "Yildiz"),
    ("Farah", "Haddad"),
    ("Goran", "Petrov"),
    ("Hana", "Sato"),
    ("Ivo", "Novak"),
    ("Jun", "Park"),
    ("Kofi", "Mensah"),
    ("Lena", "Vogel"),
)


@dataclass(frozen=True, slots=True)
class Author:
    """A person who commits.

    Args:
        homes: Services they mostly work on.
        hour: Centre of their working day, UTC.
        activity: Relative number of commits.
        joins_at: Before this instant they make no commit.
    """

    name: str
    email: str
    homes: tuple[str, ...]
    hour: float
    activity: float
    joins_at: datetime


def people(plan: OrganisationPlan) -> tuple[Author, ...]:
    """The organisation's authors; the last fifth join after a third of the history, and later."""
    rng = plan.rng("people")
    names = [service.name for service in services(plan.services)]
    late = max(1, plan.authors // 5)
    found = []
    for number in range(plan.authors):
        first, last = _NAMES[number % len(_NAMES)]
        tag = "" if number < len(_NAMES) else str(number // len(_NAMES) + 1)
        newcomer = number - (plan.authors - late)
        joins = timedelta(days=plan.days * (0.3 + 0.25 * newcomer)) if newcomer >= 0 < plan.authors - 1 else timedelta()
        homes = {names[number % len(names)], names[int(rng.integers(len(names)))]}
        found.append(
            Author(
                name=f"{first} {last}{tag}",
                email=f"{first}.{last}{tag}@example.com".lower(),
                homes=tuple(sorted(homes)),
                hour=float(rng.uniform(10.5, 16.5)),
                activity=float(rng.lognormal(0.0, 0.6)),
                joins_at=plan.starts_at + joins,
            )
        )
    return tuple(found)


def working_times(plan: OrganisationPlan, count: int, rng: np.random.Generator) -> list[datetime]:
    """``count`` instants of the plan, in order: mostly working hours of weekdays, some late in the night."""
    days = np.arange(plan.days)
    weekday = (days + plan.start.weekday()) % 7
    weights = np.where(weekday < 5, 1.0, 0.15)
    day = rng.choice(days, size=count, p=weights / weights.sum())
    is_late = rng.random(count) < 0.12
    hours = np.where(is_late, rng.normal(22.0, 1.2, count), rng.normal(14.0, 2.6, count)).clip(1.0, 23.9)
    seconds = np.sort(day * 86400 + (hours * 3600).astype(int))
    return [plan.starts_at + timedelta(seconds=int(second)) for second in seconds]


def choose_author(
    authors: tuple[Author, ...], at: datetime, rng: np.random.Generator, *, service: str | None = None
) -> Author:
    """Somebody who is there at this time, likelier the more it is their hour (and their service, when one is given)."""
    hour = at.hour + at.minute / 60
    weights = np.array(
        [
            0.0
            if author.joins_at > at
            else author.activity
            * (0.05 + np.exp(-(((hour - author.hour) / 4.0) ** 2)))
            * (4.0 if service in author.homes else 1.0)
            for author in authors
        ]
    )
    return authors[int(rng.choice(len(authors), p=weights / weights.sum()))]
