"""The folder that hooks make in somebody's working tree, and that git does not see. Standard library only.

Put here its name and how it is made. What lies in it belongs to who writes it: the spool, what pytest ran.
"""

from contextlib import suppress
from pathlib import Path

NAME = ".weaver-forge"
_IGNORED = "*\n"
"""For ``.gitignore``: everything in the folder, this file too."""


def make_folder(folder: Path) -> None:
    """Make a folder; where one of our name is made on the way, git is told to leave it alone.

    ``git add -A`` would take it for part of the change, and its files for data that every test may read. A folder of
    our name that is there already is left as it is.

    Raises:
        OSError: If the folder cannot be made.
    """
    own = next((part for part in (folder, *folder.parents) if part.name == NAME), None)
    is_new = own is not None and not own.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if own is not None and is_new:
        # Another process may have written it, or the disk be full: what is to be kept matters more, and says so itself.
        with suppress(OSError), (own / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(_IGNORED)
