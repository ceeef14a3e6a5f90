"""Reinstate: enable again every version that this rotation has disabled, and write it down."""

from keyturn.contracts import RotationRef
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_store import RunStore
from keyturn.rotation.transitions import check_token


async def reinstate(runs: RunStore, versions: MekVersions, ref: RotationRef) -> list[str]:
    """Enable the versions that carry this rotation's retirement tag, and return them; twice is the same as once.

    The vault is asked first: enabling is what must happen, whatever becomes of the record.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        KeyturnError: of the kind that the vault's answer means.
    """
    enabled = await versions.reinstate(ref.rotation_id)

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, ref)
        return record if record.reinstated == enabled else record.changed(reinstated=enabled)

    await runs.update(ref.rotation_id, change)
    return enabled
