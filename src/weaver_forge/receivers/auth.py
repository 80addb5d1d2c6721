"""Who may send: bearer tokens. Put signatures of webhooks in ``signatures``.

Several tokens may be valid at once, so that one can be replaced without a pause. A token is never logged, shown or
kept: only its digest is. Digests have one length, so that the comparison's time says nothing.
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from weaver_forge.errors import ConfigurationError

_SCHEME = "bearer "


class Tokens:
    """The valid tokens; with none, everybody is admitted.

    Raises:
        ConfigurationError: If one is empty or has characters that a header cannot carry.
    """

    def __init__(self, tokens: Iterable[str] = (), *, where: str = "[receiver] tokens") -> None:
        self._digests = tuple(_digest(_checked(token, where)) for token in tokens)

    @property
    def is_needed(self) -> bool:
        """Whether a sender must show one."""
        return bool(self._digests)

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers (lower-case names) carry a valid token: Authorization: Bearer, or X-API-Key."""
        if not self._digests:
            return True
        said = headers.get("authorization", "")
        token = said[len(_SCHEME) :].strip() if said[: len(_SCHEME)].lower() == _SCHEME else headers.get("x-api-key")
        if not token:
            return False
        digest = _digest(token)
        # Every one is compared, whichever fits: the time tells nobody how many there are before it.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


def read_tokens(path: Path) -> list[str]:
    """Read a token file: one a line; blank lines and lines that begin with # are not tokens.

    Raises:
        ConfigurationError: If it cannot be read, or has none: an empty file must not open the door.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigurationError(
            f"the token file cannot be read: {said}", where=str(path), do="Check [receiver] token_file"
        ) from error
    tokens = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not tokens:
        raise ConfigurationError("the token file has no token", where=str(path), do="Write one a line")
    return tokens


def _checked(token: str, where: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "a token is empty, or has spaces or characters beyond ASCII", where=where, do="Give one a header can carry"
        )
    return token


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
