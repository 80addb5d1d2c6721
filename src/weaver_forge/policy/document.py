"""The shape of ``policy.yaml``, and the reading of it with errors that name the line.

Put a new key of the policy here, and nowhere else: parsing, errors and the published JSON schema follow from the
structs. What a key does to a verdict belongs in ``ruling``.
"""

import difflib
from enum import StrEnum
from typing import Annotated, Any, cast

import msgspec
import yaml

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.errors import PolicyError

VERSION = 1
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=87_600)]

# C-made loader where PyYAML has it: the gate reads a policy on every start.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class OnUnknown(StrEnum):
    """What a hook does where nothing trustworthy is known."""

    FAIL_OPEN = "fail_open"
    FAIL_CLOSED = "fail_closed"


class DecisionPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one decision. A decision that the file does not name gets exactly these defaults.

    Args:
        scope: Where in the life of a change its hooks stand.
        level: How far a hook may act. The default is to say it and do nothing.
        on_unknown: What happens where the prediction is missing, stale, contradictory or not a number.
        max_age_hours: A prediction made longer ago than this is stale.
        review_at: Probability from which a person should look; none: no review on probability.
        deny_at: Probability from which the subject is held back; none: no denial on probability.
        approval_hours: How long a person's yes holds.
    """

    scope: Scope = Scope.DEPLOYMENT
    level: Level = Level.ASSISTED
    on_unknown: OnUnknown = OnUnknown.FAIL_OPEN
    max_age_hours: Hours = 24.0
    review_at: Share | None = None
    deny_at: Share | None = None
    approval_hours: Hours = 24.0


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole policy document.

    Args:
        version: Version of this shape; 1.
        decisions: Decision name -> what holds for it.
    """

    version: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    decisions: dict[str, DecisionPolicy] = {}

    def for_decision(self, name: str) -> tuple[DecisionPolicy, bool]:
        """What holds for a decision, and whether the file names it."""
        named = self.decisions.get(name)
        return (named, True) if named is not None else (DecisionPolicy(), False)


def parse(text: str, name: str) -> Policy:
    """Read a policy document.

    Args:
        text: The YAML text.
        name: What to call it in messages, usually its path.

    Raises:
        PolicyError: If it is not YAML, has an unknown or repeated key, a wrong type or a value out of range;
            ``where`` names file and line.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise PolicyError(f"not valid YAML: {problem}", where=f"{name}{line}", do="Mend that line") from error
    if root is None:
        raise PolicyError("the policy is empty", where=name, do="Start with `version: 1` and `decisions:`")
    document = _Document(name)
    top = document.fields(root, Policy, "the policy")
    if "version" not in top:
        raise PolicyError("version is missing", where=name, do=f"Add `version: {VERSION}` as the first line")
    version = document.value(top["version"], "version", Policy)
    decisions = top.get("decisions")
    return Policy(version=version, decisions=document.decisions(decisions) if decisions is not None else {})


def json_schema() -> dict[str, Any]:
    """The published JSON schema of ``policy.yaml``, made from the structs that read it."""
    schema = msgspec.json.schema(Policy)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Weaver Forge policy", **schema}


class _Document:
    """Walks YAML nodes rather than plain data, since only nodes know their line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def error(self, node: yaml.Node, what: str, do: str) -> PolicyError:
        return PolicyError(what, where=f"{self.name}, line {node.start_mark.line + 1}", do=do)

    def mapping(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key -> (key node, value node); a repeated or non-text key is an error, YAML itself would take the last."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} must be a mapping of keys to values", "Write `key: value` lines below it")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            text = key.value if isinstance(key, yaml.ScalarNode) else None
            if text is None:
                raise self.error(key, f"a key of {what} is not plain text", "Write `key: value`")
            if text in found:
                first = found[text][0].start_mark.line + 1
                raise self.error(key, f"{text!r} is given twice in {what} (first in line {first})", "Keep one of them")
            found[text] = (key, value)
        return found

    def fields(self, node: yaml.Node, struct: type[msgspec.Struct], what: str) -> dict[str, yaml.Node]:
        """Field name -> value node, unknown keys refused with the nearest known one."""
        known = struct.__struct_fields__
        found = self.mapping(node, what)
        for text, (key, _) in found.items():
            if text not in known:
                raise self.error(key, f"unknown key {text!r} in {what}", nearest(text, known))
        return {text: value for text, (_, value) in found.items()}

    def value(self, node: yaml.Node, field: str, struct: type[msgspec.Struct]) -> Any:
        """The value of one field, checked against the struct's type."""
        kind = next(f.type for f in msgspec.structs.fields(struct) if f.name == field)
        plain = self.plain(node, field)
        try:
            return msgspec.convert(plain, kind)
        except msgspec.ValidationError as error:
            words = str(error).replace("`", "")
            choices = [str(member) for member in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []
            do = nearest(str(plain), choices) if choices else f"Expected {_expectation(field)}"
            raise self.error(node, f"{field}: {plain!r} is not valid: {words}", do) from error

    def plain(self, node: yaml.Node, field: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{field} must be a single value", f"Write `{field}: value` on one line")
        loader = yaml.SafeLoader("")
        try:
            return cast("Any", loader).construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self.error(node, f"{field}: {node.value!r} cannot be read", "Write a plain value") from error
        finally:
            cast("Any", loader).dispose()

    def decisions(self, node: yaml.Node) -> dict[str, DecisionPolicy]:
        found = self.mapping(node, "decisions")
        return {text: self.decision(text, value) for text, (_, value) in found.items()}

    def decision(self, name: str, node: yaml.Node) -> DecisionPolicy:
        nodes = self.fields(node, DecisionPolicy, f"decisions.{name}")
        made = DecisionPolicy(**{key: self.value(value, key, DecisionPolicy) for key, value in nodes.items()})
        if made.review_at is not None and made.deny_at is not None and made.review_at > made.deny_at:
            raise self.error(
                nodes["review_at"],
                f"review_at {made.review_at:g} of {name} is above its deny_at {made.deny_at:g}",
                "A review must begin at or below the denial",
            )
        return made


_EXPECTATIONS = {
    "version": f"{VERSION}",
    "max_age_hours": "hours above 0 and at most 87600",
    "approval_hours": "hours above 0 and at most 87600",
    "review_at": "a probability from 0 to 1",
    "deny_at": "a probability from 0 to 1",
}


def _expectation(field: str) -> str:
    return _EXPECTATIONS.get(field, "a valid value")


def nearest(text: str, known: tuple[str, ...] | list[str]) -> str:
    """An instruction that names the nearest known word, and the rest."""
    close = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0.5)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}Known: {', '.join(known)}"
