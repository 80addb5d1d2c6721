"""Changes of a repository: what they are, what they touch, what they say and mean, and which proved wrong. Pure.

What a change means is told by ``semantic``, which a hook uses where no table library is installed: so what stands
here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver_forge.changes.core import core_changes, core_changes_of, core_files, file_sizes
    from weaver_forge.changes.fixes import is_fix, reverted

__all__ = ["core_changes", "core_changes_of", "core_files", "file_sizes", "is_fix", "reverted"]

_FIXES = frozenset({"is_fix", "reverted"})


def __getattr__(name: str) -> Any:
    """Load what is asked for.

    Raises:
        AttributeError: If there is no such name here.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'fixes' if name in _FIXES else 'core'}"), name)
