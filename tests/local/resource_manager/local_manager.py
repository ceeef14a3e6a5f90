"""The local resource manager as the tests use it."""

from pathlib import Path
from typing import Any

import requests

from tests.field_encrypt.local_vault import SECONDS, LocalVault
from tests.local.services import ServiceProcess, start_service

ACCOUNT = (
    "/subscriptions/3b8f1c1e-52a4-4d0c-9d5e-7a6b5c4d3e2f/resourceGroups/tests"
    "/providers/Microsoft.DocumentDB/databaseAccounts/notes"
)


class LocalManager:
    """A running resource manager beside a vault, whose identity service and certificate it shares."""

    def __init__(self, folder: Path, vault: LocalVault, *more: object) -> None:
        self._vault = vault
        arguments = ("--state", folder / "manager", "--tls", vault.server, "--identity-key", vault.identity_key)
        self.service: ServiceProcess = start_service("local.resource_manager", *arguments, "--account", ACCOUNT, *more)
        self.url = self.service.url

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the service without a client of its API."""
        return requests.request(
            method, f"{self.url}{path}", verify=str(self._vault.authority), timeout=SECONDS, **options
        )

    def set_backup(self, **policy: str) -> None:
        """Change the account's backup policy."""
        self.call("POST", "/_control/backup", json=policy).raise_for_status()

    def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        self.call("POST", "/_control/faults", json=rule).raise_for_status()

    def reset(self) -> None:
        """Disarm every fault and go back to the backup policy of a new account."""
        self.call("DELETE", "/_control/faults").raise_for_status()
        self.set_backup(type="Continuous")
