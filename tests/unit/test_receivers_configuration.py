"""[receiver]: flags over environment over file, and no open door by mistake."""

from pathlib import Path

import pytest

from weaver_forge import settings
from weaver_forge.decode.otlp_framing import MAX_MESSAGE_BYTES
from weaver_forge.errors import ConfigurationError
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.configuration import receiver
from weaver_forge.settings import Settings


def deployment(folder: Path, text: str = "") -> Settings:
    (folder / settings.MARKER).write_text(text, encoding="utf-8")
    return settings.load(folder)


def test_without_anything_said_it_listens_on_this_machine_alone(tmp_path: Path) -> None:
    made = receiver(deployment(tmp_path))

    assert (made.host, made.http_port, made.grpc_port) == ("127.0.0.1", 4318, 4317)
    assert made.limits.message == 64 * 2**20
    assert not made.tokens.is_needed


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = deployment(tmp_path, '[receiver]\nhost = "::1"\nhttp_port = 1\ngrpc_port = 2\nmax_request_mib = 3\n')
    monkeypatch.setenv("WEAVER_FORGE_RECEIVER_HTTP_PORT", "11")
    monkeypatch.setenv("WEAVER_FORGE_RECEIVER_GRPC_PORT", "12")

    made = receiver(at, grpc_port=22)

    assert (made.host, made.http_port, made.grpc_port) == ("::1", 11, 22)
    assert made.limits.message == 3 * 2**20
    assert receiver(at, has_grpc=False).grpc_port is None


@pytest.mark.parametrize(
    "line", ['http_port = "x"', "http_port = 70000", "max_request_mib = 0", 'tokens = "one"', "host = 5"]
)
def test_what_cannot_be_meant_is_said_with_its_place(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"weaver-forge.toml, \[receiver\]"):
        receiver(deployment(tmp_path, f"[receiver]\n{line}\n"))


def test_no_message_is_taken_that_no_decoder_takes(tmp_path: Path) -> None:
    most = MAX_MESSAGE_BYTES // 2**20

    made = receiver(deployment(tmp_path, f"[receiver]\nmax_request_mib = {most}\n"))

    assert made.limits.message == MAX_MESSAGE_BYTES
    with pytest.raises(ConfigurationError, match=r"max_request_mib = 65 .* no decoder takes it"):
        receiver(deployment(tmp_path, f"[receiver]\nmax_request_mib = {most + 1}\n"))


def test_other_machines_are_heard_with_a_token_or_when_asked_for(tmp_path: Path) -> None:
    at = deployment(tmp_path, '[receiver]\nhost = "::"\n')

    with pytest.raises(ConfigurationError, match="no token is configured"):
        receiver(at)
    assert receiver(at, is_insecure=True).host == "::"
    (tmp_path / "tokens").write_text("# of the collector\nfirst\n\nsecond\n", encoding="utf-8")
    with_tokens = receiver(deployment(tmp_path, '[receiver]\nhost = "::"\ntoken_file = "tokens"\n'))
    assert [with_tokens.tokens.admits({"authorization": f"Bearer {t}"}) for t in ("first", "second", "# of")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("text", [None, "", "# none\n", "with space\n"])
def test_a_token_file_without_a_token_never_opens_the_door(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "tokens").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError):
        receiver(deployment(tmp_path, '[receiver]\ntoken_file = "tokens"\n'))


def test_tokens_of_the_environment_replace_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_FORGE_RECEIVER_TOKENS", "one,two")

    tokens = receiver(deployment(tmp_path, '[receiver]\ntokens = ["three"]\n')).tokens

    assert [tokens.admits({"x-api-key": token}) for token in ("one", "two", "three")] == [True, True, False]


def test_no_error_shows_a_token() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Tokens(["a secret"])

    assert "a secret" not in str(raised.value)
