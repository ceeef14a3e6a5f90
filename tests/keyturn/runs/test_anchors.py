"""The chain's head stands in the tags of the key version, where the database's writers cannot change it."""

import logging
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy

from keyturn.audit.chain import Head, head_of, link
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.ids import RunKind, keyring_of, new_run_id
from keyturn.key_vault.versions import ROTATION_TAG, MekVersions
from keyturn.runs.audit import HEAD_TAG, MIGRATION_HEAD_TAG, anchor, anchored_head
from keyturn.runs.records import RotationRecord
from tests.keyturn.audit.chains import event, lines
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import NOW, make_record, new_keyring
from tests.keyturn.runs.records import migration


@pytest.fixture
def versions(local_keyring: LocalKeyring) -> MekVersions:
    """The versions of the world's MEK."""
    return MekVersions(local_keyring.mek.admin, local_keyring.mek.client)


async def made(local_keyring: LocalKeyring, **fields: Any) -> RotationRecord:
    """Return a rotation that has made a version."""
    version = await local_keyring.mek.create(tags={ROTATION_TAG: "r1"}, enabled=True)
    return make_record(new_keyring(), **{"target_version": version, **fields})


async def anchored(versions: MekVersions, record: RotationRecord) -> Head | None:
    """Return the head in the version's tags."""
    tags = (await versions.states())[record.target_version or ""].tags
    return Head.parse(tags[HEAD_TAG]) if HEAD_TAG in tags else None


async def test_the_head_is_written_beside_the_other_tags(
    local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions
) -> None:
    """The version keeps its tags and stays enabled, and the head grows with the chain."""
    record = await made(local_keyring)
    heads = []
    for number in range(2):
        heads.append(await audit.append(record.run_id, [event(number)]))
        await anchor(audit, versions, record)
        assert heads[-1] == await anchored(versions, record)
    state = (await versions.states())[record.target_version or ""]

    assert state.enabled
    assert state.tags[ROTATION_TAG] == "r1"
    assert verify_chain(lines(await audit.read_chain(record.run_id)), heads[0]).broken is None


async def test_an_anchor_is_written_once(local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions) -> None:
    """A head that is anchored already costs the vault no write."""
    record = await made(local_keyring)
    await audit.append(record.run_id, [event(1)])
    await anchor(audit, versions, record)
    updates = local_keyring.mek.vault.operations("admin").count("update")

    await anchor(audit, versions, record)

    assert local_keyring.mek.vault.operations("admin").count("update") == updates


async def test_a_rotation_without_a_version_has_no_anchor(
    local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions
) -> None:
    """Before the version exists, and for a dry run, nothing is written to the vault."""
    record = await made(local_keyring, target_version=None)
    await audit.append(record.run_id, [event(1)])

    await anchor(audit, versions, record)

    assert not any(HEAD_TAG in state.tags for state in (await versions.states()).values())


async def test_the_anchor_of_an_adopted_version_goes_over_to_who_adopted_it(
    local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions
) -> None:
    """The tag held the head of the run that made the version, which its chain bears out; then it is no head of it."""
    maker = await made(local_keyring)
    await audit.append(maker.run_id, [event(number) for number in range(5)])
    await anchor(audit, versions, maker)
    made_head = await anchored_head(versions, maker.run_id, maker.target_version)
    adopter = make_record(new_keyring(), target_version=maker.target_version, adopted=[maker.run_id])
    head = await audit.append(adopter.run_id, [event(9)])
    before = await anchored_head(versions, adopter.run_id, adopter.target_version)

    await anchor(audit, versions, adopter)

    assert head == await anchored(versions, adopter)
    assert (made_head, before) == (await audit.head(maker.run_id), None)
    for run, found in (maker, None), (adopter, head):
        assert await anchored_head(versions, run.run_id, run.target_version) == found


async def test_a_migration_is_anchored_with_its_id(
    local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions
) -> None:
    """In the newest version, until the next migration writes its own; a rotation's anchor stays beside it."""
    record = await made(local_keyring)
    heads = [await audit.append(record.run_id, [event(1)])]
    await anchor(audit, versions, record)
    for _ in range(2):
        run = migration(run_id=new_run_id(RunKind.MIGRATION, new_keyring(), NOW))
        heads.append(await audit.append(run.run_id, [event(2)]))
        await anchor(audit, versions, run)
        await anchor(audit, versions, run)
        tags = (await versions.states())[record.target_version or ""].tags
        assert (tags[HEAD_TAG], tags[MIGRATION_HEAD_TAG]) == (str(heads[0]), f"{run.run_id}:{heads[-1]}")


async def test_an_anchor_that_the_chain_does_not_bear_out_stays(
    local_keyring: LocalKeyring,
    audit: AuditLog,
    versions: MekVersions,
    container: ContainerProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody rewrites the stored chain: the tag keeps the true head, the log says so, and verifying shows it."""
    record = await made(local_keyring)
    run_id, keyring = record.run_id, keyring_of(record.run_id)
    true_head = await audit.append(run_id, [event(1)])
    await anchor(audit, versions, record)
    forged = link(run_id, event(2), None)
    for document_id, fields in (
        (f"{run_id}:audit:00000001", {"event": forged}),
        (f"{run_id}:audit", {"hash": forged["hash"]}),
    ):
        document = dict(await container.read_item(document_id, keyring))
        await container.replace_item(document_id, {**document, **fields})
    await audit.append(run_id, [event(3)])

    with caplog.at_level(logging.ERROR):
        await anchor(audit, versions, record)
    exported = (await audit.export(run_id)).splitlines()
    broken = verify_chain(exported, true_head).broken

    assert head_of(forged) != true_head == await anchored(versions, record)
    assert "was not anchored: BrokenChainError" in caplog.text
    assert verify_chain(exported).broken is None
    assert broken is not None
    assert (broken.problem, broken.sequence) == ("rewritten", 1)


async def test_a_vault_that_is_away_does_not_hold_the_rotation_up(
    local_keyring: LocalKeyring, audit: AuditLog, versions: MekVersions, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is in the log, and the next state change anchors the newer head."""
    record = await made(local_keyring)
    await audit.append(record.run_id, [event(1)])

    local_keyring.mek.fault(operation="update", kind="status", status=403, body={"error": {"code": "Forbidden"}})
    with caplog.at_level(logging.ERROR):
        await anchor(audit, versions, record)
    refused = await anchored(versions, record)
    head = await audit.append(record.run_id, [event(2)])
    await anchor(audit, versions, record)

    assert refused is None
    assert "was not anchored: PermissionMissingError" in caplog.text
    assert await anchored(versions, record) == head
