"""Probes in the settings: what is wrong is named by its place, and a secret that stands there is not repeated."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from keyturn.settings import HealthProbe, load_settings
from tests.keyturn.settings.environment import RUNBOOK, failure, keyring
from tests.keyturn.settings.probes import SECRET, probes_of

ROOT = Path(__file__).parents[3]
URL = "https://notes.example.com/api/notes/1"


def test_a_url_is_a_get_that_answers_200() -> None:
    """What stood in the setting before probes had more to say means what it did."""
    assert probes_of(URL) == [HealthProbe(url=URL, method="GET", status=200)]


def test_a_header_has_the_value_of_the_app_setting() -> None:
    """Also in a list of keyrings; a Key Vault reference is resolved by the platform before the app sees it."""
    listed = keyring("notes", healthUrls=[{"url": URL, "headers": {"Authorization": "note_token"}}])

    settings = load_settings({**RUNBOOK, "KEYTURN_KEYRINGS": json.dumps([listed]), "NOTE_TOKEN": SECRET})

    [probe] = settings.keyrings[0].health_urls
    assert probe.headers["Authorization"].get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("probe", "path", "expected"),
    [
        ({"url": "ftp://notes"}, "$[0].url", "a URL of the backend"),
        ({"url": URL, "method": "PUT"}, "$[0].method", "'GET', 'HEAD' or 'POST'"),
        ({"url": URL, "status": 99}, "$[0].status", "greater than or equal to 200"),
        ({"url": URL, "headers": {"Authorization": SECRET}}, "$[0].headers", "an app setting that is set"),
        ({"url": URL, "headers": {"Authorization": "NOT_SET"}}, "$[0].headers", "an app setting that is set"),
        ({"url": URL, "headers": {"Authorization": "TWO_LINES"}}, "$[0].headers", "one line of ASCII"),
        ({"url": URL, "headers": {SECRET: "NOTE_TOKEN"}}, "$[0].headers", "headers by their names"),
        ({"url": URL, "authorization": SECRET}, "$[0].authorization", "Extra inputs"),
        ({"url": URL, "token": "s3cr3t-of-the-note"}, "$[0].token", "Extra inputs"),
        ({"url": URL, "scope": "api://notelett"}, "$[0].scope", "api://<client id>/.default"),
        (
            {"url": URL, "scope": "api://notelett/.default", "headers": {"authorization": "NOTE_TOKEN"}},
            "$[0]",
            "not both",
        ),
        ({"url": "http://notes/1", "scope": "api://notelett/.default"}, "$[0]", "https:// where headers or a token"),
        ({"url": "http://notes/1", "headers": {"X-Key": "NOTE_TOKEN"}}, "$[0]", "https:// where headers or a token"),
        ({"url": URL, "method": "HEAD", "contains": "ready"}, "$[0]", "GET or POST"),
    ],
)
def test_a_probe_that_cannot_be_is_named(probe: dict[str, Any], path: str, expected: str) -> None:
    """The error names the place and what belongs there, and no secret that stands there or in the app setting."""
    variables = {"NOTE_TOKEN": SECRET, "TWO_LINES": f"{SECRET}\nX-Other: 1"}

    error = failure({"KEYTURN_HEALTH_URLS": json.dumps([probe]), **variables})

    assert (error.facts["variable"], error.facts["jsonPath"]) == ("KEYTURN_HEALTH_URLS", path)
    assert expected in error.facts["expected"]
    assert "s3cr3t" not in f"{error.message} {error.facts}"


def test_the_documented_probes_are_probes() -> None:
    """What docs/deploy.md shows is taken as it stands."""
    [block] = re.findall(r"```json\n(\[.*?\])\n```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)

    health, ready, note = probes_of(*json.loads(block.replace("<client id of the backend>", "notelett")))

    assert (health.scope, ready.equals["status"], note.scope) == (None, "ready", "api://notelett/.default")


def test_an_inline_token_in_broken_json_is_masked() -> None:
    """A text that is no JSON is shown with the error, but for one that holds a bearer token."""
    error = failure({"KEYTURN_HEALTH_URLS": f'[{{"headers": {{"Authorization": "{SECRET}"}}'})

    assert error.facts["value"] == "(masked)"
