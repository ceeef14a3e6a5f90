"""Channels are apprise URLs, and nothing that names one tells what it holds."""

import json
import logging

import pytest
from pydantic import SecretStr

from keyturn.errors import SettingsError
from keyturn.settings import load_settings
from keyturn.settings.channels import CHANNELS_PER_SETTING, apart, channels_of
from tests.keyturn.settings.environment import RUNBOOK

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
HOOK = "jsons://user:hush@hooks.example/keyturn"


def test_channels_are_named_by_place_and_scheme() -> None:
    """Each URL is a channel with its place in the setting and its scheme; its text shows no URL."""
    channels = channels_of("NOTIFICATION_URLS", SecretStr(f"{SLACK}  {HOOK}"))

    assert [(channel.number, channel.scheme) for channel in channels] == [(1, "slack"), (2, "jsons")]
    assert "hush" not in repr(channels) + str(channels)


@pytest.mark.parametrize("kind", ["msteams", "pagerduty", "mailto", "slack", "jsons"])
def test_the_services_that_people_use_are_known(kind: str) -> None:
    """Teams, PagerDuty, mail, Slack and webhooks are channels."""
    url = {
        "msteams": "workflows://prod-1.westeurope.logic.azure.com:443/643e69f83c8944/4pP3fV8w",
        "pagerduty": "pagerduty://A1BRTD4JDTIiajkdnlazkcOXrIdevi7F@B1BRTD4JDTIiajkdnlaz",
        "mailto": "mailtos://keyturn:hush@mail.example?to=oncall@example.com",
        "slack": SLACK,
        "jsons": HOOK,
    }[kind]

    assert len(channels_of("ON_CALL_URLS", SecretStr(url))) == 1


@pytest.mark.parametrize("variable", ["NOTIFICATION_URLS", "ON_CALL_URLS"])
@pytest.mark.parametrize("wrong", ["slack://hush", "https://hooks.example/hush", "hush"])
def test_what_is_no_channel_is_refused_without_showing_it(
    variable: str, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the variable and which of its URLs is none, and masks what it holds; so does the log."""
    with caplog.at_level(logging.DEBUG), pytest.raises(SettingsError) as refused:
        load_settings({**RUNBOOK, variable: f"{HOOK} {wrong}"})

    assert f"{variable} is (masked): expected up to {CHANNELS_PER_SETTING} apprise URLs" in refused.value.message
    assert "number 2 is none" in refused.value.message
    assert "hush" not in str(refused.value.facts) + refused.value.message + caplog.text


def test_an_approvers_channel_that_is_none_is_refused_without_showing_it() -> None:
    """The error names the variable and masks what it holds."""
    with pytest.raises(SettingsError) as refused:
        load_settings({**RUNBOOK, "APPROVER_URLS": json.dumps({"sam@example.com": "slack://hush"})})

    assert refused.value.message.startswith("APPROVER_URLS")
    assert "number 1 is none" in refused.value.message
    assert "hush" not in str(refused.value.facts) + refused.value.message


def test_too_many_channels_are_refused() -> None:
    """A setting takes as many channels as the record has room for."""
    with pytest.raises(ValueError, match=f"found {CHANNELS_PER_SETTING + 1}"):
        channels_of("ON_CALL_URLS", SecretStr(" ".join([HOOK] * (CHANNELS_PER_SETTING + 1))))


def test_a_channel_that_is_listed_twice_is_one() -> None:
    """The first of two that lead to the same place stays."""
    channels = channels_of("NOTIFICATION_URLS", SecretStr(f"{SLACK} {HOOK} {SLACK}"))

    assert apart(channels) == channels[:2]
