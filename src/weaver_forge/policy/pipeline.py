"""Reading the blueprint's ``pipeline.yaml``: its keys to decisions and actions of a policy, the rest to notes.

Put here how the file is walked. Groups may be mappings or lists, stages a list of ``- name: build`` or a mapping; the
value of a key is a word, a level, or a mapping of the rules that ``policy.yaml`` takes. What a key means is
``blueprint``'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from msgspec import UNSET, structs

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.policy.blueprint import KEYS, OFF, SCOPES, STAGES, THRESHOLDS, Key
from weaver_forge.policy.document import VERSION, ActionPolicy, DecisionPolicy, Policy
from weaver_forge.policy.nodes import Document, Path, nearest, spoken

WRAPPERS = ("pipeline", "weaver_forge", "weaver-forge")
TRIGGER = "trigger_intelligence"
TOP = (TRIGGER, "stages", *STAGES)
_LABELS = ("name", "description", "version")
OWN = ("costs", "scopes", "decisions")
"""Keys of ``policy.yaml`` that may stand beside the blueprint's."""
_OWN_TYPES = {item.name: item.type for item in structs.fields(Policy) if item.name in OWN}


@dataclass(slots=True)
class _Found:
    """What the walk has met so far."""

    rules: dict[tuple[str, str], ActionPolicy] = field(default_factory=dict)
    said_by: dict[str, yaml.Node] = field(default_factory=dict)
    paths: dict[tuple[str, str], Path] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)


def is_pipeline(names: Iterable[str]) -> bool:
    """Whether these top-level keys are the blueprint's rather than a policy's."""
    return bool(set(names) & {*WRAPPERS, *TOP})


def read_pipeline(document: Document, root: yaml.Node) -> Policy:
    """Make a policy of it; what each key came to is noted.

    Raises:
        PolicyError: For an unknown key, with file, line and the nearest valid one.
    """
    found = _Found()
    body, path = _unwrapped(document, root)
    seen: set[str] = set()
    for name, (key, node) in document.mapping(body, spoken(path) if path else "the pipeline").items():
        if name == TRIGGER:
            _group(document, found, "", name, node, (*path, name))
        elif name == "stages":
            _stages(document, found, node, (*path, name), seen)
        elif name in STAGES:
            _stage(document, found, name, key, node, (*path, name), seen)
        elif name in OWN:
            found.own[name] = document.value(node, _OWN_TYPES[name], (name,))
        elif name not in _LABELS:
            raise document.error(key, f"unknown key {name!r} in the pipeline", _meant(name, (*TOP, *OWN)))
    return _policy(document, found)


def _unwrapped(document: Document, root: yaml.Node) -> tuple[yaml.Node, Path]:
    """The mapping that holds the keys: the document itself or what one of its wrappers holds."""
    top = document.mapping(root, "the pipeline")
    document.nodes[()] = root
    wrappers = [name for name in top if name in WRAPPERS]
    if not wrappers:
        return root, ()
    for name, (key, _) in top.items():
        if name != wrappers[0] and name not in _LABELS:
            raise document.error(
                key, f"unknown key {name!r} beside {wrappers[0]}", nearest(name, [wrappers[0], *_LABELS])
            )
    return top[wrappers[0]][1], (wrappers[0],)


def _stages(document: Document, found: _Found, node: yaml.Node, path: Path, seen: set[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        for name, (key, inner) in document.mapping(node, spoken(path)).items():
            _stage(document, found, name, key, inner, (*path, name), seen)
        return
    for place, item in enumerate(document.sequence(node, spoken(path))):
        if isinstance(item, yaml.ScalarNode):
            _known_stage(document, item.value, item, seen)
            continue
        keys = document.mapping(item, spoken((*path, place)))
        if "name" not in keys:
            raise document.error(
                item, f"name is missing in {spoken((*path, place))}", f"Add name: {' | '.join(STAGES)}"
            )
        said = keys["name"][1]
        _stage(document, found, str(document.plain(said, "name")), said, item, (*path, place), seen)


def _known_stage(document: Document, name: str, key: yaml.Node, seen: set[str]) -> None:
    if name not in STAGES:
        raise document.error(key, f"unknown stage {name!r}", nearest(name, list(STAGES)))
    if name in seen:
        raise document.error(key, f"stage {name!r} is given twice", "Keep one of them")
    seen.add(name)
    document.notes.append(f"{document.where(key)}: stage {name}: read for its keys; a stage has no rule of its own")


def _stage(
    document: Document,
    found: _Found,
    name: str,
    key: yaml.Node,
    node: yaml.Node,
    path: Path,
    seen: set[str],
) -> None:
    _known_stage(document, name, key, seen)
    groups = tuple(dict.fromkeys(known.group for known in KEYS if known.stage == name))
    for text, (inner, value) in document.mapping(node, spoken(path)).items():
        if text in groups:
            _group(document, found, name, text, value, (*path, text))
        elif text not in _LABELS:
            raise document.error(inner, f"unknown key {text!r} in stage {name}", _meant(text, groups))


def _group(document: Document, found: _Found, stage: str, group: str, node: yaml.Node, path: Path) -> None:
    known = {key.name: key for key in KEYS if (key.stage, key.group) == (stage, group)}
    for name, key_node, value in _items(document, node, path):
        where = ".".join(part for part in (stage, group) if part)
        if name not in known:
            raise document.error(key_node, f"unknown key {name!r} in {where}", _meant(name, tuple(known)))
        if known[name].path in found.said_by:
            raise document.error(key_node, f"{name!r} is given twice in {where}", "Keep one of them")
        found.said_by[known[name].path] = key_node
        _take(document, found, known[name], key_node, value, (*path, name))


def _items(document: Document, node: yaml.Node, path: Path) -> list[tuple[str, yaml.Node, yaml.Node | None]]:
    """Keys of a group in any of its forms: a mapping, or a list of names and of one-key mappings."""
    if isinstance(node, yaml.MappingNode):
        return [(name, key, value) for name, (key, value) in document.mapping(node, spoken(path)).items()]
    found: list[tuple[str, yaml.Node, yaml.Node | None]] = []
    for item in document.sequence(node, spoken(path)):
        if isinstance(item, yaml.ScalarNode):
            found.append((str(item.value), item, None))
        else:
            found += [(name, key, value) for name, (key, value) in document.mapping(item, spoken(path)).items()]
    return found


def _take(document: Document, found: _Found, key: Key, node: yaml.Node, value: yaml.Node | None, path: Path) -> None:
    """Map a key, and note what it came to."""
    about = f"{document.where(node)}: {key.path}"
    if not key.decision:
        if isinstance(value, yaml.MappingNode):
            do = "Give it a word, or write rules for a decision in policy.yaml"
            raise document.error(value, f"{key.path} takes no rules: {key.says}", do)
        if value is not None:
            document.plain(value, key.name)
        document.notes.append(f"{about}: {key.says}")
        return
    target = f"decisions.{key.decision}" + (f".actions.{key.action}" if key.action else "")
    if isinstance(value, yaml.MappingNode):
        rules: ActionPolicy = document.struct(value, ActionPolicy, path)
        document.notes.append(f"{about}: {key.says}; its rules are those of {target}")
    else:
        level, said = _level(document, key, value)
        # A ceiling bounds what stands below it: a word that names no level must not hold the decision's actions down.
        rules = ActionPolicy(ceiling=UNSET if said and not key.action else level)
        document.notes.append(f"{about}: {key.says}; {target}.ceiling is {level}{said}")
    found.rules[key.decision, key.action] = rules
    found.paths[key.decision, key.action] = path


def _level(document: Document, key: Key, value: yaml.Node | None) -> tuple[Level, str]:
    """The ceiling that a word gives: only the name of a level gives more than assisted."""
    word = str(document.plain(value, key.name)).strip().lower() if value is not None else "true"
    if word in set(Level):
        return Level(word), ""
    if word in OFF:
        return Level.ASSISTED, ": it is off, so it says what it would do and stops nothing"
    return (
        Level.ASSISTED,
        f": {word!r} names no level; write supervised or autonomous to let it act once it has earned it",
    )


def _meant(name: str, here: tuple[str, ...]) -> str:
    """Where a key belongs if it is one of another place, else the nearest one of this place or of all."""
    elsewhere = [key.path for key in KEYS if key.name == name]
    if elsewhere:
        return f"It belongs in {' or '.join(path.rpartition('.')[0] for path in elsewhere)}"
    return nearest(name, list(here))


def _policy(document: Document, found: _Found) -> Policy:
    decisions = dict(found.own.get("decisions", {}))
    for decision in dict.fromkeys(name for name, _ in found.rules):
        if decision in decisions:
            what = f"{decision} is said in decisions and by a key of the pipeline"
            raise document.error_at(("decisions", decision), what, "Keep one of them")
        own = structs.asdict(_with_thresholds(decision, found.rules.get((decision, ""), ActionPolicy())))
        actions = {
            action: _with_thresholds(decision, rules)
            for (name, action), rules in found.rules.items()
            if name == decision and action
        }
        decisions[decision] = DecisionPolicy(scope=Scope(SCOPES[decision]), actions=actions, **own)
    _place(document, found)
    values = {name: value for name, value in found.own.items() if name != "decisions"}
    return Policy(version=VERSION, decisions=decisions, **values)


def _with_thresholds(decision: str, rules: ActionPolicy) -> ActionPolicy:
    """The shipped thresholds where the file gives none of them; where it gives one, the other is none."""
    shipped = THRESHOLDS.get(decision, {})
    given = {name: getattr(rules, name) for name in shipped}
    if all(value is UNSET for value in given.values()):
        return structs.replace(rules, **shipped)
    return structs.replace(rules, **{name: None if value is UNSET else value for name, value in given.items()})


def _place(document: Document, found: _Found) -> None:
    """Let errors of the rules, which are named as in ``policy.yaml``, find their lines here."""
    for (decision, action), path in found.paths.items():
        target = ("decisions", decision, *(("actions", action) if action else ()))
        for known, node in list(document.nodes.items()):
            if known[: len(path)] == path:
                document.nodes[*target, *known[len(path) :]] = node
