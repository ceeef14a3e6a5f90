"""Identities: the principal that App Service Authentication vouches for, and when two identities are one person.

The principal comes in a header: base64 of a JSON object with the claims of the validated token, read strictly. The
platform sets it and removes what callers send under its name. Source: "Work with user identities in Azure App Service
authentication".

Identities are compared because the requester of a run must not decide on it, here and nowhere else. Object ids decide
where both are known. Names are all that is left elsewhere, so names that a reader takes for one are one person's: they
are compared as Unicode Technical Standard 39 does it, by the look of their characters.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from keyturn.access.roles import Role
from keyturn.contracts.base import OBJECT_ID, ObjectId, PersonName, read_json
from keyturn.contracts.characters import DEFAULT_IGNORABLE
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


class Identity(NamedTuple):
    """A person or program as records and the audit name it; the object id where Entra ID vouches for it."""

    name: str
    object_id: str | None = None

    @classmethod
    def of(cls, stated: str) -> Self:
        """Return whom a setting names: by an object id, or else by a name."""
        return cls(stated, stated.lower() if re.match(OBJECT_ID, stated) else None)


def same_person(one: Identity, other: Identity) -> bool:
    """Tell whether two identities are, or may be, one person's.

    By object ids where both are known, and then by names as they are spelt; else by names as they look.
    """
    if one.object_id is not None and other.object_id is not None:
        return one.object_id.lower() == other.object_id.lower() or same_name(one.name, other.name)
    return not _looks(one.name).isdisjoint(_looks(other.name))


def same_name(one: str, other: str) -> bool:
    """Tell whether two names differ in no more than case, space, what is unseen, or how a character is encoded."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    seen = DEFAULT_IGNORABLE.sub("", name)
    return " ".join(unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", seen).casefold()).split())


def _looks(name: str) -> frozenset[str]:
    """Return what the name looks like, as it is spelt and in small letters: some only look alike as capitals."""
    seen = unicodedata.normalize("NFKD", DEFAULT_IGNORABLE.sub("", name))
    return frozenset({_folded(_skeleton(seen)), _skeleton(_folded(name))})


def _skeleton(text: str) -> str:
    prototypes = _prototypes()
    return "".join(prototypes.get(character, character) for character in text)


@cache
def _prototypes() -> Mapping[str, str]:
    """Return for each character that looks like others the one that stands for all of them."""
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415 - a megabyte, for names alone

    marked = "\u200e"  # the data have it around letters that are written from right to left
    alike = {
        text.strip(marked): [one["c"].strip(marked) for one in others] for text, others in confusables_data.items()
    }
    # Each of a class lists the prototype, and the prototype lists all of them.
    return {text: max([text, *others], key=lambda one: (len(alike[one]), one)) for text, others in alike.items()}


class Principal(BaseModel):
    """A signed-in caller. The object id identifies it, in one tenant and for ever; the name is for display."""

    model_config = ConfigDict(frozen=True)

    name: PersonName
    object_id: ObjectId
    roles: frozenset[Role]

    @property
    def identity(self) -> Identity:
        """Who it is, as records name people."""
        return Identity(self.name, self.object_id)


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
            object_id=read.one_of(_OBJECT_ID),
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


def identity_in(token: str) -> Identity:
    """Return whose access token this is: for a program that asks services as the person who is signed in to it.

    The token is this program's own, fresh from Entra ID: it proves nothing to others, and no signature is looked at.

    Raises:
        UnauthenticatedError: the token is no JWT, or names no person.
    """
    try:
        payload = token.split(".")[1]
        claims = read_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        person = next((claims[name] for name in _PERSON if name in claims), None)
        name = person or f"app {next(claims[name] for name in _PROGRAM if name in claims)}"
        found = Principal(name=name, object_id=claims["oid"], roles=frozenset())
    except (IndexError, KeyError, StopIteration, TypeError, ValueError, ValidationError):
        raise _refused() from None
    return found.identity
