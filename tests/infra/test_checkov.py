"""checkov finds nothing that is not explained, and has really looked."""

import re
from typing import Any

import pytest
import yaml

from tests.infra.conftest import OPEN
from tests.infra.snapshots import ROOT, Snapshot

# One worker runs it, once.
pytestmark = pytest.mark.xdist_group("checkov")

CONFIGURATION = ROOT / ".checkov.yaml"

# Types of resources that checkov has rules for.
LOOKED_AT = {
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.KeyVault/vaults/keys",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Web/serverfarms",
    "Microsoft.Web/sites",
    "Microsoft.Web/sites/config",
}


def test_checkov_reads_every_resource(checkov_report: dict[str, Any], snapshots: dict[str, Snapshot]) -> None:
    """Not one resource of a snapshot is left out because checkov cannot parse it."""
    given = sum(len(snapshot.resources) for name, snapshot in snapshots.items() if name != OPEN)

    assert checkov_report["summary"]["parsing_errors"] == 0
    assert checkov_report["summary"]["resource_count"] == given


def test_checkov_has_looked_at_what_matters(checkov_report: dict[str, Any]) -> None:
    """Every type of resource for which checkov has rules was held against some of them."""
    results = checkov_report["results"]
    looked_at = {check["resource"].rpartition(".")[0] for check in results["passed_checks"] + results["failed_checks"]}

    assert LOOKED_AT - looked_at == set()


def test_broken_rules_are_the_listed_ones(checkov_report: dict[str, Any]) -> None:
    """The rules that the templates break are exactly those that the configuration lists."""
    broken = {check["check_id"] for check in checkov_report["results"]["failed_checks"]}
    listed = yaml.safe_load(CONFIGURATION.read_text())["skip-check"]

    assert sorted(broken) == sorted(listed)


def test_every_exception_has_its_reason() -> None:
    """Each rule that is left out says why, on its line, and nothing is left out within a template."""
    entries = [line for line in CONFIGURATION.read_text().splitlines() if "CKV" in line and not line.startswith("#")]
    unexplained = [line for line in entries if not re.fullmatch(r"  - CKV\w+ +# \S.{20,}", line)]
    inline = [path.name for path in (ROOT / "infra").rglob("*.bicep") if "checkov:skip" in path.read_text()]

    assert unexplained == []
    assert inline == []
