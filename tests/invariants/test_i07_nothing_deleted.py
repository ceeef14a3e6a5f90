"""I7: nothing deletes or purges a key, a version or a row."""

from typing import Any

import pytest
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy

from field_encrypt.row_patches import RowPatch
from keyturn.deks.rewrap import rewrap_page
from keyturn.errors import UnavailableError
from keyturn.key_vault.versions import MekVersions
from tests.invariants.checks.versions import Inventory
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import ready_to_retire
from tests.keyturn.deks.pages import Sink, dependencies, page_of


async def wrong(harness: ActivityHarness, before: Inventory) -> list[str]:
    """Compare what there is with what there was, and read the vault's log."""
    return before.missing_from(await harness.inventory(), [entry["operation"] for entry in harness.operations()])


async def test_a_rotation_deletes_nothing(running_engine: ActivityHarness) -> None:
    """A whole rotation with rows of every kind leaves each row and version there, and asked nothing to delete one."""
    await running_engine.local_keyring.add_many(5, running_engine.old)
    await running_engine.local_keyring.add(running_engine.old, mekVersion=...)
    await running_engine.local_keyring.add(running_engine.old, mekName="another-mek")
    before = await running_engine.inventory()
    running_engine.count_deletes()

    record = await running_engine.rotate()

    assert (record.state, len(before.rows) - 1) == ("completed", 6)
    assert await wrong(running_engine, before) == []
    assert running_engine.deletes_seen() == 0


async def test_broken_a_version_is_deleted_when_it_is_retired(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that deletes the key finds that it may not, and the vault's log has caught it."""
    driver = await ready_to_retire(harness)
    before = await harness.inventory()

    async def delete(self: MekVersions, *_: Any, **__: Any) -> None:
        await self._keys.delete_key(self.mek.mek_name)

    monkeypatch.setattr(MekVersions, "retire", delete)
    with pytest.raises(UnavailableError):
        await harness.act("retire_versions", driver.retirement())

    assert await wrong(harness, before) == ["the vault was asked to delete"]


async def test_broken_a_row_is_deleted_and_created_again(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rewrap that deletes the row and creates it anew is told from one that changes it."""
    row = await harness.local_keyring.add(harness.old)
    before = await harness.inventory()
    harness.count_deletes()

    async def recreate(self: RowPatch, container: ContainerProxy) -> CosmosDict:
        changed = {operation["path"][1:]: operation["value"] for operation in self.operations}
        await container.delete_item(self.row.id, partition_key=self.partition_key)
        return await container.create_item({**self.row.raw, **changed})

    monkeypatch.setattr(RowPatch, "send", recreate)
    await rewrap_page(
        page_of([row], await harness.local_keyring.mek.create()), dependencies(harness.local_keyring, Sink())
    )

    assert await wrong(harness, before) == [f"row {row.id} was deleted and created again"]
    assert harness.deletes_seen() == 1
