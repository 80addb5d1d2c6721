"""Changes of a repository: what they are, what they touch, what they say, and which later proved wrong. Pure."""

from weaver_forge.changes.core import core_changes, core_changes_of, core_files, file_sizes
from weaver_forge.changes.fixes import is_fix, reverted

__all__ = ["core_changes", "core_changes_of", "core_files", "file_sizes", "is_fix", "reverted"]
