"""Adding a protected path to the text of a policy, and nothing else: comments, order and form stay as they are.

The text is changed where its YAML nodes stand, and what comes out is read again: it must say what it said before and
the pattern more. What cannot be changed so is refused, and left to a person.
"""

import json
from dataclasses import dataclass

import msgspec
import yaml

from weaver_forge.errors import PolicyError
from weaver_forge.policy import parse

_REFUSED = "Add it by hand: protected_paths of the decision"


@dataclass(frozen=True, slots=True)
class Edited:
    """A changed text.

    Args:
        text: The whole of it.
        inserted: The piece that is new.
    """

    text: str
    inserted: str


def protect(text: str, name: str, decision: str, pattern: str) -> Edited:
    """Add a pattern to the protected paths of a decision.

    Raises:
        PolicyError: If the decision is not there, the pattern is already, or the text cannot be changed alone there.
    """
    before = parse(text, name)
    if decision not in before.decisions:
        raise PolicyError(f"{decision} is not among its decisions", where=name, do=_REFUSED)
    if pattern in before.decisions[decision].protected_paths:
        raise PolicyError(f"{pattern} is protected already", where=name, do="Nothing needs to be done")
    at, inserted = _place(text, name, decision, pattern)
    made = Edited(text[:at] + inserted + text[at:], inserted)
    old = before.decisions[decision]
    wanted = msgspec.structs.replace(old, protected_paths=(*old.protected_paths, pattern))
    if parse(made.text, name).decisions != {**before.decisions, decision: wanted}:
        raise PolicyError("it would say something else as well", where=name, do=_REFUSED)
    return made


def unprotect(text: str, name: str, decision: str, pattern: str, *, with_key: bool) -> str:
    """Take a pattern out of the protected paths of a decision again, whatever else was changed since.

    Args:
        text: As it is now.
        name: What to call it in messages.
        decision: Its name.
        pattern: The pattern.
        with_key: Take the key too where nothing else is left in it: it was added with the pattern.

    Raises:
        PolicyError: If it is not there just once, or the policy would lose more than the pattern.
    """
    before = parse(text, name)
    old = before.decisions.get(decision)
    if old is None or old.protected_paths.count(pattern) != 1:
        raise PolicyError(f"{pattern} is not protected by {decision} once", where=name, do="Look at the file")
    start, end = _piece(text, decision, pattern, with_key=with_key)
    made = text[:start] + text[end:]
    wanted = msgspec.structs.replace(old, protected_paths=tuple(p for p in old.protected_paths if p != pattern))
    if parse(made, name).decisions != {**before.decisions, decision: wanted}:
        raise PolicyError("the policy would lose more than the pattern", where=name, do="Take it out by hand")
    return made


def _piece(text: str, decision: str, pattern: str, *, with_key: bool) -> tuple[int, int]:
    """From where to where a pattern stands, with the comma or the line that is its own."""
    rules = _value(_value(yaml.compose(text, Loader=yaml.SafeLoader), "decisions"), decision)
    assert isinstance(rules, yaml.MappingNode)
    key, paths = next((key, value) for key, value in rules.value if key.value == "protected_paths")
    place = next(i for i, each in enumerate(paths.value) if each.value == pattern)
    item = paths.value[place]
    if len(paths.value) == 1 and with_key:
        if rules.flow_style:
            return key.start_mark.index, text.index(",", paths.end_mark.index) + 2
        return key.start_mark.index - key.start_mark.column, _next_line(text, item.end_mark.index)
    if not paths.flow_style:
        return text.rindex("\n", 0, item.start_mark.index) + 1, _next_line(text, item.end_mark.index)
    if place:
        return paths.value[place - 1].end_mark.index, item.end_mark.index
    return item.start_mark.index, paths.value[1].start_mark.index if len(paths.value) > 1 else item.end_mark.index


def _next_line(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _place(text: str, name: str, decision: str, pattern: str) -> tuple[int, str]:
    """Where something is inserted, and what."""
    written = json.dumps(pattern, ensure_ascii=False)
    rules = _value(_value(yaml.compose(text, Loader=yaml.SafeLoader), "decisions"), decision)
    paths = _value(rules, "protected_paths")
    if not isinstance(rules, yaml.MappingNode) or not rules.value:
        raise PolicyError(f"{decision} has no keys to stand beside", where=name, do=_REFUSED)
    if paths is None:
        return _new_key(rules, written)
    if not isinstance(paths, yaml.SequenceNode):
        raise PolicyError("protected_paths is no list", where=name, do=_REFUSED)
    if paths.flow_style:
        end = paths.value[-1].end_mark.index if paths.value else paths.start_mark.index + 1
        return end, f", {written}" if paths.value else written
    last = paths.value[-1]
    dash = text.rindex("-", 0, last.start_mark.index)
    indent = dash - (text.rfind("\n", 0, dash) + 1)
    return _line_after(text, last.end_mark.index, f"{' ' * indent}- {written}")


def _new_key(rules: yaml.MappingNode, written: str) -> tuple[int, str]:
    """Before the first key of the decision, so that no comment of another key is parted from it."""
    first = rules.value[0][0].start_mark
    if rules.flow_style:
        return first.index, f"protected_paths: [{written}], "
    return first.index - first.column, f"{' ' * first.column}protected_paths: [{written}]\n"


def _line_after(text: str, index: int, line: str) -> tuple[int, str]:
    """A line of its own below the one that holds this place."""
    end = text.find("\n", index)
    return (len(text), f"\n{line}") if end < 0 else (end + 1, f"{line}\n")


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
