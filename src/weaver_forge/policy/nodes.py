"""Walking YAML nodes into structs, with errors that name file, line and the nearest valid key.

Put here how text becomes a struct, for any struct: nodes are walked rather than plain data, since only nodes know
their line. What the values must mean together belongs in ``reading``.
"""

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import msgspec
import yaml
from msgspec import UnsetType

from weaver_forge.errors import PolicyError

# C-made loader where PyYAML has it: the gate reads a policy on every start.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
_MONEY = re.compile(r"(?P<amount>\d+(?:\.\d+)?)(?:\s+(?P<currency>[A-Z]{3}))?")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d)?(?:\s?(?:[Zz]|[+-]\d\d:\d\d))?)?")

Path = tuple[str | int, ...]


class Document:
    """One document on its way in.

    Attributes:
        notes: What was read otherwise than it is written, each with file and line.
        nodes: Where a value stands, by its path of keys and places.
        currencies: Currencies that amounts name, by path.
    """

    def __init__(self, name: str, former: Mapping[str, str] | None = None) -> None:
        self.name, self.former = name, former or {}
        self.notes: list[str] = []
        self.nodes: dict[Path, yaml.Node] = {}
        self.currencies: dict[Path, str] = {}

    def compose(self, text: str) -> yaml.Node:
        """The root node.

        Raises:
            PolicyError: If it is not YAML, or nothing at all.
        """
        try:
            root = yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise PolicyError(f"not valid YAML: {problem}", where=f"{self.name}{line}", do="Mend that line") from error
        if root is None:
            raise PolicyError("the policy is empty", where=self.name, do="Start with `version: 1` and `decisions:`")
        return root

    def where(self, node: yaml.Node) -> str:
        """File and line of a node."""
        return f"{self.name}, line {node.start_mark.line + 1}"

    def error(self, node: yaml.Node, what: str, do: str) -> PolicyError:
        """An error at a node."""
        return PolicyError(what, where=self.where(node), do=do)

    def error_at(self, path: Path, what: str, do: str) -> PolicyError:
        """An error at the value of a path, or the nearest thing around it."""
        while path not in self.nodes and path:
            path = path[:-1]
        return self.error(self.nodes[path], what, do)

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

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The nodes of a list."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, f"{what} must be a list", "Write `- value` lines below it, or [a, b]")
        return list(node.value)

    def struct(self, node: yaml.Node, kind: type[msgspec.Struct], path: Path) -> Any:
        """A struct from a mapping: unknown keys refused with the nearest known one, missing ones named."""
        self.nodes[path] = node
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        what = spoken(path)
        values: dict[str, Any] = {}
        for text, (key, value) in self.mapping(node, what).items():
            name = self._current(text, key, known, what)
            if name not in known:
                raise self.error(key, f"unknown key {text!r} in {what}", nearest(text, list(known), self.former))
            field = known[name]
            if field.name in values:
                raise self.error(key, f"{name!r} is given twice in {what}, once as {text!r}", "Keep one of them")
            values[field.name] = self.value(value, field.type, (*path, name))
        for name, field in known.items():
            if field.required and field.name not in values:
                raise self.error(node, f"{name} is missing in {what}", f"Add `{name}: {_expected(field.type)}`")
        return kind(**values)

    def value(self, node: yaml.Node, kind: Any, path: Path) -> Any:
        """A value of any type that the structs use."""
        self.nodes[path] = node
        wanted = _without_unset(kind)
        origin, arguments = get_origin(wanted), get_args(wanted)
        choices = arguments if origin in {typing.Union, types.UnionType} else (wanted,)
        structs = [kind for kind in choices if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
        if structs and (structs == [wanted] or not isinstance(node, yaml.ScalarNode)):
            return self.struct(node, structs[0], path)
        if origin is dict:
            return self._dict(node, arguments, path)
        if origin is tuple:
            items = self.sequence(node, spoken(path))
            return tuple(self.value(item, arguments[0], (*path, place)) for place, item in enumerate(items))
        return self._single(node, wanted, path)

    def _single(self, node: yaml.Node, wanted: Any, path: Path) -> Any:
        bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
        if bare is Decimal:
            return self._money(node, path)
        if bare is datetime:
            return self._instant(node, path)
        return self._scalar(node, wanted, path)

    def _current(self, text: str, key: yaml.Node, known: Any, what: str) -> str:
        """The name of a key now; a former one is taken, with a note."""
        if text in known or self.former.get(text) not in known:
            return text
        self.notes.append(f"{self.where(key)}: {text!r} in {what} is read as {self.former[text]!r}, its name now")
        return self.former[text]

    def _dict(self, node: yaml.Node, arguments: tuple[Any, ...], path: Path) -> dict[Any, Any]:
        found = self.mapping(node, spoken(path))
        made = {}
        for text, (key, value) in found.items():
            name: Any = text
            if isinstance(arguments[0], type) and issubclass(arguments[0], StrEnum):
                choices = [str(member) for member in arguments[0]]
                if text not in choices:
                    raise self.error(key, f"unknown key {text!r} in {spoken(path)}", nearest(text, choices))
                name = arguments[0](text)
            made[name] = self.value(value, arguments[1], (*path, text))
        return made

    def _scalar(self, node: yaml.Node, kind: Any, path: Path) -> Any:
        plain = self.plain(node, str(path[-1]))
        try:
            return msgspec.convert(plain, kind)
        except msgspec.ValidationError as error:
            words = str(error).replace("`", "")
            choices = _choices(kind)
            do = nearest(str(plain), choices) if choices else f"Expected {_expected(kind)}"
            name = path[-1] if isinstance(path[-1], str) else spoken(path)
            because = "" if choices or "enum" in words else f": {words}"  # a choice among types has no words of its own
            raise self.error(node, f"{name}: {plain!r} is not valid{because}", do) from error

    def plain(self, node: yaml.Node, name: str) -> Any:
        """The value of a scalar as YAML means it."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{name} must be a single value", f"Write `{name}: value` on one line")
        if not node.style and _EXPONENT.fullmatch(node.value):
            return float(node.value)  # YAML 1.2 calls 1e-3 a number, the library's YAML 1.1 a text
        loader = yaml.SafeLoader("")
        try:
            return cast("Any", loader).construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self.error(node, f"{name}: {node.value!r} cannot be read", "Write a plain value") from error
        finally:
            cast("Any", loader).dispose()

    def _text(self, node: yaml.Node, name: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{name} must be a single value", f"Write `{name}: value` on one line")
        return str(node.value).strip()

    def _money(self, node: yaml.Node, path: Path) -> Decimal:
        """An exact amount: read from the text, as a float would lose it."""
        name = str(path[-1])
        text = self._text(node, name)
        match = _MONEY.fullmatch(text)
        try:
            amount = Decimal(match["amount"]) if match else Decimal("nan")
        except InvalidOperation:
            amount = Decimal("nan")
        if match is None or not amount.is_finite() or len(match["amount"]) > 30:
            do = "Expected an amount of money, at least 0, such as 12.50 or 12.50 EUR"
            raise self.error(node, f"{name}: {text!r} is no amount of money", do)
        if match["currency"]:
            self.currencies[path] = match["currency"]
        return amount

    def _instant(self, node: yaml.Node, path: Path) -> datetime:
        name = str(path[-1])
        text = self._text(node, name)
        try:
            return datetime.fromisoformat(text.upper().replace(" ", "T", 1) if _TIMESTAMP.fullmatch(text) else "")
        except ValueError as error:
            do = "Expected a date or a date with a time, such as 2026-12-24 or 2026-12-24T18:00"
            raise self.error(node, f"{name}: {text!r} is no instant", do) from error


def nearest(text: str, known: Sequence[str], former: Mapping[str, str] | None = None) -> str:
    """An instruction that names the nearest known word, and the rest; a former name leads to the word of today."""
    old = {name: now for name, now in (former or {}).items() if now in known}
    close = difflib.get_close_matches(text.lower(), [*known, *old], n=1, cutoff=0.5)
    meant = f"Did you mean {old.get(close[0], close[0])!r}? " if close else ""
    return f"{meant}Known: {', '.join(known)}"


def spoken(path: Path) -> str:
    """A path of keys and places as people say it: ``decisions.deploy_risk.freeze[2]``, counted from 1."""
    if not path:
        return "the policy"
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _without_unset(kind: Any) -> Any:
    """The type of a key without the marker that it may be absent."""
    if get_origin(kind) not in {typing.Union, types.UnionType}:
        return kind
    rest = [choice for choice in get_args(kind) if choice is not UnsetType]
    return rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]  # noqa: UP007 - made of a list


def _choices(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [str(member) for member in kind]
    return []


def _expected(kind: Any) -> str:
    """What a value of this type must be, in words: the description of the type, or its choices."""
    kind = _without_unset(kind)
    if get_origin(kind) is Annotated:
        said = [meta.description for meta in kind.__metadata__ if getattr(meta, "description", None)]
        return said[0] if said else "a valid value"
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) in {typing.Union, types.UnionType}:
        return ", or ".join("null for none" if choice is type(None) else _expected(choice) for choice in get_args(kind))
    return " | ".join(_choices(kind)) or "a valid value"
