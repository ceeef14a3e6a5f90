"""Identities: the principal that App Service Authentication vouches for, and when two names are one person.

The principal comes in a header: base64 of a JSON object with the claims of the validated token, read strictly. The
platform sets it and removes what callers send under its name. Source: "Work with user identities in Azure App Service
authentication". Names and object ids are compared because the requester of a run must not decide on it.
"""

import base64
import binascii
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keyturn.access.roles import Role
from keyturn.contracts.base import Name, read_json
from keyturn.errors import UnauthenticatedError

HEADER = "x-ms-client-principal"
HEADER_MAX = 32 * 1024  # characters; App Service takes headers of up to 64 KiB together

# A claim's name in the token, and what the platform's mapping of claims makes of it.
_OBJECT_ID = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_ROLES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
# The claims that name a person, best first; a program has its client id alone.
_PERSON = (
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "email",
)
_PROGRAM = ("azp", "appid")
_GUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def same_person(first: str, second: str) -> bool:
    """Tell whether two names differ in no more than case, surrounding space or the way a character is encoded."""
    one, other = (unicodedata.normalize("NFKC", name).strip().casefold() for name in (first, second))
    return one == other


def same_identity(first: str | None, second: str | None) -> bool:
    """Tell whether two object ids of Entra ID are known and the same."""
    return first is not None and second is not None and first.lower() == second.lower()


class Principal(BaseModel):
    """A signed-in caller. The object id identifies it, in one tenant and for ever; the name is for display."""

    model_config = ConfigDict(frozen=True)

    name: Name
    object_id: Annotated[str, Field(pattern=_GUID)]
    roles: frozenset[Role]


class _Claim(BaseModel):
    typ: str
    val: str


class _Header(BaseModel):
    auth_typ: Literal["aad"]
    claims: list[_Claim]

    def values(self, kind: str) -> list[str]:
        return [claim.val for claim in self.claims if claim.typ == kind]

    def one_of(self, kinds: Sequence[str]) -> str:
        """Return the only value of the first of these claims that there is."""
        for kind in kinds:
            if values := set(self.values(kind)):
                if len(values) > 1:
                    raise _refused()
                return values.pop()
        raise _refused()


def read_principal(header: str | None) -> Principal:
    """Return the principal that the header describes.

    Raises:
        UnauthenticatedError: there is no header, or it is not what the platform sets; nothing says what is wrong.
    """
    if header is None or len(header) > HEADER_MAX:
        raise _refused()
    try:
        described = read_json(base64.b64decode(header, validate=True))
        read = _Header.model_validate(described, strict=True)
        return Principal(
            name=_name(read),
            object_id=read.one_of(_OBJECT_ID).lower(),
            roles=frozenset(Role(value) for kind in _ROLES for value in read.values(kind) if value in Role),
        )
    except (binascii.Error, ValueError, RecursionError, ValidationError):
        raise _refused() from None


def _name(header: _Header) -> str:
    if any(header.values(kind) for kind in _PERSON):
        return header.one_of(_PERSON)
    return f"app {header.one_of(_PROGRAM)}"


def _refused() -> UnauthenticatedError:
    return UnauthenticatedError("nobody is signed in")
