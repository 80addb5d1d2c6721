"""Which test cases the simulated organisation has: what they are called, where they are, how long they take."""

from dataclasses import dataclass

from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.source_tree import tests_path
from weaver_forge.testing.topology import Service, services

_ACTS = ("accepts", "counts", "keeps", "limits", "merges", "refuses", "rounds", "sorts", "stores", "returns")
_THINGS = ("empty_input", "duplicates", "large_values", "negative_amounts", "old_records", "the_last_page", "two_users")


@dataclass(frozen=True, slots=True)
class Case:
    """A test case.

    Args:
        classname: As the report writes it; with ``name`` it makes the test's id.
        path: File in the repository.
        born_day: Day of the history from which it may be written; 0 for those of the first commit.
        base_ms: Its usual duration.
        is_integration: Also fails when a service that its own calls is broken.
    """

    service: str
    module: str
    classname: str
    name: str
    path: str
    born_day: int
    base_ms: float
    is_flaky: bool
    is_integration: bool

    @property
    def test_id(self) -> str:
        """classname::name, as in the tables."""
        return f"{self.classname}::{self.name}"


def cases(plan: OrganisationPlan) -> tuple[Case, ...]:
    """All test cases, in the order of services, modules and numbers; a tenth is written during the history."""
    rng = plan.rng("cases")
    order = services(plan.services)
    flaky = set(rng.choice(plan.tests, size=min(plan.flaky_tests, plan.tests), replace=False).tolist())
    found: list[Case] = []
    for number in range(plan.tests):
        service = order[number % len(order)]
        turn = number // len(order)
        module = service.modules[turn % len(service.modules)]
        is_integration = turn % 7 == 6
        name = f"{_ACTS[int(rng.integers(len(_ACTS)))]}_{_THINGS[int(rng.integers(len(_THINGS)))]}_{number}"
        born = int(rng.integers(1, max(2, plan.days - 1))) if number not in flaky and rng.random() < 0.1 else 0
        median = 2500.0 if is_integration else 60.0
        found.append(
            Case(
                service=service.name,
                module=module,
                classname=_classname(service, module),
                name=_camel(name) if service.language == "java" else f"test_{name}",
                path=tests_path(service.name, module, service.language),
                born_day=born,
                base_ms=round(min(max(float(rng.lognormal(0.0, 1.1)) * median, 5.0), 20_000.0), 1),
                is_flaky=number in flaky,
                is_integration=is_integration,
            )
        )
    return tuple(sorted(found, key=lambda case: (case.service, case.module, case.name)))


def _classname(service: Service, module: str) -> str:
    if service.language == "java":
        return f"shop.{service.name}.{module}Test"
    return f"services.{service.name}.tests.test_{module}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
