"""The command line answers at once, because it imports an SDK only in the command that uses it."""

import subprocess
import sys

import pytest

from local.supervisor.layout import REPOSITORY

# What is deployed beside typer and rich, and what those packages bring along; each takes 20 to 200 ms to import.
HEAVY = {
    *("aiohttp", "apprise", "azure", "cloudevents", "croniter", "cryptography", "durabletask", "grpc", "msal"),
    *("opentelemetry", "pydantic", "requests", "rfc8785", "standardwebhooks", "yaml"),
}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_no_sdk_is_imported(option: str) -> None:
    """Neither option imports one; ``python -X importtime -m keyturn.cli --help`` shows on whose account it would."""
    ended = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-X", "importtime", "-m", "keyturn.cli", option],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}

    assert "keyturn" in imported
    assert imported & HEAVY == set()
