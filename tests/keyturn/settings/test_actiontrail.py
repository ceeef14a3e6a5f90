"""Where domain events go: nowhere unless an endpoint is set, and then only encrypted and signed."""

import base64

import pytest

from keyturn.errors import SettingsError
from keyturn.settings.types import signing_secrets
from tests.keyturn.settings.environment import settings_of

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
URL = "https://trail.example.com/events"


def test_without_an_endpoint_there_is_nothing_to_set() -> None:
    """The app runs without domain events."""
    loaded = settings_of()

    assert (
        loaded.actiontrail_url,
        loaded.actiontrail_secrets,
        loaded.outbox_tick,
    ) == (None, None, "*/30 * * * * *")


def test_secrets_are_several_and_hidden() -> None:
    """Secrets are separated by spaces, and no representation shows them."""
    loaded = settings_of(ACTIONTRAIL_URL=URL, ACTIONTRAIL_SECRETS=f"{SECRET}  {SECRET}")

    assert signing_secrets(loaded.actiontrail_secrets) == [SECRET, SECRET]
    assert SECRET not in repr(loaded)


@pytest.mark.parametrize(
    "url", [URL, "https://trail.example.com", "http://localhost:8080/events", "http://127.0.0.1:1/", "http://[::1]:1"]
)
def test_events_go_over_https_or_stay_on_the_machine(url: str) -> None:
    """HTTP without TLS is for loopback only."""
    assert settings_of(ACTIONTRAIL_URL=url, ACTIONTRAIL_SECRETS=SECRET).actiontrail_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://trail.example.com/events",
        "http://localhost.example.com/",
        "http://localhost@example.com/",
        "https://user:password@trail.example.com/",
        "ftp://localhost",
        "trail.example.com",
    ],
)
def test_another_url_is_refused(url: str) -> None:
    """The error names the variable and what was expected."""
    with pytest.raises(SettingsError) as refused:
        settings_of(ACTIONTRAIL_URL=url, ACTIONTRAIL_SECRETS=SECRET)

    assert refused.value.facts["variable"] == "ACTIONTRAIL_URL"
    assert "https://" in refused.value.facts["expected"]


@pytest.mark.parametrize(
    "secrets",
    ["", "whsec_REPLACE", "whsec_!", SECRET.removeprefix("whsec_"), f"whsec_{'A' * 28}", f"{SECRET} whsec_c2hvcnQ="],
)
def test_an_endpoint_needs_secrets_that_are_some(secrets: str) -> None:
    """Events are never sent unsigned; what the variable holds is not shown."""
    with pytest.raises(SettingsError) as refused:
        settings_of(ACTIONTRAIL_URL=URL, ACTIONTRAIL_SECRETS=secrets)

    assert refused.value.facts["variable"] == "ACTIONTRAIL_SECRETS"
    assert refused.value.facts["value"] in (None, "(masked)")
    assert not secrets or secrets not in refused.value.message
