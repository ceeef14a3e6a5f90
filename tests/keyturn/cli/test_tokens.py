"""Access tokens of a command that runs for longer than they last, from the local identity."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from keyturn.cli.client import Tokens
from keyturn.errors import UnauthenticatedError, UnavailableError
from local.identity.tokens import verify
from tests.local.services import ServiceProcess, start_service

SCOPE = "api://keyturn/.default"
SECONDS = 2  # a token lasts; far below what is left of one when it is renewed


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceProcess]:
    """A tenant with one person, as whom this process is signed in."""
    state = tmp_path / "identity"
    state.mkdir()
    service = start_service("local.identity", "--state", state, "--token-seconds", str(SECONDS))
    body = {"roles": ["Keyturn.Reader"], "header": "a-secret"}
    requests.put(f"{service.url}/_control/principals/dana", json=body, timeout=10).raise_for_status()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{service.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a-secret")
    yield service
    service.stop()


@pytest.fixture
def key(identity: ServiceProcess, tmp_path: Path) -> bytes:
    """What tokens are verified with."""
    return (tmp_path / "identity" / "signing_key.pub.pem").read_bytes()


def count_what_is_asked(identity: ServiceProcess) -> None:
    """Count the requests for tokens from here on: a fault that does nothing."""
    requests.post(f"{identity.url}/_control/faults", json={"kind": "delay", "count": None}, timeout=10)


def times_asked(identity: ServiceProcess) -> int:
    """Return how often a token was asked for."""
    [counted] = requests.get(f"{identity.url}/_control/faults", timeout=10).json()
    return int(counted["fired"])


async def test_every_token_is_good_however_long_it_takes(identity: ServiceProcess, key: bytes) -> None:
    """Each request of a long wait gets one that is valid; while one is, no other is asked for."""
    count_what_is_asked(identity)
    tokens, seen, asked = Tokens(SCOPE), set[str](), 0
    deadline = time.monotonic() + 30
    while len(seen) < 3 and time.monotonic() < deadline:
        token = await tokens.get()
        assert verify(token, key, {"api://keyturn"}).may("Keyturn.Reader")
        seen.add(token)
        asked += 1
        await asyncio.sleep(0.05)
    await tokens.renew()

    assert len(seen) == 3
    assert times_asked(identity) == 3 < asked


async def test_a_token_can_be_thrown_away(identity: ServiceProcess) -> None:
    """The next one is new: rights that were given meanwhile are in it."""
    tokens = Tokens(SCOPE)
    first = await tokens.get()
    again = await tokens.get()

    await tokens.renew()
    renewed = await tokens.get()
    await tokens.renew()

    assert first == again != renewed


async def test_an_identity_that_is_away_is_waited_for_once_it_was_there(identity: ServiceProcess) -> None:
    """Who never had a token has to sign in; who had one may have one again."""
    tokens, other = Tokens(SCOPE), Tokens(SCOPE)
    await tokens.get()
    identity.kill()

    with pytest.raises(UnauthenticatedError) as never:
        await other.get()
    await tokens.renew()
    with pytest.raises(UnavailableError) as had:
        await tokens.get()
    await tokens.renew()
    await other.renew()

    assert {never.value.hint, had.value.hint} == {"az login --scope api://keyturn/.default"}
