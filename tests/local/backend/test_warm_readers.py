"""Two readers with warm DekCaches while their rows are rewrapped and the old version is disabled."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions

from local.identity.roles import ROLES
from tests.local.backend.running_backend import ROLE_NAMES, Backend, World
from tests.local.services import start_service

NOTES = 6
INTERVAL = 1.5
READS_PER_SECOND = 60
# The read that meets a dropped entry comes up to half a second later by chance, and the machine may be busy. Only the
# follower drops entries in this time: by themselves they live for five minutes.
ALLOWANCE = timedelta(seconds=INTERVAL + 8)


def start_reader(world: World, name: str) -> Backend:
    """Start a reader of warm DEKs: a process, an identity and clients of its own."""
    state = world.folder / name
    actions = [action for role in ROLE_NAMES for action in ROLES[role]]
    service = start_service(
        "local.backend",
        *("--state", state, "--reads-per-second", 0, "--writes-per-second", 0, "--follow-interval", INTERVAL),
        env={**world.environment, **world.vault.principal(f"{name}-{world.mek.name}", *actions)},
    )
    return Backend(service, state)


def unwraps(world: World, name: str, version: str) -> list[datetime]:
    """Return when a reader had DEKs unwrapped under a version."""
    query = {"who": f"{name}-{world.mek.name}", "operation": "unwrap", "version": version}
    entries: list[dict[str, Any]] = world.vault.control("GET", "operations", params=query)
    return [datetime.fromisoformat(entry["at"]) for entry in entries]


async def rewrap(world: World, version: str) -> None:
    """Move every row to another version by one conditional patch each, as a rotation does."""
    target = await world.mek.client.fetch_version(version)
    async for row in world.rows.query_items("SELECT * FROM c"):
        wrapped = base64.b64decode(row["wrappedDek"])
        dek = await world.mek.client.unwrap(wrapped, row["mekVersion"], row["algorithm"])
        values = {
            "wrappedDek": base64.b64encode(world.mek.client.wrap(dek, target)).decode(),
            "mekVersion": version,
        }
        await world.rows.patch_item(
            row["id"],
            row["id"],
            [{"op": "set", "path": f"/{name}", "value": value} for name, value in values.items()],
            etag=row["_etag"],
            match_condition=MatchConditions.IfNotModified,
        )


async def test_warm_readers_see_the_new_wrap_within_one_interval_and_no_read_fails(world: World) -> None:
    """Each reader unwraps every DEK under the new version in time, and both go on when the old one is disabled."""
    names = ("reader-one", "reader-two")
    writer = world.start("--reads-per-second", 0, "--writes-per-second", 0)
    for number in range(NOTES):
        note = {"workspaceId": "w1", "title": f"Note {number}", "body": "A body"}
        assert 201 == writer.call("POST", "/api/notes", json=note).status_code
    readers = [start_reader(world, name) for name in names]
    for name, reader in zip(names, readers, strict=True):
        reader.load(readsPerSecond=READS_PER_SECOND, coldReadShare=0)
        await reader.wait_for(lambda _, name=name: len(unwraps(world, name, world.version)) >= NOTES, "warm cache")
    version = await world.mek.create()

    await rewrap(world, version)
    rewrapped = datetime.now(UTC)
    for name, reader in zip(names, readers, strict=True):
        await reader.wait_for(lambda _, name=name: len(unwraps(world, name, version)) >= NOTES, "new wraps")
    await world.mek.change(world.version, enabled=False)
    counts = [reader.load()["reads"]["ok"] for reader in readers]
    reports = [
        await reader.wait_for(lambda seen, count=count: seen["reads"]["ok"] >= count + 60, "further reads")
        for reader, count in zip(readers, counts, strict=True)
    ]

    assert [0, 0] == [report["reads"]["failed"] for report in reports]
    assert [NOTES, NOTES] == [len(unwraps(world, name, version)) for name in names]
    assert all(at - rewrapped <= ALLOWANCE for name in names for at in unwraps(world, name, version))
    for backend in (writer, *readers):
        backend.service.stop()
