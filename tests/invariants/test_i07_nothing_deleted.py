"""I7: nothing deletes or purges a key, a version or a row."""

from typing import Any

import pytest

from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.rows import Row
from keyturn.deks.store import DekStore, WriteOutcome, WriteResult
from keyturn.errors import UnavailableError
from keyturn.key_vault.versions import MekVersions
from tests.invariants.checks.versions import Inventory
from tests.invariants.scene import Scene
from tests.invariants.script import ready_to_retire
from tests.keyturn.rotation.pages import Sink, dependencies, page_of


async def wrong(scene: Scene, before: Inventory) -> list[str]:
    """Compare what there is with what there was, and read the vault's log."""
    return before.missing_from(await scene.inventory(), [entry["operation"] for entry in scene.operations()])


async def test_a_rotation_deletes_nothing(playing: Scene) -> None:
    """A whole rotation with rows of every kind leaves each row and version there, and asked nothing to delete one."""
    await playing.world.add_many(5, playing.old)
    await playing.world.add(playing.old, mekVersion=...)
    await playing.world.add(playing.old, mekName="another-mek")
    before = await playing.inventory()
    playing.count_deletes()

    record = await playing.rotate()

    assert ("completed", 6) == (record.state, len(before.rows) - 1)
    assert [] == await wrong(playing, before)
    assert 0 == playing.deletes_seen()


async def test_broken_a_version_is_deleted_when_it_is_retired(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that deletes the key finds that it may not, and the vault's log has caught it."""
    script = await ready_to_retire(scene)
    before = await scene.inventory()

    async def delete(self: MekVersions, *_: Any, **__: Any) -> None:
        await self._keys.delete_key(self.mek.mek_name)

    monkeypatch.setattr(MekVersions, "retire", delete)
    with pytest.raises(UnavailableError):
        await scene.act("retire_versions", script.retirement())

    assert ["the vault was asked to delete"] == await wrong(scene, before)


async def test_broken_a_row_is_deleted_and_created_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewrap that deletes the row and creates it anew is told from one that changes it."""
    row = await scene.world.add(scene.old)
    before = await scene.inventory()
    scene.count_deletes()

    async def recreate(self: DekStore, found: Row, operations: list[dict[str, Any]]) -> WriteResult:
        changed = {operation["path"][1:]: operation["value"] for operation in operations}
        await self.container.delete_item(found.id, partition_key=found.partition)
        await self.container.create_item({**found.raw, **changed})
        return WriteResult(WriteOutcome.WRITTEN, found.partition)

    monkeypatch.setattr(DekStore, "_patch", recreate)
    await rewrap_page(page_of([row], await scene.world.mek.create()), dependencies(scene.world, Sink()))

    assert [f"row {row.id} was deleted and created again"] == await wrong(scene, before)
    assert 1 == scene.deletes_seen()
