"""Access tokens of the local Azure: RS256 JWTs whose ``roles`` claim lists the data actions of their principal.

Azure evaluates role assignments in each service; here the token carries the result, so that a service can refuse a
missing data action without asking another service.
"""

import re
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

TENANT = "6f7d9b1e-4c0a-4b8e-9d2f-0a1b2c3d4e5f"  # made up; the local Azure is one tenant
ISSUER = f"https://sts.windows.net/{TENANT}/"
AUTHORITY = f"https://login.microsoftonline.com/{TENANT}"
ALGORITHM = "RS256"
REQUIRED_CLAIMS = ["iss", "aud", "exp", "oid", "name", "roles"]

type Audiences = Collection[str] | Callable[[str], bool]


class TokenError(Exception):
    """A token was refused; the text says why and never quotes the token."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request, and the data actions they hold.

    An action may hold ``*`` as a wildcard; behind an ``@`` stands the resource in which alone it is held.
    """

    name: str
    object_id: str
    roles: tuple[str, ...]

    def may(self, action: str, resource: str = "") -> bool:
        """Tell whether one of the roles grants the data action on the resource; case is ignored, as Azure does."""
        return any(_grants(role, action, resource) for role in self.roles)


def _grants(role: str, action: str, resource: str) -> bool:
    granted, _, scope = role.partition("@")
    return _pattern(granted).fullmatch(action) is not None and f"{resource}/".startswith(f"{scope}/" if scope else "")


@lru_cache(maxsize=1024)
def _pattern(role: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in role.split("*")), re.IGNORECASE)


def person_id(name: str) -> str:
    """Return the object id of a person of the local tenant."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def issue(
    *, name: str, object_id: str, roles: Sequence[str], resource: str, signing_key: RSAPrivateKey, seconds: int
) -> tuple[str, int]:
    """Return a token for the resource, valid for ``seconds`` from now, and its expiry as a Unix time."""
    now = int(time.time())
    expires_on = now + seconds
    claims = {
        "iss": ISSUER,
        "aud": resource,
        "iat": now,
        "nbf": now,
        "exp": expires_on,
        "oid": object_id,
        "appid": object_id,
        "tid": TENANT,
        "name": name,
        "roles": list(roles),
        "uti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, signing_key, ALGORITHM), expires_on


def verify(token: str, public_key_pem: bytes, audience_ok: Audiences) -> Principal:
    """Return the principal of a token that this tenant signed for an acceptable audience.

    ``audience_ok`` is a collection of audiences or a predicate on one.

    Raises:
        TokenError: signature, issuer, lifetime, audience or claims are wrong.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _public_key(public_key_pem),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": REQUIRED_CLAIMS, "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise TokenError(f"token refused: {error}") from error
    audience = str(claims["aud"])
    accepted = audience_ok(audience) if callable(audience_ok) else audience in audience_ok
    if not accepted:
        raise TokenError(f"token refused: its audience {audience!r} is not this service")
    return Principal(name=claims["name"], object_id=claims["oid"], roles=tuple(claims["roles"]))


@lru_cache(maxsize=8)
def _public_key(pem: bytes) -> RSAPublicKey:
    key = load_pem_public_key(pem)
    if not isinstance(key, RSAPublicKey):
        raise TypeError(f"the identity key must be an RSA public key, not {type(key).__name__}")
    return key
