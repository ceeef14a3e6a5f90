"""Settings that name another store, or another key: a run that moved nothing does not hide it."""

from dataclasses import replace

import pytest
from azure.cosmos.aio import CosmosClient

from keyturn.contracts.states import State
from keyturn.deks.store import DekStore
from keyturn.direct.rows import rewrap
from keyturn.direct.session import Direct
from keyturn.errors import SettingsError
from tests.field_encrypt.local_cosmos import new_container
from tests.invariants.harness import ActivityHarness
from tests.keyturn.direct.conftest import runs_of


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "for good"])
async def test_a_store_of_another_key_is_no_success(harness: ActivityHarness, direct: Direct, *, dry_run: bool) -> None:
    """Rows, and none of this key: the settings are wrong, which a run that moved nothing would have hidden."""
    await harness.local_keyring.fill(2, mekName="another-mek")

    if dry_run:
        looked = await rewrap(direct, harness.keyring, dry_run=True)
        assert "all 2 rows of the dek store name other keys" in looked.history[-1].detail
        return
    with pytest.raises(SettingsError, match=r"all 2 rows .* name other keys: compare .*DEK_CONTAINER") as raised:
        await rewrap(direct, harness.keyring)
    [run_id] = await runs_of(harness)
    assert f"keyturn direct abort {run_id}" in raised.value.hint
    assert (await direct.resources.migrations.read(run_id)).state is State.NEEDS_ATTENTION

    await harness.local_keyring.add(harness.old)
    assert (await rewrap(direct, harness.keyring)).state is State.COMPLETED


async def test_rows_that_no_pass_meets_are_no_success(
    harness: ActivityHarness, direct: Direct, cosmos_client: CosmosClient
) -> None:
    """Another container than the dek store, by another partition key: what is counted is not found, and not moved."""
    notes = await new_container(cosmos_client, "notes", "/workspaceId")
    for number in range(2):
        await notes.create_item({"id": f"n{number}", "workspaceId": "w"})
    clients = direct.resources.keyring(harness.keyring)
    clients = replace(clients, dek_container=notes, rows=DekStore(notes, clients.keyring))
    direct.resources._keyrings[harness.keyring] = clients

    looked = await rewrap(direct, harness.keyring, dry_run=True)
    assert "0 rows would be moved, 0 cannot; 2 rows are counted that no pass has met" in looked.history[-1].detail
    with pytest.raises(SettingsError, match="2 rows are counted that no pass has met: compare DEK_CONTAINER"):
        await rewrap(direct, harness.keyring)


async def test_an_empty_store_is_said_to_be_empty(harness: ActivityHarness, direct: Direct) -> None:
    """As of a new system: there is nothing to move, and a wrong container looks the same."""
    record = await rewrap(direct, harness.keyring)

    assert record.state is State.COMPLETED
    assert "0 rows were moved; the dek store has no rows: compare COSMOS_DATABASE" in record.history[-1].detail
