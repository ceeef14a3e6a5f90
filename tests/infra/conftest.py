"""Parsed templates, and one run of checkov over them."""

import json
import subprocess
from typing import Any

import pytest

from tests.infra.bicep import INFRA, ROOT, Template, read_template, template_paths

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    """Every template by its path under infra/."""
    return {template.name: template for template in map(read_template, template_paths())}


@pytest.fixture(scope="session")
def main(templates: dict[str, Template]) -> Template:
    """The template that a deployment starts with."""
    return templates["main.bicep"]


@pytest.fixture(scope="session")
def checkov_report() -> dict[str, Any]:
    """What checkov finds with no rule left out."""
    assert CHECKOV.exists(), "checkov is not installed: make .venv-checkov/.installed"
    options = ["--directory", str(INFRA), "--framework", "bicep", "--skip-download", "--output", "json", "--soft-fail"]
    # In a folder without a .checkov.yaml, which would leave rules out.
    finished = subprocess.run(  # noqa: S603 - our own command line
        [CHECKOV, *options], cwd=INFRA, capture_output=True, text=True, timeout=150, check=True
    )
    report: dict[str, Any] = json.loads(finished.stdout)
    return report
