"""Python: the class of a changed file by its syntax trees.

Equal trees compile to the same program but for line numbers. What differs beside the tree and still matters is
looked for one by one: comments that tools read, the shebang, the encoding, warnings of the compiler, code that reads
its own lines, and documentation that something uses.
"""

import ast
import io
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from weaver_forge.changes.semantic.classes import ChangeClass, Finding, behaviour
from weaver_forge.changes.semantic.docstrings import PYTHON_READERS, PYTHON_WORDS
from weaver_forge.changes.semantic.pragmas import Comment, changed_read

_LINES = re.compile(
    rb"f_lineno|co_firstlineno|co_lines|getsource|findsource|getcomments|tb_lineno|getframeinfo|linecache|stacklevel"
    rb"|open\(__file__|inspect\.stack|Path\(__file__\)\.read"
)
"""Code that reads lines or their numbers: moving a line changes what it sees."""
_BODIES = frozenset({"body", "orelse", "finalbody"})
_SKIPPED = frozenset({
    tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER,
})  # fmt: skip


def compare_python(old: bytes, new: bytes) -> Finding:
    """The class of a change of a Python file, from both whole texts."""
    try:
        (before, warned_before), (after, warned_after) = _parsed(old), _parsed(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return behaviour(f"it does not parse as Python: {_first_line(error)}")
    if warned_before != warned_after:
        return behaviour("the compiler warns of other things than before")
    difference = compare_trees(before, after)
    if difference is None:
        return behaviour("the syntax tree changed")
    if not difference.changed:
        return _beside(old, new) or _comments(old, new)
    return _documented(old, new, before, after, difference)


@dataclass(slots=True)
class Documentation:
    """Where two trees differ that are equal otherwise: strings that are statements, all but the first dropped.

    Args:
        before: Those of bodies in which they changed.
        after: The same after.
    """

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    changed: bool = False


def compare_trees(one: ast.AST, other: ast.AST) -> Documentation | None:
    """Compare two syntax trees but for positions, how strings are written, and documentation.

    Gives what differs in documentation, and None where something else does.
    """
    said = Documentation()
    pairs: list[tuple[object, object]] = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if a.__class__ is not b.__class__:
            return None
        if isinstance(a, ast.Constant) or not isinstance(a, ast.AST):
            if not _same_leaf(a, b):
                return None
            continue
        for name in a._fields:
            x, y = getattr(a, name, None), getattr(b, name, None)
            if x.__class__ is list and y.__class__ is list:
                if name in _BODIES:
                    x, y = _undocumented(a, name, x, y, said)
                if len(x) != len(y):
                    return None
                pairs.extend(zip(x, y, strict=True))
            elif x is not y:
                pairs.append((x, y))
    return said


def _undocumented(
    node: ast.AST, name: str, before: list[ast.stmt], after: list[ast.stmt], said: Documentation
) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Two bodies without their documentation; what of it changed is noted."""
    places = [[(n, _text_of(each)) for n, each in enumerate(body) if _is_text(each)] for body in (before, after)]
    if not any(places):
        return before, after
    if places[0] != places[1]:
        said.changed = True
        said.before.update(text for _, text in places[0])
        said.after.update(text for _, text in places[1])
    x, y = ([each for each in body if not _is_text(each)] for body in (before, after))
    if name == "body" and not isinstance(node, ast.Module):  # nothing but its documentation does what `pass` does
        x, y = x or ([ast.Pass()] if before else []), y or ([ast.Pass()] if after else [])
    return x, y


def _same_leaf(a: object, b: object) -> bool:
    """Equal and of one type: 1, 1.0 and True are three values, and so are 0.0 and -0.0."""
    if isinstance(a, ast.Constant) and isinstance(b, ast.Constant):
        a, b = a.value, b.value
    return a.__class__ is b.__class__ and (a == b if isinstance(a, str | bytes | int) else repr(a) == repr(b))


def _parsed(text: bytes) -> tuple[ast.Module, Counter[str]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tree = ast.parse(text)
    return tree, Counter(f"{each.category.__name__} {each.message}" for each in said)


def _beside(old: bytes, new: bytes) -> Finding | None:
    """What matters although the trees are equal; None where nothing does."""
    first, after = old.split(b"\n", 1)[0], new.split(b"\n", 1)[0]
    if first != after and b"#!" in first + after:
        return behaviour("the shebang line changed")
    reads = _LINES.search(old) or _LINES.search(new)
    if reads:
        return behaviour(f"the file reads its own lines ({reads[0].decode()})")
    return None


def _comments(old: bytes, new: bytes) -> Finding:
    try:
        before, after = comments_of(old), comments_of(new)
    except (tokenize.TokenError, SyntaxError, UnicodeError, LookupError) as error:
        return behaviour(f"its comments cannot be read: {_first_line(error)}")
    read = changed_read((old, before), (new, after), "python")
    if read is not None:
        return behaviour(f"a comment that tools read changed or moved: {read.decode('utf-8', 'replace')[:60]}")
    if [c.said() for c in before] == [c.said() for c in after]:
        return Finding(ChangeClass.FORMAT, "the syntax tree and the comments are the same")
    return Finding(ChangeClass.COMMENT, "only comments changed: the syntax tree is the same")


def comments_of(text: bytes) -> list[Comment]:
    """The comments of a file, in order.

    Raises:
        SyntaxError: If the text is no Python, as far as its tokens tell.
        tokenize.TokenError: The same, where it ends too early.
    """
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: list[Comment] = []
    place = 0
    encoding = "utf-8"
    for token in tokenize.tokenize(io.BytesIO(text).readline):
        if token.type == tokenize.ENCODING:
            encoding = token.string
        elif token.type == tokenize.COMMENT:
            row, column = token.start
            begin = starts[row - 1] + len(token.line[:column].encode(encoding, "replace"))
            found.append(Comment(token.string.encode(encoding), place, begin))
        elif token.type not in _SKIPPED:
            place += 1
    return found


def _documented(old: bytes, new: bytes, before: ast.Module, after: ast.Module, difference: Documentation) -> Finding:
    """The class where nothing differs but documentation, if nobody uses it."""
    try:
        for text in (old, new):
            with warnings.catch_warnings(action="ignore"):
                compile(text, "changed", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        return behaviour(f"it does not compile: {_first_line(error)}")
    reader = _reader(old, before) or _reader(new, after)
    if reader:
        return behaviour(f"documentation changed, and the file may use it: {reader}")
    differing = (difference.before - difference.after) + (difference.after - difference.before)
    if any(">>>" in text for text in differing):
        return behaviour("documentation changed that has examples which doctest runs")
    beside = _beside(old, new) or _comments(old, new)
    if beside.kind is ChangeClass.BEHAVIOUR:
        return beside
    return Finding(ChangeClass.DOCSTRING, "only documentation changed: the syntax tree without it is the same")


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _text_of(node: ast.stmt) -> str:
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Constant)
    return str(node.value.value)


def _reader(text: bytes, tree: ast.Module) -> str:
    word = PYTHON_WORDS.search(text)
    if word:
        return word[0].decode().rstrip("(")
    return next((name for name in _imported(tree) if name in PYTHON_READERS), "")


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _first_line(error: BaseException) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}{': ' + text[0] if text else ''}"
