"""Commit messages of the simulated repository: planned work, and fixes as people word them."""

import numpy as np

from weaver_forge.testing.changes_made import Bug

_WORDS = {
    "feat": ("add a {thing} to {module}", "support {thing}s in {module}", "let {module} read {thing}s"),
    "refactor": ("split the {thing} out of {module}", "simplify the {thing} in {module}", "one {thing} for {module}"),
    "perf": ("cache the {thing} in {module}", "read the {thing} once in {module}"),
    "chore": ("raise the {thing} limit", "bump the {thing} library", "tidy the {thing} settings"),
    "docs": ("describe the {thing}", "runbook for the {thing}", "correct a typo about the {thing}"),
    "test": ("cover the {thing} in {module}", "more cases for the {thing} of {module}"),
    "rename": ("move {module} to its second version", "rename {module} for the {thing} work"),
}
_THINGS = ("batch reader", "currency", "retry", "page size", "time-out", "region", "price list", "session", "quota")
_FIXES = (
    "fix({service}): wrong {thing} in {module}",
    "fix: {module} loses the {thing} of {service}",
    "Fix crash in {module} when the {thing} is empty",
    "bugfix: {thing} of {module} counted twice",
    "hotfix({service}): restore the {thing} in {module}",
)


def subject_of(kind: str, service: str, path: str, rng: np.random.Generator) -> str:
    """First line for planned work of this kind on this file."""
    words = _WORDS[kind]
    module = path.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]
    text = words[int(rng.integers(len(words)))].format(thing=_thing(rng), module=module)
    prefix = {"rename": "refactor"}.get(kind, kind)
    return f"{prefix}({service}): {text}" if rng.random() < 0.7 else f"{prefix}: {text}"


def wording_of_fix(bug: Bug, rng: np.random.Generator) -> str:
    """A whole message for the fix of a bug; half of them name a ticket."""
    text = _FIXES[int(rng.integers(len(_FIXES)))]
    subject = text.format(service=bug.service, module=bug.module, thing=_thing(rng))
    return f"{subject}\n\nFixes #{int(rng.integers(100, 999))}\n" if rng.random() < 0.5 else f"{subject}\n"


def _thing(rng: np.random.Generator) -> str:
    return _THINGS[int(rng.integers(len(_THINGS)))]
