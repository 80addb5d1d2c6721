"""What an operator asks the receiver: is it there, would it store what is sent now, what has it counted.

Put here the three routes; what they say comes from the parts that receive.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from weaver_forge.receivers.app import Answer, Request, Route
from weaver_forge.receivers.counters import CONTENT_TYPE, Metric, exposition


class Part(Protocol):
    """Something that receives."""

    @property
    def problem(self) -> str:
        """What the disk says, or an empty text."""
        ...

    def values(self) -> Mapping[Metric, Mapping[tuple[str, ...], int]]:
        """What it has counted; no metric of another part."""
        ...


def routes(parts: Sequence[Part]) -> list[Route]:
    """Health, readiness and metrics; the metrics need the receiver's token."""
    return [
        Route("/healthz", _alive, methods=("GET",), is_open=True),
        Route("/readyz", partial(_ready, parts), methods=("GET",), is_open=True),
        Route("/metrics", partial(_metrics, parts), methods=("GET",)),
    ]


async def _alive(_: Request) -> Answer:  # noqa: RUF029 - every handler is awaited, here and below
    return Answer(200, b"ok\n")


async def _ready(parts: Sequence[Part], _: Request) -> Answer:  # noqa: RUF029
    """Whether what is sent now would be stored."""
    problem = next((part.problem for part in parts if part.problem), "")
    return Answer(503, f"the inbox: {problem}\n".encode()) if problem else Answer(200, b"ready\n")


async def _metrics(parts: Sequence[Part], _: Request) -> Answer:  # noqa: RUF029
    return Answer(
        200, exposition({metric: counts for part in parts for metric, counts in part.values().items()}), CONTENT_TYPE
    )
