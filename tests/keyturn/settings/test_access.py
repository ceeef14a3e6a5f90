"""Who is believed, as a setting: said outright, never against the sign-in that is there, with approvers to match."""

import json
import uuid

import pytest

from keyturn.errors import SettingsError
from tests.keyturn.settings.environment import settings_of

SAM = str(uuid.uuid4())
SECRET = "whsec_" + "QUJD" * 8
SIGN_IN = {"WEBSITE_AUTH_ENABLED": "True", "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": str(uuid.uuid4())}


def refused(**variables: str) -> SettingsError:
    """Return the error that these settings are refused with."""
    with pytest.raises(SettingsError) as raised:
        settings_of(**variables)
    return raised.value


@pytest.mark.parametrize("variables", [{}, SIGN_IN], ids=["on its own", "behind sign-in"])
def test_access_has_no_default(variables: dict[str, str]) -> None:
    """What is not said is not made up, neither from a sign-in that is missing nor from one that is there."""
    error = refused(**variables, KEYTURN_ACCESS="")

    assert error.facts["variable"] == "KEYTURN_ACCESS"
    assert error.message.startswith("KEYTURN_ACCESS is not set")
    assert {"'entra'", "'keys'"} <= set(error.facts["expected"].split())


@pytest.mark.parametrize("variable", SIGN_IN)
def test_keys_behind_sign_in_are_refused(variable: str) -> None:
    """Where people sign in, no name in a body is believed."""
    error = refused(KEYTURN_ACCESS="keys", **{variable: SIGN_IN[variable]})

    assert (error.facts["variable"], variable in error.facts["expected"]) == ("KEYTURN_ACCESS", True)


def test_either_access_goes_with_what_it_needs() -> None:
    """Keys without sign-in, Entra with it."""
    assert settings_of(WEBSITE_AUTH_ENABLED="False").keyturn_access == "keys"
    assert settings_of(KEYTURN_ACCESS="entra", **SIGN_IN).keyturn_access == "entra"


APPROVERS = {
    "KEYTURN_APPROVERS": lambda *names: json.dumps(names),
    "APPROVER_URLS": lambda *names: json.dumps(dict.fromkeys(names, "json://localhost/secret")),
}


@pytest.mark.parametrize("variable", APPROVERS)
def test_where_people_sign_in_approvers_are_object_ids(variable: str) -> None:
    """A name is its holder's to change; the error says which is one, and shows no channel."""
    settings_of(KEYTURN_ACCESS="entra", **SIGN_IN, **{variable: APPROVERS[variable](SAM, SAM.upper())})

    error = refused(KEYTURN_ACCESS="entra", **SIGN_IN, **{variable: APPROVERS[variable](SAM, "sam@example.com")})

    assert (error.facts["variable"], "number 2" in error.message) == (variable, True)
    assert "secret" not in error.message


@pytest.mark.parametrize("variable", APPROVERS)
def test_an_approver_whose_name_cannot_be_read_is_refused(variable: str) -> None:
    """Nobody could tell for whom the link is."""
    assert refused(**{variable: APPROVERS[variable]("sam\u200b")}).facts["variable"] == variable


@pytest.mark.parametrize(
    ("variables", "links"),
    [
        ({}, False),
        ({"KEYTURN_LINKS_WITHOUT_SIGN_IN": "true"}, True),
        ({"KEYTURN_ACCESS": "entra", **SIGN_IN}, True),
    ],
    ids=["keys", "keys, and somebody has said so", "entra"],
)
def test_links_are_for_those_who_sign_in(variables: dict[str, str], links: bool) -> None:  # noqa: FBT001 - a column
    """With keys a link is made, and taken, only where a setting says so; the webhook goes on either way."""
    settings = settings_of(APPROVAL_WEBHOOK_SECRETS=SECRET, **variables)

    assert settings.link_secrets() == ([SECRET] if links else [])
    assert settings.approval_secrets() == [SECRET]
