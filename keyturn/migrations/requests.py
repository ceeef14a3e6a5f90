"""The bodies that start migrations, and what is looked at before one is started."""

from typing import Literal

from keyturn.contracts import Payload, RewrapDeks, Rollback, RotationRef
from keyturn.errors import InvalidRequestError, WrongStateError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.record_parts import Name, Remark


class MigrationRequest(Payload):
    """What every body may hold."""

    keyring: str | None = None  # may be left out where there is only one
    requested_by: Name | None = None
    reason: Remark = ""
    dry_run: bool = False


class RollbackRequest(Payload):
    """Roll a rotation back; its id, in the address, names the keyring."""

    requested_by: Name | None = None
    reason: Remark = ""
    dry_run: bool = False

    def of(self, keyring: str) -> MigrationRequest:
        """Return the request as one for a migration of this keyring."""
        return MigrationRequest(keyring=keyring, **dict(self))


def rollback_work(record: RotationRecord) -> Rollback:
    """Return the work of rolling this rotation back; raises WrongStateError where it made no version."""
    if record.target_version is None:
        raise WrongStateError(
            "the rotation made no version: there is nothing to roll back",
            rotationId=record.rotation_id,
            state=record.state.value,
            allowed=[],
        )
    rotation = RotationRef(rotation_id=record.rotation_id, keyring=record.keyring, fencing_token=record.fencing_token)
    return Rollback(rotation=rotation, new_version=record.target_version)


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
