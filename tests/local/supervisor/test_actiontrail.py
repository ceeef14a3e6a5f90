"""The supervisor gives the app an actiontrail to deliver to: encrypted, with a secret that both sides know."""

import json
import subprocess
import sys
from pathlib import Path

import requests

from local.supervisor import LocalAzure, Options
from tests.field_encrypt.local_vault import SECONDS
from tests.keyturn.audit.chains import chain


def test_the_app_delivers_to_the_receiver_that_was_started(tmp_path: Path) -> None:
    """The app's own environment is enough to deliver an event over TLS, signed, and to find it there."""
    [event] = chain(1)
    azure = LocalAzure(Options(state=tmp_path))
    try:
        azure.start("actiontrail")
        _, environment = azure._command("functions_host")
        driver = [sys.executable, "-m", "tests.local.supervisor.deliver_one", json.dumps(event)]
        subprocess.run(driver, env=environment, check=True)  # noqa: S603 - the command line is our own
        answer = requests.get(
            f"{azure.layout.url('actiontrail')}/_control/events", verify=str(azure.ca_bundle), timeout=SECONDS
        )
    finally:
        azure.down()

    assert answer.json()["events"] == [event]
