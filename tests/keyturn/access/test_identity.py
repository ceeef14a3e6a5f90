"""The platform's header: read strictly, and refused whatever is off with it."""

import base64
from typing import Any

import pytest

from keyturn.access.identity import HEADER_MAX, Identity, read_principal, same_person
from keyturn.access.roles import Role
from keyturn.errors import UnauthenticatedError
from tests.keyturn.access.principals import MAPPED_ROLE, OBJECT_ID, PERSON_ID, claims, encoded, header_of

WHO = ((OBJECT_ID, PERSON_ID), ("preferred_username", "ada@example.com"))


def test_a_person_has_a_name_an_object_id_and_roles() -> None:
    """All three come from the claims of the token."""
    principal = read_principal(header_of("Keyturn.Requester", "Keyturn.Reader"))

    assert (principal.name, principal.object_id) == ("ada@example.com", PERSON_ID)
    assert principal.roles == {Role.REQUESTER, Role.READER}


@pytest.mark.parametrize("kind", ["roles", MAPPED_ROLE])
def test_roles_are_read_whether_their_claim_is_mapped_or_not(kind: str) -> None:
    """The platform's mapping of claims gives some of them long names."""
    principal = read_principal(header_of(claims=claims(*WHO, (kind, "Keyturn.Approver"))))

    assert principal.roles == {Role.APPROVER}


@pytest.mark.parametrize("role", ["keyturn.approver", "Keyturn.Admin", "Keyturn.Approver ", "*", ""])
def test_what_is_no_role_of_ours_gives_nothing(role: str) -> None:
    """Roles are compared letter by letter."""
    assert read_principal(header_of(role)).roles == frozenset()


def test_groups_and_scopes_are_no_roles() -> None:
    """Only the roles claim counts, whatever else is called like a role."""
    named = claims(*WHO, ("groups", "Keyturn.Approver"), ("scp", "Keyturn.Approver"), ("wids", "Keyturn.Approver"))

    assert read_principal(header_of(claims=named)).roles == frozenset()


def test_a_program_is_named_by_its_client_id() -> None:
    """A token without a person has no better name."""
    principal = read_principal(header_of(claims=claims((OBJECT_ID, PERSON_ID), ("azp", "client-1"))))

    assert principal.name == "app client-1"


HEADERS: dict[str, str | None] = {
    "no header": None,
    "empty": "",
    "no base64": "{}",
    "base64 of the other alphabet": "_" * 8,
    "no JSON": base64.b64encode(b"{").decode(),
    "no text": base64.b64encode(b"\xff\xfe").decode(),
    "no object": encoded([]),
    "null": encoded(None),
    "deep": base64.b64encode(b"[" * 20_000).decode(),
    "too long": header_of(name="a" * HEADER_MAX),
    "another provider": header_of(auth_typ="google"),
    "no provider": header_of(auth_typ=None),
    "claims that are no list": header_of(claims={"roles": "Keyturn.Approver"}),
    "a claim that is no text": header_of(claims=claims(*WHO, ("roles", ["Keyturn.Approver"]))),
    "a claim without a value": header_of(claims=[{"typ": "roles"}]),
    "no object id": header_of(claims=claims(("preferred_username", "ada"))),
    "an object id that is none": header_of(object_id="ada"),
    "two object ids": header_of(claims=claims(*WHO, (OBJECT_ID, PERSON_ID.replace("5", "6")))),
    "nobody": header_of(claims=claims((OBJECT_ID, PERSON_ID))),
    "an empty name": header_of(name=" "),
    "a name that is too long": header_of(name="a" * 201),
    "two names": header_of(claims=claims(*WHO, ("preferred_username", "eve@example.com"))),
    "two headers in one": f"{header_of()}, {header_of()}",
    "a member twice": base64.b64encode(
        base64.b64decode(header_of()).replace(b'{"auth_typ"', b'{"auth_typ": "google", "auth_typ"', 1)
    ).decode(),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_the_platform_would_not_set_is_refused(case: str) -> None:
    """Nobody is signed in, and nothing says what was wrong."""
    with pytest.raises(UnauthenticatedError, match=r"^nobody is signed in$"):
        read_principal(HEADERS[case])


def test_nothing_of_the_token_shows() -> None:
    """A representation has who and which roles, not the claims."""
    shown: Any = repr(read_principal(header_of("Keyturn.Reader")))

    assert "claims" not in shown


@pytest.mark.parametrize("character", ["\u200b", "\u202e", "\n", "\u00ad"])
def test_a_principal_whose_name_cannot_be_read_is_refused(character: str) -> None:
    """Names stand in messages and pages."""
    with pytest.raises(UnauthenticatedError):
        read_principal(header_of(name=f"ada{character}@example.com"))


OTHER = "9c0b29f4-6f5c-4d6b-8f3a-2f6d1f3d7a10"

ONE_PERSON: dict[str, tuple[Identity, Identity]] = {
    "UPN and mail address": (
        Identity("dana@contoso.onmicrosoft.com", PERSON_ID),
        Identity("d.d@contoso.com", PERSON_ID),
    ),
    "ids in other letters": (Identity("dana", PERSON_ID), Identity("eve", PERSON_ID.upper())),
    "one name with two ids": (Identity("dana", PERSON_ID), Identity("Dana", OTHER)),
    "another case": (Identity("Sam"), Identity("sAM ")),
    "full-width letters": (Identity("sam"), Identity("\uff53am")),
    "composed and decomposed": (Identity("jos\u00e9"), Identity("jose\u0301")),
    "sharp s": (Identity("STRASSE"), Identity("stra\u00dfe")),
    "spaces that nobody counts": (Identity("sam  smith"), Identity("sam\u00a0smith")),
    "an earlier release's invisible character": (Identity("sam\u200b"), Identity("sam")),
    "Cyrillic a": (Identity("s\u0430m"), Identity("sam")),
    "Cyrillic alone": (Identity("\u0440\u043e\u0440"), Identity("pop")),
    "Cyrillic capitals": (Identity("\u0412\u041e\u0412"), Identity("BOB")),
    "Greek omicron": (Identity("b\u03bfb"), Identity("bob")),
    "a Latin alpha": (Identity("s\u0251m"), Identity("sam")),
    "a hyphen": (Identity("anne\u2010marie"), Identity("anne-marie")),
    "one and l": (Identity("sa1ly"), Identity("sally")),
    "r n and m": (Identity("sarn"), Identity("sam")),
}

TWO_PEOPLE: dict[str, tuple[Identity, Identity]] = {
    "two ids": (Identity("dana", PERSON_ID), Identity("sam", OTHER)),
    "two ids whose names look alike": (Identity("sal1y", PERSON_ID), Identity("sally", OTHER)),
    "two names": (Identity("dana@example.com"), Identity("sam@example.com")),
    "an accent": (Identity("jos\u00e9"), Identity("jose")),
    "two scripts": (Identity("\u0414\u0430\u043d\u0430"), Identity("dana")),
    "the schedule and an approver by id": (Identity("schedule"), Identity(PERSON_ID, PERSON_ID)),
}


@pytest.mark.parametrize("case", ONE_PERSON)
def test_one_person_is_not_two(case: str) -> None:
    """Object ids decide where both are known; else names that a reader takes for one name are one person's."""
    one, other = ONE_PERSON[case]

    assert same_person(one, other)
    assert same_person(other, one)


@pytest.mark.parametrize("case", TWO_PEOPLE)
def test_two_people_are_two(case: str) -> None:
    """What is refused must not be everything."""
    one, other = TWO_PEOPLE[case]

    assert not same_person(one, other)
    assert not same_person(other, one)


def test_approvers_are_known_by_what_the_settings_name() -> None:
    """An object id is one, in whatever letters; everything else is a name."""
    assert Identity.of(PERSON_ID.upper()) == (PERSON_ID.upper(), PERSON_ID)
    assert Identity.of("sam") == ("sam", None)
