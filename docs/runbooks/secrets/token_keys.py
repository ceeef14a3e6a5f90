"""Two signing keys of bearer tokens at once: a file that an issuer signs by and verifiers read. An example that runs.

The file is a JSON Web Key Set (RFC 7517). The first key signs; each of them verifies. A token names its key in the
header ``kid``, so a verifier never tries keys in turn. A key is replaced in three steps, each of which breaks nothing:
``add`` (every verifier learns it), ``promote`` (the issuer signs by it), ``drop`` of the old one, once its last token
has expired everywhere: WINDOW seconds after the last signature by it.
"""

import argparse
import base64
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import jwt

ALGORITHM = "HS256"
KEY_BYTES = 32  # as long as the hash, RFC 7518 section 3.2
LIFETIME = 3600  # seconds; a token that says more is refused, or the window would not hold
SKEW = 60  # seconds by which clocks may differ
WINDOW = LIFETIME + SKEW
AUDIENCE = "api://notes"
REFUSED = 77  # EX_NOPERM of sysexits.h


def read(file: Path) -> list[dict[str, str]]:
    """Return the keys, the one that signs first; a file that is not there has none."""
    found: list[dict[str, str]] = json.loads(file.read_text())["keys"] if file.exists() else []
    return found


def write(file: Path, keys: list[dict[str, str]]) -> None:
    """Write the keys, for the owner's eyes only; readers see the old file or the new one."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"keys": keys}, opened)
    new.replace(file)


def new_key() -> dict[str, str]:
    """Return a random key under an id that tells when it was made."""
    made = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).rstrip(b"=").decode()
    return {"kty": "oct", "kid": f"{time.strftime('%Y-%m')}-{secrets.token_hex(3)}", "alg": ALGORITHM, "k": made}


def sign(keys: list[dict[str, str]], subject: str, now: int) -> str:
    """Return a token by the first key."""
    claims = {"sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME}
    return jwt.encode(claims, jwt.PyJWK(keys[0]).key, ALGORITHM, headers={"kid": keys[0]["kid"]})


def verify(keys: list[dict[str, str]], token: str) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed; raises jwt.InvalidTokenError."""
    kid = jwt.get_unverified_header(token).get("kid")
    key = next((key for key in keys if key["kid"] == kid), None)
    if key is None:
        raise jwt.InvalidTokenError(f"it names no key of ours: {kid!r}")
    claims: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(key).key,
        algorithms=[ALGORITHM],  # never the header's word
        audience=AUDIENCE,
        leeway=SKEW,
        options={"require": ["exp", "iat", "sub"]},
    )
    if claims["exp"] - claims["iat"] > LIFETIME:
        raise jwt.InvalidTokenError(f"it lives longer than {LIFETIME} s")
    return claims


def main(argv: list[str]) -> int:
    """Run one command on a file and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["add", "promote", "drop", "sign", "verify"])
    parser.add_argument("file", type=Path)
    parser.add_argument("what", nargs="?", help="id of the key that is promoted or dropped, or the subject of a token")
    given = parser.parse_args(argv)
    keys = read(given.file)
    named = [key for key in keys if key["kid"] == given.what]
    others = [key for key in keys if key["kid"] != given.what]
    match given.command:
        case "add":
            made = new_key()
            write(given.file, [*keys, made])
            print(made["kid"])
        case "promote" | "drop" if not (named and others):
            parser.error(f"expected the id of one of several keys: {', '.join(key['kid'] for key in keys)}")
        case "promote":
            write(given.file, [*named, *others])
        case "drop":
            write(given.file, others)
        case "sign":
            print(sign(keys, given.what or parser.error("expected a subject"), int(time.time())))
        case _:
            try:
                print(verify(keys, sys.stdin.read().strip())["sub"])
            except jwt.InvalidTokenError as error:
                print(f"refused: {error}", file=sys.stderr)
                return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
