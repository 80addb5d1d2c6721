"""Maven's surefire: classes left out by a file, the order of classes by statistics, single methods by ``-Dtest``. Pure.

Seen with 2.22.3 (JUnit 4 and 5) and 3.2.5 (JUnit 5):

* A file of what to leave out (``surefire.excludesFile``) takes classes, not methods, and passes over names that it does
  not find. It puts surefire's own ``**/*$*`` out of force, so that nested classes would run twice: the line is there.
  A file of what to run would pass new classes by, and an empty one runs everything.
* No option gives an order. ``surefire.runOrder=failedfirst`` sorts classes by how many builds they have passed, as its
  statistics say; classes that these do not know come first. So the order is written as statistics.
* ``-Dtest`` takes methods, also nested (``A$B#m``) and with parameters (``A#m[x]``; JUnit 5 knows no parameters
  there). A comma ends a name: ``?`` stands for it. A list of what not to run (``!A#m``) would run nested classes twice,
  and classes that are no tests by name. A class that is named without its nested ones runs none of them.
"""

import re
from collections.abc import Iterable

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rendering.lists import ARGUMENT_BYTES, Lists, Rendered, by_unit, parted

SHAPE = "as tests of the JVM are (org.ex.ATest::method)"
ORDER, METHODS = ".order", ".methods"
"""What the names of the files beside the excludes add: the order of classes, and what single methods are left out."""

_CLASS = re.compile(r"[^\W\d][\w$]*(\.[^\W\d][\w$]*)*")
_SPECIAL = re.compile(r"""[,+#*!%\\/\s'"]""")
_PARAMETERS = re.compile(r"[\[({]")
_DEFAULT = "**/*$*"


def class_and_method(test_id: str) -> tuple[str, str] | None:
    """Class and method of a test of the JVM; None where it is named otherwise."""
    classname, method = parted(test_id)
    return (classname, method) if method and _CLASS.fullmatch(classname) else None


def plain_method(method: str) -> str:
    """A method's name without parameters; empty where a report gives nothing but these."""
    return _PARAMETERS.split(method, maxsplit=1)[0]


def unit_of(test_id: str) -> str | None:
    """The class that has a file of its own; None where a test is named otherwise than those of the JVM."""
    pair = class_and_method(test_id)
    return pair[0].partition("$")[0] if pair else None


def render(lists: Lists) -> Rendered:
    """Write what surefire leaves out, and beside it its order (``.order``) and its methods (``.methods``).

    Raises:
        UsageError: If no test is one of the JVM.
    """
    parts = lists.parts(unit_of)
    if not (parts.run or parts.left):
        raise UsageError("none of the tests is one of the JVM", where="surefire", do=f"They are named {SHAPE}")
    notes = parts.notes(SHAPE, "classes (.methods leaves them out)")
    if parts.left:
        notes.append("new methods of classes that are left out wait with them; new classes run")
    methods, problem = _methods([pair for pair in map(class_and_method, lists.run) if pair])
    if lists.rest:
        notes.append(problem or "with .methods new tests do not run: no list names them")
    excluded = (_DEFAULT, *(name.replace(".", "/") + ".java" for name in parts.left))
    return Rendered(
        text=("".join(f"{line}\n" for line in excluded) if parts.left else "") if parts.run else None,
        use="mvn test -Dsurefire.excludesFile=FILE" if parts.left else "mvn test (no class is left out)",
        notes=tuple(notes),
        beside={
            ORDER: _statistics(parts.run) if parts.run else None,
            METHODS: methods if lists.rest and methods else None,
        },
    )


def _statistics(classes: Iterable[str]) -> str:
    """Builds that a class has passed, milliseconds, a method of it: the fewer builds, the sooner it runs.

    Each stands there twice, as releases up to 2 and from 3 on write it; each passes over what the other reads. The
    first is of no class: new ones stand beside the first.
    """
    lines = []
    for place, name in enumerate(("new", *classes)):
        lines += [f"{place},0,order({name})\n", f"{place},0,{name},order\n"]
    return "".join(lines)


def _methods(run: list[tuple[str, str]]) -> tuple[str, str]:
    """The option that names each test that shall run; empty, and why, where it would be too long."""
    parts = []
    for classname, methods in by_unit(run).items():
        names = dict.fromkeys(name for method in methods for name in _patterns(method))
        parts.append(classname if "" in names else f"{classname}#{'+'.join(names)}")
    option = f"-Dtest={','.join(parts)}"
    if len(option.encode()) > ARGUMENT_BYTES:
        return "", "there is no .methods: a command line does not take so many names"
    return f"{option}\n", ""


def _patterns(method: str) -> tuple[str, ...]:
    """How ``-Dtest`` names a method; with parameters as JUnit 4 names it, and without as JUnit 5 does.

    An empty name where parameters are all that is known: then the class runs whole.
    """
    plain = plain_method(method)
    names = (method,) if plain == method else (method, plain)
    return tuple(_SPECIAL.sub("?", name) for name in names)
