"""The secrets that webhook senders must know, from the files and variables that weaver-forge.toml names.

::

    [webhooks.github]
    secret_file = "secrets/github"    # relative to the deployment; one secret a line, any of them holds
    [webhooks.alertmanager]
    secret_env = "ALERTMANAGER_TOKEN"

The toml file itself never holds a secret, and no message or log line ever does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weaver_forge.decode.envelope import SENDERS
from weaver_forge.errors import ConfigurationError
from weaver_forge.settings import MARKER, Settings, variable

_KEYS = {"secret_file", "secret_env"}


def secrets_of(settings: Settings) -> dict[str, tuple[bytes, ...]]:
    """Sender -> its secrets. A sender that is not configured is absent: its endpoint is off.

    Raises:
        ConfigurationError: If a section is not understood, or names a secret that is not there or is empty.
    """
    return {sender: _secrets(settings, sender, section) for sender, section in settings.webhooks.items()}


def _secrets(settings: Settings, sender: str, section: Any) -> tuple[bytes, ...]:
    where = f"{settings.root / MARKER}, [webhooks.{sender}]"
    if sender not in SENDERS:
        raise ConfigurationError("no such sender of webhooks", where=where, do=f"Known: {', '.join(SENDERS)}")
    if not isinstance(section, Mapping) or not section.keys() <= _KEYS or not section:
        raise ConfigurationError(
            "it is not understood", where=where, do='Write secret_file = "..." or secret_env = "..."'
        )
    texts = []
    if "secret_file" in section:
        texts.append(_file(settings.root / str(section["secret_file"]), where))
    if "secret_env" in section:
        texts.append(_variable(str(section["secret_env"]), where))
    found = tuple(line.strip().encode() for text in texts for line in text.splitlines() if line.strip())
    if not found:
        raise ConfigurationError("the secret is empty", where=where, do="Put the secret there, one a line")
    return found


def _file(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"the secret cannot be read from {path}: {said}", where=where, do="Check the file and its permissions"
        ) from error


def _variable(name: str, where: str) -> str:
    value = variable(name)
    if value is None:
        raise ConfigurationError(
            f"the environment variable {name} is not set", where=where, do="Set it, or remove the section"
        )
    return value
