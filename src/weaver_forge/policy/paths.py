"""Patterns of protected paths, as in .gitignore: what they match. Pure text.

A pattern without a slash matches a name at any depth; one with a slash is anchored at the repository's root; ``*`` and
``?`` stay within a name, ``**`` passes over folders; a trailing slash means a folder and all below it, as does a match
of a folder. ``!pattern`` takes back what an earlier one matched; the last that matches decides.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache


def protected(patterns: Sequence[str], paths: Iterable[str]) -> tuple[str, ...]:
    """The paths that the patterns protect, in their order."""
    return tuple(path for path in paths if _is_protected(patterns, path))


def check(pattern: str) -> str:
    """What is wrong with a pattern; empty where nothing is."""
    body = pattern.removeprefix("!")
    if not body.strip("/ "):
        return "it matches nothing"
    if "\\" in body:
        return "a backslash is no separator of paths in a repository"
    return "a comment or a blank is no pattern" if body.strip() != body or body.startswith("#") else ""


def _is_protected(patterns: Sequence[str], path: str) -> bool:
    for pattern in reversed(patterns):
        negated = pattern.startswith("!")
        if _compiled(pattern.removeprefix("!")).fullmatch(path.removeprefix("./").lstrip("/")):
            return not negated
    return False


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    only_folder = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    expression = "" if anchored else "(?:.*/)?"
    parts = body.split("/")
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            expression += (".+/.*" if only_folder else ".*") if last else "(?:.*/)?"
        else:
            expression += _name(part) + ("" if last else "/")
    below = "/.*" if only_folder else "(?:/.*)?"
    return re.compile(expression + (below if parts[-1] != "**" else ""), re.DOTALL)


def _name(part: str) -> str:
    """One path segment; character classes as in a shell."""
    made, place = "", 0
    while place < len(part):
        character = part[place]
        closing = part.find("]", place + 2) if character == "[" else -1
        if character == "*":
            made += "[^/]*"
        elif character == "?":
            made += "[^/]"
        elif closing > 0:
            inside = part[place + 1 : closing].replace("\\", "\\\\")
            made += "[^" + inside[1:] + "]" if inside.startswith(("!", "^")) else "[" + inside + "]"
            place = closing
        else:
            made += re.escape(character)
        place += 1
    return made
