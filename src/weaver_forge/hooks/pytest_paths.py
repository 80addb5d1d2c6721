"""Whether pytest took the value of one of the plugin's flags for a path of tests. Pure, but for looking what is there.

pytest looks for its rootdir and its ini file before it loads a plugin whose flags it then knows. Of ``--weaver-from
FILE`` it takes FILE for a test's path, as it would of any plugin's flag; of ``--weaver-from=FILE`` it does not. Where
FILE lies elsewhere the rootdir does so too, tests are called otherwise, and the project's ini file is not read.
"""

import os.path
from collections.abc import Collection, Sequence
from pathlib import Path

_INI = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def misled(arguments: Sequence[str], flags: Collection[str], here: Path, ini: Path | None) -> list[str]:
    """What to say where a flag's value led pytest's search for its rootdir astray; nothing where it did not.

    Args:
        arguments: As pytest was called.
        flags: The plugin's own.
        here: Where it was called.
        ini: The ini file that it found.
    """
    ours = {place + 1: text for place, text in enumerate(arguments[:-1]) if text in flags}
    values = {flag: folder for place, flag in ours.items() if (folder := _folder(arguments[place], here))}
    rest = [text for place, text in enumerate(arguments) if place not in ours and not text.startswith("-")]
    own = _common([folder for text in rest if (folder := _folder(text, here))] or [here])
    apart = [flag for flag, folder in values.items() if not folder.is_relative_to(own)]
    if not apart or (ini is not None and _own_ini(own) == ini.parent):
        return []
    moved = "so that its rootdir is not the project's, nor its ini file"
    return [f"pytest took the value of {apart[0]} for a path of tests, {moved}: write {apart[0]}=..."]


def _own_ini(folder: Path) -> Path | None:
    """The nearest folder with something that may be an ini file."""
    return next((up for up in (folder, *folder.parents) if any((up / name).is_file() for name in _INI)), None)


def _folder(text: str, here: Path) -> Path | None:
    """The folder of what an argument names; None where there is no such thing."""
    path = Path(os.path.normpath(here / text.partition("::")[0]))
    try:
        return path if path.is_dir() else path.parent if path.exists() else None
    except OSError:  # no path at all: too long
        return None


def _common(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(folders))
