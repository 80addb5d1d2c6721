"""The error tree. Put a new error here only if a caller must tell it apart by class or exit code.

::

    WeaverForgeError            70  anything of ours that escapes
    ├── UsageError               2  the command line asks for something that cannot be meant
    ├── ConfigurationError       4  weaver-forge.toml, policy.yaml or a spec is wrong or missing
    │   ├── PolicyError          4  ... in policy.yaml, with file and line
    │   └── NotADeployment       4  no weaver-forge.toml here or above
    ├── SourceError              5  a file, repository, store or server cannot be read
    │   ├── MissingInput         5  a path or pattern matches nothing
    │   ├── ShallowClone         5  the git history is cut off
    │   ├── StoreBusy            5  another process holds the warehouse
    │   ├── StoreFull            5  there is no room left to write to
    │   ├── NothingPublished     5  there is no published snapshot yet
    │   └── LedgerBroken         5  the hash chain does not verify
    └── ContractError           70  a table or a model broke its contract: a bug of ours or of a decision

Every message says what is wrong, where, and what to do next. Exit code 1 belongs to an enforced deny
alone and is never the code of an error.
"""

from typing import ClassVar


class WeaverForgeError(Exception):
    """The root of everything this project raises on purpose.

    Args:
        what: What is wrong, with the offending value.
        where: The file (and line), table, repository or setting.
        do: The next step that mends it, as an instruction.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(what, where, do)

    def __str__(self) -> str:
        """Join what, where and do in one readable sentence."""
        where = f"{self.where}: " if self.where else ""
        end = "" if self.what.endswith((".", "?", "!")) else "."
        return f"{where}{self.what}" + (f"{end} {self.do}" if self.do else "")


class UsageError(WeaverForgeError):
    """The command line asks for something that cannot be meant."""

    exit_code = 2


class ConfigurationError(WeaverForgeError):
    """A configuration file is wrong or missing."""

    exit_code = 4


class PolicyError(ConfigurationError):
    """policy.yaml is wrong; ``where`` names file and line."""


class NotADeployment(ConfigurationError):  # noqa: N818 - reads as what it is in the tree above
    """No weaver-forge.toml was found here or above."""


class SourceError(WeaverForgeError):
    """A file, repository, store or server cannot be read."""

    exit_code = 5


class MissingInput(SourceError):  # noqa: N818
    """A path or pattern matches nothing."""


class ShallowClone(SourceError):  # noqa: N818
    """The git history is cut off, so every history feature would be silently wrong."""


class StoreBusy(SourceError):  # noqa: N818
    """Another process holds the warehouse and did not let go within the wait."""


class StoreFull(SourceError):  # noqa: N818
    """The disk is full, a quota is used up, or a file may not grow: nothing more can be stored."""


class NothingPublished(SourceError):  # noqa: N818
    """There is no published snapshot to read."""


class LedgerBroken(SourceError):  # noqa: N818
    """The ledger's hash chain does not verify: a row was changed, removed or added by hand."""


class ContractError(WeaverForgeError):
    """A table or a model broke its declared contract."""
