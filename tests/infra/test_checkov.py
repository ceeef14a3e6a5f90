"""checkov finds nothing that is not explained, and has really looked."""

import re
from typing import Any

import pytest
import yaml

from tests.infra.bicep import ROOT, Template

# One worker runs it, once.
pytestmark = pytest.mark.xdist_group("checkov")

CONFIGURATION = ROOT / ".checkov.yaml"

# Resources that checkov has rules for. A file that it cannot read it skips in silence; of a conditional resource it
# sees no properties.
LOOKED_AT = {
    "Microsoft.DocumentDB/databaseAccounts.account",
    "Microsoft.KeyVault/vaults.vault",
    "Microsoft.KeyVault/vaults/keys.mek",
    "Microsoft.Storage/storageAccounts.account",
    "Microsoft.Storage/storageAccounts/blobServices/containers.packages",
    "Microsoft.Web/serverfarms.plan",
    "Microsoft.Web/sites.app",
    "Microsoft.Web/sites/config.signIn",
}


def test_no_file_is_unreadable_to_checkov(checkov_report: dict[str, Any]) -> None:
    """Not one template is left out because checkov cannot parse it."""
    assert checkov_report["summary"]["parsing_errors"] == 0


def test_checkov_has_looked_at_what_matters(checkov_report: dict[str, Any]) -> None:
    """Every resource for which checkov has rules was held against some of them."""
    results = checkov_report["results"]
    looked_at = {check["resource"] for check in results["passed_checks"] + results["failed_checks"]}

    assert LOOKED_AT - looked_at == set()


def test_no_resource_is_conditional(templates: dict[str, Template]) -> None:
    """Conditions stand on modules only: checkov does not see the properties of a conditional resource."""
    conditional = [
        f"{template.name}: {resource.symbol}"
        for template in templates.values()
        for resource in template.resources.values()
        if resource.conditional
    ]

    assert conditional == []


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
