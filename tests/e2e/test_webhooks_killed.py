"""A receiver that is killed: every acknowledged webhook is in the inbox once, and what was not comes again."""

import hmac
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.decode.envelope import Envelope, envelopes

SECRET = b"only this test knows"


@pytest.fixture(scope="module")
def client() -> Generator[httpx.Client]:
    # Plain HTTP on this machine, and reading certificates takes long.
    with httpx.Client(verify=False) as opened:  # noqa: S501 - see above
        yield opened


@pytest.mark.parametrize("kill_after", [1, 25, 60])
def test_a_killed_receiver_keeps_every_acknowledged_webhook_once(
    tmp_path: Path, kill_after: int, client: httpx.Client
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "weaver-forge.toml").write_text('[webhooks.github]\nsecret_file = "secret"\n')
    acknowledged: list[str] = []

    with _receiver(tmp_path) as (process, url), ThreadPoolExecutor(8) as pool:

        def send(number: int) -> None:
            if _delivered(client, url, number):
                acknowledged.append(str(number))
            if len(acknowledged) >= kill_after:
                process.kill()

        list(pool.map(send, range(80)))
    with _receiver(tmp_path) as (_, url):
        again = [_delivered(client, url, number) for number in range(80)]

    stored = Counter(_stored(tmp_path))
    assert all(again)
    assert len(acknowledged) >= kill_after
    assert set(stored) == {str(number) for number in range(80)}
    assert {delivery for delivery in acknowledged if stored[delivery] != 1} == set()


@contextmanager
def _receiver(home: Path) -> Generator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, "-m", "weaver_forge", "serve", "--http-port", "0", "--no-grpc", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEAVER_FORGE_")}  # noqa: TID251 - a clean one for the child
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            where = ""
            while "}" not in where:
                line = process.stdout.readline()
                assert line, "the receiver ended before it listened"
                where += line
            yield process, json.loads(where)["http"]
        finally:
            process.terminate()


def _delivered(client: httpx.Client, url: str, number: int) -> bool:
    body = json.dumps({"action": "completed", "workflow_run": {"id": number}}).encode()
    headers = {
        "X-GitHub-Event": "workflow_run",
        "X-GitHub-Delivery": str(number),
        "X-Hub-Signature-256": f"sha256={hmac.digest(SECRET, body, 'sha256').hex()}",
    }
    try:
        return client.post(f"{url}/webhooks/github", content=body, headers=headers).status_code == 202
    except httpx.TransportError:
        return False


def _stored(home: Path) -> list[str]:
    """Delivery ids in the sealed files."""
    files = (home / "data" / "inbox" / "github_actions" / "received").glob("*.jsonl")
    found = [item for path in files for item in envelopes([Frame(path.name, path.read_bytes())])]
    assert all(isinstance(item, Envelope) for item in found)
    return [item.delivery for item in found if isinstance(item, Envelope)]
