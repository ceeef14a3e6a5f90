"""The scanner finds secrets in whatever form they were written down, and nothing else."""

import base64
import json
import secrets
from collections.abc import Callable

import pytest

from tests.scanner import Finding, Scanner, Secret

KEY = bytes(range(200, 232))
SCANNER = Scanner([Secret("the canary", KEY)])

WAYS: dict[str, Callable[[bytes], object]] = {
    "raw": lambda key: b"before " + key + b" after",
    "hex": lambda key: f"key={key.hex()}",
    "upper-case hex": lambda key: key.hex().upper(),
    "base64": lambda key: {"dek": base64.b64encode(key).decode()},
    "base64 without padding": lambda key: base64.b64encode(key).decode().rstrip("="),
    "base64url": lambda key: base64.urlsafe_b64encode(key).decode(),
    "base64 of something longer": lambda key: "x " + base64.b64encode(b"12345" + key + b"678").decode(),
    "base64 of something longer by one": lambda key: "x " + base64.b64encode(b"1234" + key).decode(),
    "base64 twice": lambda key: base64.b64encode(base64.b64encode(key)).decode(),
    "Python's bytes": lambda key: f"DEK is {key!r}",
    "a list of numbers": lambda key: {"dek": list(key)},
    "a compact list of numbers": lambda key: json.dumps(list(key), separators=(",", ":")),
    "JSON in JSON": lambda key: {"input": json.dumps({"nested": json.dumps({"dek": key.hex()})})},
    "latin-1 in JSON": lambda key: {"dek": key.decode("latin-1")},
    "a key of an object": lambda key: {key.hex(): 1},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_known_secret_is_found_however_it_was_written(way: str) -> None:
    """Every way to write bytes down gives it away, by its name and place, and the finding does not repeat it."""
    findings = SCANNER.scan(WAYS[way](KEY), "the log")

    assert findings
    assert {(finding.secret, finding.where) for finding in findings} == {("the canary", "the log")}
    assert KEY.hex() not in str(findings)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("a JWT", f"token eyJ{'a' * 20}.eyJ{'b' * 20}.{'c' * 30}"),
        ("a private key", "-----BEGIN RSA PRIVATE KEY-----"),
        ("a webhook secret", f"whsec_{'a' * 32}"),
        ("an account key", f"AccountKey={'a' * 40}=="),
        ("a signed URL", f"https://x/?sig={'a' * 40}"),
        ("an authorization header", f"Authorization: Bearer {'a' * 40}"),
    ],
)
def test_a_secret_of_a_known_shape_is_found(shape: str, text: str) -> None:
    """What looks like a credential is one, although nobody said so before."""
    assert Scanner([]).scan(text, "here") == [Finding(shape, "shape", "here")]
    assert Scanner([], [shape]).scan(text, "here") == []


@pytest.mark.parametrize("harmless", ["", "nothing to see", {"keyCheck": "q83vEjRWeJA="}, [1, 2, None], b"\x00\xff"])
def test_what_is_harmless_is_not_found(harmless: object) -> None:
    """Texts, numbers and other bytes are no secrets."""
    assert SCANNER.scan(harmless, "here") == []


def test_another_key_is_not_found() -> None:
    """A thousand other keys, in base64, do not look like the canary."""
    others = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(1000)]

    assert SCANNER.scan(others, "here") == []


def test_a_secret_that_chance_would_find_is_refused() -> None:
    """A few bytes are no canary."""
    with pytest.raises(ValueError, match="must have 8 bytes or more"):
        Scanner([Secret("a digit", b"7")])
