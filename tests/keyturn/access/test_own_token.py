"""Whose sign-in this program works with: read from its own access token."""

import base64
import json
from typing import Any

import pytest

from keyturn.access.identity import Identity, identity_in
from keyturn.errors import UnauthenticatedError

OBJECT_ID = "0f0f0f0f-1111-2222-3333-444444444444"


def token(payload: Any) -> str:
    """Return a token with these claims."""
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"e30.{encoded}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"upn": "olga@example.com", "oid": OBJECT_ID, "appid": "az"}, "olga@example.com"),
        ({"preferred_username": "olga@example.com", "upn": "other", "oid": OBJECT_ID.upper()}, "olga@example.com"),
        ({"appid": "7c1d", "oid": OBJECT_ID}, "app 7c1d"),
        ({"azp": "7c1d", "oid": OBJECT_ID}, "app 7c1d"),
    ],
    ids=["a person", "a person by version 2", "a program", "a program by version 2"],
)
def test_a_token_names_its_owner(claims: dict[str, str], name: str) -> None:
    """A person by name, a program by its client id; both by object id."""
    assert identity_in(token(claims)) == Identity(name, OBJECT_ID)


@pytest.mark.parametrize(
    "found",
    [
        "opaque",
        "a.b.c",
        "",
        token([]),
        token({"oid": OBJECT_ID}),
        token({"upn": "olga@example.com"}),
        token({"upn": "olga@example.com", "oid": "none"}),
        token({"upn": "ol\u200bga@example.com", "oid": OBJECT_ID}),
    ],
)
def test_a_token_that_names_no_one_is_refused(found: str) -> None:
    """No run is begun in the name of whom the sign-in does not name; the token is not told."""
    with pytest.raises(UnauthenticatedError) as raised:
        identity_in(found)

    assert not found or found not in str(raised.value)
