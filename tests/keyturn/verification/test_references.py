"""References: documents that name DEKs which the store lacks are noticed, whatever field names them."""

import pytest

from keyturn.rotation.verification import missing_deks
from tests.keyturn.documents.scene import Scene, dek_ids_of


async def missing(scene: Scene) -> list[str]:
    """Return what documents name and the store lacks."""
    return await missing_deks(scene.container, scene.documents.description, scene.source.store)


async def test_nothing_is_missing(scene: Scene) -> None:
    """Encrypted documents whose rows are there, and documents that name no DEK."""
    await scene.add("a", "b", side=scene.source)
    await scene.add("plain")

    assert [] == await missing(scene)


@pytest.mark.parametrize("keeps", ["title", "author", "parts"])
async def test_a_missing_dek_is_noticed_in_every_kind_of_field(scene: Scene, keeps: str) -> None:
    """A property of the document, a nested one, and one of a list's elements: each alone is enough."""
    await scene.add("a", "b", side=scene.source)
    stored = await scene.stored("a")
    (dek_id,) = dek_ids_of(stored)
    await scene.container.replace_item("a", {"id": "a", keeps: stored[keeps]})
    await scene.source.rows.delete_item(dek_id, partition_key=dek_id)

    assert [dek_id] == await missing(scene)


async def test_a_malformed_row_is_there(scene: Scene) -> None:
    """That a row is malformed is the sweep's to report."""
    await scene.add("a", side=scene.source)
    (dek_id,) = dek_ids_of(await scene.stored("a"))
    row = await scene.source.rows.read_item(dek_id, partition_key=dek_id)
    await scene.source.rows.replace_item(dek_id, {**row, "wrappedDek": "!"})

    assert [] == await missing(scene)
