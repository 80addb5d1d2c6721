"""Reading ``policy.yaml``: from text to a policy, and what its values must mean together.

Put here checks that need more than one key. How text becomes structs is ``nodes``'; the blueprint's ``pipeline.yaml``,
which is read here too, is ``pipeline``'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import yaml
from msgspec import UNSET

from weaver_forge.contracts.values import Level
from weaver_forge.errors import PolicyError
from weaver_forge.policy import money, paths, windows
from weaver_forge.policy.document import FROM_COSTS, VERSION, BlastRadius, Costs, Freeze, Policy, Rules, Select
from weaver_forge.policy.effective import THRESHOLDS, Rule, effective
from weaver_forge.policy.nodes import Document, Path, nearest
from weaver_forge.policy.pipeline import TOP, WRAPPERS, is_pipeline, read_pipeline

FORMER = {"level": "ceiling"}
"""Former name of a key -> its name now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A policy, and what was read otherwise than it is written.

    Args:
        notes: Each with file and line.
    """

    policy: Policy
    notes: tuple[str, ...] = ()


def parse(text: str, name: str) -> Policy:
    """Read a policy document; see :func:`read`."""
    return read(text, name).policy


def in_force(text: str, name: str) -> Policy:
    """The policy of this text; where there is none, one that leaves every decision to its defaults."""
    return parse(text, name) if text.strip() else Policy(version=VERSION)


def read(text: str, name: str) -> Reading:
    """Read a policy document, ``policy.yaml`` or the blueprint's ``pipeline.yaml``.

    Args:
        text: The YAML text.
        name: What to call it in messages, usually its path.

    Raises:
        PolicyError: If it is not YAML, has an unknown or repeated key, a wrong type, a value out of range, or values
            that cannot hold together; ``where`` names file and line.
    """
    document = Document(name, FORMER)
    root = document.compose(text)
    top = document.mapping(root, "the policy")
    if is_pipeline(top):
        policy = read_pipeline(document, root)
    elif "version" not in top and not set(top) - set(Policy.__struct_fields__):
        raise PolicyError("version is missing", where=name, do=f"Add `version: {VERSION}` as the first line")
    else:
        _refuse_unknown(document, top)
        policy = document.struct(root, Policy, ())
    policy = _in_one_currency(document, policy)
    _check(document, policy)
    return Reading(policy=policy, notes=tuple(document.notes))


def _refuse_unknown(document: Document, top: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> None:
    """An unknown key at the top may be meant for either form of the document."""
    for text, (key, _) in top.items():
        if text not in Policy.__struct_fields__:
            known = [*Policy.__struct_fields__, *WRAPPERS, *TOP]
            raise document.error(key, f"unknown key {text!r} in the policy", nearest(text, known))


def _check(document: Document, policy: Policy) -> None:
    """Everything that a single key does not show."""
    layers: list[tuple[Path, Rules]] = [(("scopes", str(name)), rules) for name, rules in policy.scopes.items()]
    for name, decision in policy.decisions.items():
        layers.append((("decisions", name), decision))
        layers += [(("decisions", name, "actions", action), rules) for action, rules in decision.actions.items()]
    for path, rules in layers:
        _check_rules(document, path, rules)
    for name, decision in policy.decisions.items():
        for action in ("", *decision.actions):
            _check_effective(document, effective(policy, name, action))


def _check_rules(document: Document, path: Path, rules: Rules) -> None:
    for place, window in enumerate(rules.freeze):
        _check_freeze(document, (*path, "freeze", place), window)
    for place, pattern in enumerate(rules.protected_paths):
        if wrong := paths.check(pattern):
            do = "Write a pattern as in .gitignore, such as migrations/ or **/*.sql"
            raise document.error_at((*path, "protected_paths", place), f"pattern {pattern!r}: {wrong}", do)
    radius = rules.blast_radius
    if isinstance(radius, BlastRadius) and radius.max_share is UNSET and radius.max_units is UNSET:
        raise document.error_at(
            (*path, "blast_radius"), "blast_radius has no limit", "Give max_share, max_units or both"
        )
    if isinstance(rules.select, Select):
        _check_select(document, (*path, "select"), rules.select)
    for key in ("rate_limit", "blast_radius"):
        budget = getattr(rules, key)
        if isinstance(budget, msgspec.Struct) and getattr(budget, "then", None) is Level.AUTONOMOUS:
            what = f"{key} that is used up leaves autonomous in force: it limits nothing"
            raise document.error_at((*path, key, "then"), what, "Write then: assisted or then: supervised")


def _check_select(document: Document, path: Path, select: Select) -> None:
    given = [name for name in ("confidence", "time_minutes", "target") if getattr(select, name) is not UNSET]
    if len(given) > 1:
        what = f"{' and '.join(given)} ask for different things"
        raise document.error_at((*path, given[1]), what, "Give one of confidence, time_minutes and target")
    if select.target == 0:
        raise document.error_at((*path, "target"), "a target of 0 selects nothing", "Give a share above 0")


def _check_freeze(document: Document, path: Path, window: Freeze) -> None:
    try:
        windows.zone(window.time_zone)
    except ValueError as error:
        do = "Write a name of the time zone database such as Europe/Berlin (a machine without it knows UTC alone)"
        raise document.error_at((*path, "time_zone"), str(error), do) from error
    ranged = window.from_ is not UNSET or window.until is not UNSET
    if not ranged and not window.days and window.hours is UNSET:
        raise document.error_at(path, "the freeze has no time", "Give from, until, days or hours")
    if _beyond(window):
        raise document.error_at(
            (*path, "hours"), f"hours: {window.hours!r} ends after midnight", "End at 24:00 at most"
        )
    if window.from_ is not UNSET and window.until is not UNSET and windows.is_empty(window):
        raise document.error_at((*path, "until"), "the freeze ends before it begins", "Write until after from")


def _beyond(window: Freeze) -> bool:
    return window.hours is not UNSET and window.hours[6:8] == "24" and window.hours[9:] != "00"


def _check_effective(document: Document, rule: Rule) -> None:
    """Thresholds as they will hold together, whichever layer they are from."""
    for key in THRESHOLDS:
        if key in rule.from_costs and key not in rule.derived:
            _raise_underivable(document, rule, key)
    if {"bar", "supervised_bar"} <= rule.origin.keys() and rule.supervised_bar > rule.bar:
        what = f"supervised_bar {rule.supervised_bar:g} is above bar {rule.bar:g}"
        raise document.error_at(_path(rule, "supervised_bar"), what, "Supervised is the lower level: ask less of it")
    given = {"review_at", "deny_at"} <= rule.origin.keys() and not rule.from_costs & {"review_at", "deny_at"}
    if given and rule.review_at is not None and rule.deny_at is not None and rule.review_at > rule.deny_at:
        about = f"{rule.decision}.{rule.action}" if rule.action else rule.decision
        what = f"review_at {rule.review_at:g} of {about} is above its deny_at {rule.deny_at:g}"
        raise document.error_at(_path(rule, "review_at"), what, "A review must begin at or below the denial")


def _raise_underivable(document: Document, rule: Rule, key: str) -> None:
    absent = money.missing(rule.prices, key, rule.action)
    about = f"{rule.decision}.{rule.action}" if rule.action else rule.decision
    if absent:
        what = f"{key} of {about} is {FROM_COSTS}, and costs do not give {' and '.join(absent)}"
        raise document.error_at(_path(rule, key), what, f"Add {', '.join(absent)} to costs, or give {key} a number")
    what = f"{key} of {about} is {FROM_COSTS}, and costs of 0 say nothing"
    raise document.error_at(_path(rule, key), what, "Give costs above 0, or a number")


def _path(rule: Rule, key: str) -> Path:
    """Where the key that holds is written."""
    layer = rule.origin[key]
    parts: list[str] = layer.split(".") if layer.startswith("scopes.") else ["decisions", rule.decision]
    if not layer.startswith("scopes.") and layer != rule.decision:
        parts += ["actions", rule.action]
    return (*parts, key)


def _in_one_currency(document: Document, policy: Policy) -> Policy:
    """The policy with its one currency at the top: amounts are never converted, so they may never be mixed."""
    every = _with_costs(policy)
    stated: dict[str, Path] = {}
    for path, costs in every:
        if costs.currency is not UNSET:
            stated.setdefault(costs.currency, (*path, "costs", "currency"))
    for where, currency in document.currencies.items():
        stated.setdefault(currency, where)
    if len(stated) > 1:
        (first, _), (second, where), *_ = stated.items()
        what = f"an amount in {second} beside amounts in {first}: currencies are never mixed"
        raise document.error_at(where, what, f"Write every amount in {first}")
    if every and not stated:
        where = (*every[0][0], "costs")
        raise document.error_at(where, "costs have no currency", "Add `currency: EUR` or the one you count in")
    if not stated:
        return policy
    top = policy.costs if policy.costs is not UNSET else Costs()
    return msgspec.structs.replace(policy, costs=msgspec.structs.replace(top, currency=next(iter(stated))))


def _with_costs(policy: Policy) -> list[tuple[Path, Costs]]:
    """Every place with costs, the document's own first."""
    found: list[tuple[Path, Costs]] = [((), policy.costs)] if policy.costs is not UNSET else []
    for scope, rules in policy.scopes.items():
        if rules.costs is not UNSET:
            found.append((("scopes", str(scope)), rules.costs))
    for name, decision in policy.decisions.items():
        if decision.costs is not UNSET:
            found.append((("decisions", name), decision.costs))
        for action, inner in decision.actions.items():
            if inner.costs is not UNSET:
                found.append((("decisions", name, "actions", action), inner.costs))
    return found
