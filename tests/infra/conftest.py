"""The snapshots, and one run of checkov over them."""

import json
import subprocess
from typing import Any

import pytest

from tests.infra.snapshots import ROOT, Snapshot, read_snapshots

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

# It leaves the services on the public network, and breaks the rules against that on purpose.
OPEN = "public"


@pytest.fixture(scope="session")
def snapshots() -> dict[str, Snapshot]:
    """Every variant by its name."""
    return read_snapshots()


@pytest.fixture(scope="session")
def default(snapshots: dict[str, Snapshot]) -> Snapshot:
    """What is deployed where nothing is decided."""
    return snapshots["default"]


@pytest.fixture(scope="session")
def existing(snapshots: dict[str, Snapshot]) -> Snapshot:
    """The variant with sign-in, and with every optional right and setting."""
    return snapshots["existing"]


@pytest.fixture(scope="session")
def checkov_report(snapshots: dict[str, Snapshot], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov finds with no rule left out.

    It is given the resources of the snapshots: its own parser of Bicep knows neither types nor imports, skips a file
    that it cannot read, and sees no properties of what stands under a condition.
    """
    assert CHECKOV.exists(), "checkov is not installed: make .venv-checkov/.installed"
    folder = tmp_path_factory.mktemp("checkov")
    for name, snapshot in snapshots.items():
        if name != OPEN:
            template = {
                "$schema": SCHEMA,
                "contentVersion": "1.0.0.0",
                "resources": [r.body for r in snapshot.resources],
            }
            (folder / f"{name}.json").write_text(json.dumps(template))
    options = ["--directory", str(folder), "--framework", "arm", "--skip-download", "--output", "json", "--soft-fail"]
    # In a folder without a .checkov.yaml, which would leave rules out.
    finished = subprocess.run(  # noqa: S603 - our own command line
        [CHECKOV, *options], cwd=folder, capture_output=True, text=True, timeout=150, check=True
    )
    report: dict[str, Any] = json.loads(finished.stdout)
    return report
