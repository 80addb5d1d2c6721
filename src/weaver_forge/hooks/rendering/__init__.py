"""Tests to run, in order -> what a test runner takes. Pure: lists in, texts out.

Put here one module a runner; it says in its docstring what that runner was seen to do with what it is given. What no
runner may do silently: run nothing, run everything, pass a test by that shall run, or leave a new one out. Where it
cannot do what the lists say, it runs more, and a note says so. Who chooses tests is ``rank_tests`` and
``selecting``; who writes files is ``cli``.
"""

from collections.abc import Callable
from typing import Literal, get_args

from weaver_forge.errors import UsageError
from weaver_forge.hooks.rendering import go, gradle, jest, plain, surefire
from weaver_forge.hooks.rendering.lists import Lists, Rendered

__all__ = ["BESIDE", "FORMATS", "Format", "Lists", "Rendered", "render"]

Format = Literal["ids", "json", "pytest", "surefire", "gradle", "go", "jest"]
"""The forms of a list."""
FORMATS: tuple[Format, ...] = get_args(Format)

BESIDE: dict[Format, tuple[str, ...]] = {"surefire": (surefire.ORDER, surefire.METHODS)}
"""What a form adds to the name of its file for those beside it."""

_RENDERERS: dict[str, Callable[[Lists], Rendered]] = {
    "ids": plain.ids,
    "json": plain.rows,
    "pytest": plain.pytest,
    "surefire": surefire.render,
    "gradle": gradle.render,
    "go": go.render,
    "jest": jest.render,
}


def render(lists: Lists, form: Format) -> Rendered:
    """Write lists for a runner.

    Args:
        lists: At least one test to run.
        form: One of ``FORMATS``.

    Raises:
        UsageError: If there is nothing to run (a runner would take an empty list for all of its tests or for none), or
            nothing that this runner can run, or no such form.
    """
    if form not in _RENDERERS:
        raise UsageError(f"no form {form!r}", do=f"Give one of {', '.join(FORMATS)}")
    if not lists.run:
        raise UsageError("there is no test to run", where=form, do="Run the whole suite, or nothing")
    return _RENDERERS[form](lists)
