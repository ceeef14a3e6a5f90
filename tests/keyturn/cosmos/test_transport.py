"""What Cosmos DB charges is counted, by keyring where the work is an activity's."""

import ssl

import aiohttp
from azure.cosmos.aio import CosmosClient

from keyturn.cosmos.client import MeteredTransport
from keyturn.telemetry import names
from keyturn.telemetry.signals import working_on
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.telemetry.recorded import Recorded


async def test_request_units_are_counted(vault: LocalVault, cosmos: LocalCosmos, recorded: Recorded) -> None:
    """Every answer's charge is added to the keyring whose work asked, or to none."""
    context = ssl.create_default_context(cafile=str(vault.authority))
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
    transport = MeteredTransport(session=session)
    key = (cosmos._state / "master_key").read_text().strip()
    async with CosmosClient(cosmos.url, key, transport=transport) as client:
        container = await new_container(client, "metered")
        recorded.forget()
        with working_on("notes.20260301T030000Z.abcdef", "notes"):
            await container.create_item({"id": "one"})
        await container.create_item({"id": "two"})

    counted = recorded.metric(names.REQUEST_CHARGE)
    assert set(counted) == {("notes",), ("",)}
    assert all(charge > 0 for charge in counted.values())
