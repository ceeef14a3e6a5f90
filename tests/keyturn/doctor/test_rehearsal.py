"""``doctor --live`` for real, against the local Azure: what can be run is run, what people do is not run."""

import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.doctor.live import BY_HAND
from keyturn.doctor.run import PROBED
from tests.keyturn.doctor.conftest import Clinic, throttled
from tests.local.services import REPOSITORY

pytestmark = pytest.mark.xdist_group("doctor")

GROUP = "keyturn-local"


def rehearse(clinic: Clinic, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does, with the app's settings exported."""
    return subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "keyturn.cli", "doctor", "--live", *arguments],
        cwd=REPOSITORY,
        env={**clinic.environment, **clinic.azure.client_environment("operator")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_can_be_run_is_run(limited_clinic: Clinic, tmp_path: Path) -> None:
    """Every probe has passed, every step by hand is there with its commands and not run, and the file says the same."""
    file = tmp_path / "live.md"
    with throttled(limited_clinic):
        ended = rehearse(limited_clinic, "--resource-group", GROUP, "--report", str(file), "--mask")
    words = dict(line[2:].split(" | ")[:2] for line in ended.stdout.splitlines() if line.startswith("| `"))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert dict.fromkeys(PROBED, "passed") == {name: words[f"`{name}`"] for name in PROBED}
    assert dict.fromkeys(BY_HAND, "not run") == {name: words[f"`{name}`"] for name in BY_HAND}
    assert "az group delete" in ended.stdout
    assert file.read_text() == ended.stdout.removesuffix("\n")
    assert [name for name in (GROUP, "notelett-mek", "localhost:") if name in ended.stdout] == []


def test_another_group_is_refused(clinic: Clinic) -> None:
    """Nothing is made in a deployment that was not named as one to be thrown away."""
    ended = rehearse(clinic, "--resource-group", "rg-keyturn-prod")

    assert (ended.returncode, ended.stdout) == (64, "")
    assert "--resource-group: expected the group in which the database account is" in ended.stderr
