"""What a selection is to reach: a confidence, a time, or a share of the time. Pure.

Put here how it is written and read. Who says it (a flag, else the policy) is the command's.
"""

import re
from dataclasses import dataclass
from typing import Literal

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rank_tests import Budget, parse_budget
from weaver_forge.policy import Select

_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")
DEFAULT = 0.95
"""Confidence where neither a flag nor the policy says anything."""

Kind = Literal["confidence", "time", "target"]


@dataclass(frozen=True, slots=True)
class Aim:
    """What is asked for.

    Args:
        kind: ``confidence``: the least part of the order that has caught this share of failing runs. ``time``: what
            fits into it. ``target``: what fits into this share of the expected time.
        value: A share above 0 and below 1 (of a confidence) or up to 1 (of a target), or milliseconds.
        by: Who says so: a flag, the policy, or the default.
    """

    kind: Kind
    value: float
    by: str = "flag"

    @property
    def words(self) -> str:
        """As a person writes it."""
        return f"{self.kind} {_time(self.value) if self.kind == 'time' else _percent(self.value)}"

    @property
    def budget(self) -> Budget:
        """What may be spent; of a time or a target."""
        return Budget(duration_ms=self.value) if self.kind == "time" else Budget(share=self.value)


def aim_of(*, confidence: str | None, time: str | None, target: str | None, policy: Select | None) -> Aim:
    """The one thing that was asked for; else what the policy says, else 95 % confidence.

    Raises:
        UsageError: If two things are asked for, or one cannot be read.
    """
    given = {"confidence": confidence, "time": time, "target": target}
    said = {name: text for name, text in given.items() if text is not None}
    if len(said) > 1:
        raise UsageError(
            f"{' and '.join('--' + name for name in said)} ask for different things",
            where="select",
            do="Give one of --confidence, --time and --target",
        )
    if said:
        ((name, text),) = said.items()
        return read_aim(f"{name} {text}", where=f"--{name}")
    if policy is not None:
        for kind in ("confidence", "target"):
            value = getattr(policy, kind)
            if isinstance(value, float):
                return Aim(kind, value, "policy")
        if isinstance(policy.time_minutes, float):
            return Aim("time", policy.time_minutes * 60e3, "policy")
    return Aim("confidence", DEFAULT, "default")


def read_aim(text: str, *, where: str = "") -> Aim:
    """Read ``confidence 95%``, ``time 10m`` or ``target 25%``.

    Raises:
        UsageError: If it is anything else.
    """
    kind, _, value = text.strip().partition(" ")
    if kind == "confidence":
        share = _SHARE.fullmatch(value.strip())
        if share and 0 < float(share["number"]) < 100:
            return Aim("confidence", float(share["number"]) / 100)
        raise UsageError(f"confidence {value!r} cannot be read", where=where, do='Write a share below 100, like "95%"')
    if kind not in {"time", "target"}:
        raise UsageError(
            f"{text!r} cannot be read", where=where, do='Write "confidence 95%", "time 10m" or "target 25%"'
        )
    try:
        budget = parse_budget(value)
    except UsageError as error:
        raise UsageError(
            f"{kind} {value!r} cannot be read",
            where=where,
            do='Write a time like "10m"' if kind == "time" else 'Write a share like "25%"',
        ) from error
    if kind == "time" and budget.duration_ms is not None:
        return Aim("time", budget.duration_ms)
    if kind == "target" and budget.share is not None:
        return Aim("target", budget.share)
    do = 'Write a time like "10m"' if kind == "time" else 'Write a share like "25%"'
    raise UsageError(f"{kind} {value!r} cannot be read", where=where, do=do)


def _percent(share: float) -> str:
    return f"{share * 100:.10g}%"


def _time(ms: float) -> str:
    for unit, size in (("h", 3600e3), ("m", 60e3), ("s", 1e3)):
        if ms % size == 0:
            return f"{ms / size:.0f}{unit}"
    return f"{ms:.10g}ms"
