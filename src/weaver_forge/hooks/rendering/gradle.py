"""Gradle: an init script that leaves tests out. Pure, and not run here: no Gradle can be had where this is tested.

* ``--tests`` names what runs: a new test would never run, a command line is short, and a project of the build without
  such a test fails. A script that leaves names out has none of that.
* A filter takes classes and methods, ``*`` for anything, and no parameters: a method is left out when all of its
  parameters are.
* A filter that leaves nothing to run in a project fails its task unless told otherwise.
* Gradle runs classes as it finds them: there is no order to be given.
* A script is compiled, and no part of it may be longer than 64 KiB: names stand in parts.
"""

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rendering.lists import Lists, Rendered
from weaver_forge.hooks.rendering.surefire import SHAPE, class_and_method, plain_method

PART = 200
"""Names in a part of the script."""

_SCRIPT = """// An init script: gradle test --init-script FILE
def parts = []
{parts}
if (System.currentTimeMillis() / 1000 >= {ends}) {{
    println 'weaver-forge: WARNING: this list has expired: everything runs'
    parts.clear()
}}
allprojects {{
    tasks.withType(Test).configureEach {{ task ->
        task.filter.failOnNoMatchingTests = false
        parts.each {{ part -> part(task.filter) }}
    }}
}}
"""


def unit_of(test_id: str) -> str | None:
    """Class and method without parameters; empty where a report gives nothing but these: no filter can name it."""
    pair = class_and_method(test_id)
    if pair is None:
        return None
    plain = plain_method(pair[1])
    return f"{pair[0]}.{plain}" if plain else ""


def render(lists: Lists) -> Rendered:
    """Write the init script.

    Raises:
        UsageError: If no test is one of the JVM.
    """
    parts = lists.parts(unit_of)
    if not (parts.run or parts.left):
        raise UsageError("none of the tests is one of the JVM", where="gradle", do=f"They are named {SHAPE}")
    if not parts.run:
        return Rendered(text=None, use="")
    return Rendered(
        text=_SCRIPT.format(ends=lists.ends_s, parts="\n".join(_parts(list(parts.left)))),
        use="gradle test --init-script FILE",
        notes=(
            *parts.notes(SHAPE, "methods, whose parameters are not told apart"),
            "Gradle runs classes in an order of its own",
        ),
    )


def _parts(patterns: list[str]) -> list[str]:
    lines = []
    for start in range(0, len(patterns), PART):
        lines.append("parts << { filter ->")
        lines.extend(f"    filter.excludeTestsMatching({_quoted(name)})" for name in patterns[start : start + PART])
        lines.append("}")
    return lines


def _quoted(text: str) -> str:
    """A string of Groovy in single quotes, in which a dollar means nothing."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
