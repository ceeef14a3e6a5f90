"""Anchors: the head of a chain in the tags of the key version that the rotation made.

Who can write to the database can rewrite a whole chain, and it holds; the tag, which takes a right on the vault to
change, then names an event that is not there.
"""

import logging

from keyturn.audit.chain import Head, head_of
from keyturn.audit.log import AuditLog
from keyturn.errors import BrokenChainError, KeyturnError, ResourceMissingError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.record import RotationRecord

HEAD_TAG = "keyturn-audit-head"

_log = logging.getLogger(__name__)


async def anchor(audit: AuditLog, versions: MekVersions, record: RotationRecord) -> None:
    """Write the chain's head into the tags of the rotation's version, once there is one.

    Never fails a rotation: a vault that is away leaves the earlier anchor, which still holds for what it was written
    for, and the next state change writes a newer one. What went wrong is in the log.
    """
    if record.target_version is None:
        return
    try:
        await _write(audit, versions, record.rotation_id, record.target_version)
    except KeyturnError as error:
        name = type(error).__name__
        _log.error("the audit chain of %s was not anchored: %s: %s", record.rotation_id, name, error.message)


async def _write(audit: AuditLog, versions: MekVersions, rotation_id: str, version: str) -> None:
    if (found := (await versions.states()).get(version)) is None:
        raise ResourceMissingError("the MEK has no such version", resource="MEK", version=version)
    head, written = await audit.head(rotation_id), found.tags.get(HEAD_TAG)
    if head is None:
        return
    if written is not None:
        earlier = Head.parse(written)
        await _check_borne_out(audit, rotation_id, earlier)
        if earlier.sequence >= head.sequence:
            return
    await versions.tag(found, {HEAD_TAG: str(head)})


async def _check_borne_out(audit: AuditLog, rotation_id: str, earlier: Head) -> None:
    """Raise BrokenChainError unless the chain has the anchored event: overwriting would hide that it was rewritten."""
    found = await audit.read_chain(rotation_id, after=earlier.sequence - 1, limit=1)
    if [earlier] != [head_of(event) for event in found]:
        raise BrokenChainError(f"event {earlier.sequence} is not the one in the tag", sequence=earlier.sequence)
