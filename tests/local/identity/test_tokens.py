"""Tokens: what is accepted, what is refused, and how wildcards grant data actions."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.identity.roles import CONTAINERS, KEYS, ROLES
from local.identity.tokens import ISSUER, Principal, TokenError, issue, verify

RESOURCE = "https://vault.azure.net"


@pytest.fixture(scope="module")
def signing_key() -> RSAPrivateKey:
    """A signing key of the tests' own."""
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def public_key(signing_key: RSAPrivateKey) -> bytes:
    """Its public half, as services are given it."""
    return signing_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def make_token(signing_key: RSAPrivateKey, *, seconds: int = 60, resource: str = RESOURCE) -> str:
    """Issue a token for one principal with one right."""
    token, _ = issue(
        name="app",
        object_id="11",
        roles=[f"{KEYS}/read"],
        resource=resource,
        signing_key=signing_key,
        seconds=seconds,
    )
    return token


def test_an_issued_token_names_its_principal_and_rights(signing_key: RSAPrivateKey, public_key: bytes) -> None:
    """A token that this tenant signed is read back as the principal it was issued to."""
    token = make_token(signing_key)

    principal = verify(token, public_key, {RESOURCE})

    assert principal == Principal("app", "11", (f"{KEYS}/read",))


def test_the_audience_may_be_judged_by_a_predicate(signing_key: RSAPrivateKey, public_key: bytes) -> None:
    """A service whose audience depends on its address passes a function instead of a set."""
    token = make_token(signing_key, resource="https://localhost:8081")

    principal = verify(token, public_key, lambda audience: audience.startswith("https://localhost"))

    assert principal.name == "app"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aud": "https://elsewhere.example"}, "audience"),
        ({"iss": "https://sts.windows.net/other/"}, "issuer"),
        ({"exp": 1}, "expired"),
        ({"roles": None}, "roles"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused_with_its_reason(
    signing_key: RSAPrivateKey, public_key: bytes, change: dict[str, object], reason: str
) -> None:
    """Audience, issuer, lifetime and presence of the roles are each checked."""
    claims = {"iss": ISSUER, "aud": RESOURCE, "exp": time.time() + 60, "oid": "1", "name": "app", "roles": []} | change
    token = jwt.encode({name: value for name, value in claims.items() if value is not None}, signing_key, "RS256")

    with pytest.raises(TokenError, match=reason):
        verify(token, public_key, {RESOURCE})


def test_a_token_signed_by_another_key_is_refused(public_key: bytes) -> None:
    """Nobody but the identity endpoint can make a token."""
    stranger = generate_private_key(public_exponent=65537, key_size=2048)

    with pytest.raises(TokenError, match="Signature"):
        verify(make_token(stranger), public_key, {RESOURCE})


@pytest.mark.parametrize(
    ("role", "action", "granted"),
    [
        ("Key Vault Crypto Officer", f"{KEYS}/create/action", True),
        ("Key Vault Crypto User", f"{KEYS}/create/action", False),
        ("Key Vault Crypto User", f"{KEYS}/UNWRAP/action", True),
        ("Key Vault Crypto Service Encryption User", f"{KEYS}/update/action", False),
        ("Keyturn rotator", f"{KEYS}/update/action", True),
        ("Keyturn rotator", f"{KEYS}/decrypt/action", False),
        ("Keyturn rotator", f"{KEYS}/delete", False),
        ("Cosmos DB Built-in Data Reader", f"{CONTAINERS}/items/replace", False),
        ("Cosmos DB Built-in Data Contributor", f"{CONTAINERS}/items/replace", True),
        ("Cosmos DB Built-in Data Contributor", f"{CONTAINERS}/readChangeFeed", True),
    ],
)
def test_named_roles_grant_what_azure_grants(role: str, action: str, *, granted: bool) -> None:
    """The role tables, wildcards included, grant exactly the data actions of their namesakes."""
    principal = Principal("app", "11", ROLES[role])

    assert granted is principal.may(action)


def test_a_wildcard_reaches_only_where_it_stands() -> None:
    """A star at the end of a prefix says nothing about other prefixes, and an action is never a prefix by itself."""
    principal = Principal("app", "11", (f"{KEYS}/wrap/*",))

    assert principal.may(f"{KEYS}/wrap/action")
    assert not principal.may(f"{KEYS}/unwrap/action")
    assert not Principal("app", "11", (f"{KEYS}/read",)).may(f"{KEYS}/readmore")


@pytest.mark.parametrize(
    ("resource", "granted"),
    [
        ("dbs/app/colls/deks", True),
        ("dbs/app/colls/deks/docs/1", True),
        ("dbs/app/colls/deks2", False),
        ("dbs/app", False),
        ("", False),
    ],
)
def test_a_right_may_hold_in_one_container_only(resource: str, *, granted: bool) -> None:
    """An action with a scope is held on that resource and on what is in it, nowhere else."""
    principal = Principal("app", "id", (f"{CONTAINERS}/items/read@dbs/app/colls/deks",))

    assert principal.may(f"{CONTAINERS}/items/read", resource) == granted
