"""The account's backup policy: kept in a file, changed by a control endpoint, shown as the REST reference has it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from local.common.files import write_private

# What an account has by default (REST reference, "Database Accounts - Get").
_PERIODIC = {
    "backupIntervalInMinutes": 240,
    "backupRetentionIntervalInHours": 8,
    "backupStorageRedundancy": "Geo",
}


class BackupPolicy(BaseModel):
    """Body of ``POST /_control/backup``, and what the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["Continuous", "Periodic"] = "Continuous"
    tier: Literal["Continuous7Days", "Continuous30Days"] = "Continuous30Days"

    def properties(self) -> dict[str, Any]:
        """Return the policy as the account's properties show it."""
        if self.type == "Continuous":
            return {"type": self.type, "continuousModeProperties": {"tier": self.tier}}
        return {"type": self.type, "periodicModeProperties": _PERIODIC}


class BackupPolicyFile:
    """The policy of one state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.policy = BackupPolicy.model_validate_json(path.read_bytes()) if path.exists() else BackupPolicy()

    def change(self, policy: BackupPolicy) -> None:
        """Keep another policy."""
        write_private(self._path, policy.model_dump_json().encode())
        self.policy = policy
