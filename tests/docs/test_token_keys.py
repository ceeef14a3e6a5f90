"""The example of two token keys at once: what is signed verifies until its window is over, and nothing else does."""

import base64
import importlib.util
import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.docs.runbook import RUNBOOKS


def example() -> Any:
    """Return the module beside the page."""
    spec = importlib.util.spec_from_file_location("token_keys", RUNBOOKS / "secrets" / "token_keys.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = example()


@pytest.fixture
def keys() -> list[dict[str, str]]:
    """Two keys, the first of which signs."""
    return [EXAMPLE.new_key(), EXAMPLE.new_key()]


def test_a_token_is_good_to_the_end_of_the_window(keys: list[dict[str, str]]) -> None:
    """While both keys verify: for its lifetime and the skew of clocks, and not beyond."""
    now = int(time.time())
    late, over = (EXAMPLE.sign(keys, "dana", now - EXAMPLE.WINDOW + seconds) for seconds in (30, 0))
    promoted = keys[::-1]

    assert EXAMPLE.verify(promoted, EXAMPLE.sign(keys, "dana", now))["sub"] == "dana"
    assert EXAMPLE.verify(promoted, late)["sub"] == "dana"
    with pytest.raises(jwt.ExpiredSignatureError):
        EXAMPLE.verify(promoted, over)


def test_a_removed_key_verifies_nothing(keys: list[dict[str, str]]) -> None:
    """Before the window is over this is what signs people out."""
    token = EXAMPLE.sign(keys, "dana", int(time.time()))

    with pytest.raises(jwt.InvalidTokenError, match="names no key"):
        EXAMPLE.verify(keys[1:], token)


@pytest.mark.parametrize(
    ("algorithm", "header", "claims"),
    [
        ("none", {}, {}),
        ("HS512", {}, {}),
        ("HS256", {"kid": "2000-01-000000"}, {}),
        ("HS256", {}, {"exp": 2**40}),
        ("HS256", {}, {"aud": "api://others"}),
        ("HS256", {}, {"sub": None}),
    ],
    ids=["no algorithm", "another algorithm", "no such key", "lives long", "for others", "of no one"],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of the forger's key
def test_what_else_is_signed_is_refused(
    keys: list[dict[str, str]], algorithm: str, header: dict[str, str], claims: dict[str, Any]
) -> None:
    """Also by the right key, where it says what no token of ours does."""
    secret = base64.urlsafe_b64decode(keys[0]["k"] + "=") if algorithm != "none" else ""
    now = int(time.time())
    stated = {"sub": "dana", "aud": EXAMPLE.AUDIENCE, "iat": now, "exp": now + 60}
    said = {name: value for name, value in {**stated, **claims}.items() if value is not None}
    plain = jwt.encode(stated, base64.urlsafe_b64decode(keys[0]["k"] + "="), headers={"kid": keys[0]["kid"]})
    token = jwt.encode(said, secret, algorithm, headers={"kid": keys[0]["kid"], **header})

    assert EXAMPLE.verify(keys, plain)["sub"] == "dana"
    with pytest.raises(jwt.InvalidTokenError):
        EXAMPLE.verify(keys, token)


def test_another_key_under_the_same_id_is_refused(keys: list[dict[str, str]]) -> None:
    """The id says which key is asked, and no more."""
    token = EXAMPLE.sign([{**EXAMPLE.new_key(), "kid": keys[0]["kid"]}], "dana", int(time.time()))

    with pytest.raises(jwt.InvalidSignatureError):
        EXAMPLE.verify(keys, token)


def test_steps_of_a_replacement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published behind the key that signs, promoted before it, and the file is its owner's alone throughout."""
    file = tmp_path / "token-keys"
    for _ in range(2):
        assert EXAMPLE.main(["add", str(file)]) == 0
    old, new = capsys.readouterr().out.split()
    orders = [[key["kid"] for key in EXAMPLE.read(file)]]
    for command, kid in (("promote", new), ("drop", old)):
        EXAMPLE.main([command, str(file), kid])
        orders.append([key["kid"] for key in EXAMPLE.read(file)])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    assert orders == [[old, new], [new, old], [new]]


@pytest.mark.parametrize("command", ["drop", "promote"])
def test_the_last_key_stays(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And a key that is not there is not taken for one."""
    file = tmp_path / "token-keys"
    EXAMPLE.main(["add", str(file)])
    only = capsys.readouterr().out.strip()

    for kid in (only, "2000-01-000000"):
        with pytest.raises(SystemExit):
            EXAMPLE.main([command, str(file), kid])
    assert only in capsys.readouterr().err
    assert only in file.read_text()
