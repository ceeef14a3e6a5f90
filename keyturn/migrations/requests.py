"""The bodies that start migrations, and what is looked at before one is started."""

from typing import Literal

from keyturn.contracts import Payload, RewrapDeks
from keyturn.errors import InvalidRequestError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.record_parts import Name, Remark


class MigrationRequest(Payload):
    """What every body may hold."""

    keyring: str | None = None  # may be left out where there is only one
    requested_by: Name | None = None
    reason: Remark = ""
    dry_run: bool = False


class RewrapDeksRequest(MigrationRequest):
    """Move rows onto a version."""

    kind: Literal["rewrap-deks"]
    new_version: str
    old_version: str | None = None

    async def work(self, versions: MekVersions) -> RewrapDeks:
        """Return the work; raises InvalidRequestError where the vault does not have the versions."""
        states = await versions.states()
        for field, version in {"newVersion": self.new_version, "oldVersion": self.old_version}.items():
            if version is not None and version not in states:
                expected = "a version of the keyring's MEK"
                raise InvalidRequestError(f"{field}: expected {expected}", field=field, expected=expected)
        if not states[self.new_version].enabled:
            expected = "an enabled version of the keyring's MEK"
            raise InvalidRequestError(f"newVersion: expected {expected}", field="newVersion", expected=expected)
        if self.new_version == self.old_version:
            expected = "another version than newVersion"
            raise InvalidRequestError(f"oldVersion: expected {expected}", field="oldVersion", expected=expected)
        return RewrapDeks(new_version=self.new_version, old_version=self.old_version)
