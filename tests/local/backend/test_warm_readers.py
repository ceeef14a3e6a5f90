"""Two readers with warm DekCaches while their rows are rewrapped and the old version is disabled."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions

from local.identity.roles import ROLES
from tests.local.backend.running_backend import ROLE_NAMES, Backend, LocalKeyring
from tests.local.services import start_service

NOTES = 6
INTERVAL = 1.5
READS_PER_SECOND = 60
# The read that meets a dropped entry comes up to half a second later by chance, and the machine may be busy. Only the
# follower drops entries in this time: by themselves they live for five minutes.
ALLOWANCE = timedelta(seconds=INTERVAL + 8)


def start_reader(local_keyring: LocalKeyring, name: str) -> Backend:
    """Start a reader of warm DEKs: a process, an identity and clients of its own."""
    state = local_keyring.folder / name
    actions = [action for role in ROLE_NAMES for action in ROLES[role]]
    service = start_service(
        "local.backend",
        *("--identity-key", local_keyring.vault.identity_key),
        *("--state", state, "--reads-per-second", 0, "--writes-per-second", 0, "--follow-interval", INTERVAL),
        env={
            **local_keyring.environment,
            **local_keyring.vault.principal(f"{name}-{local_keyring.mek.name}", *actions),
        },
    )
    return Backend(service, state, local_keyring.token())


def unwraps(local_keyring: LocalKeyring, name: str, version: str) -> list[datetime]:
    """Return when a reader had DEKs unwrapped under a version."""
    query = {"who": f"{name}-{local_keyring.mek.name}", "operation": "unwrap", "version": version}
    entries: list[dict[str, Any]] = local_keyring.vault.control("GET", "operations", params=query)
    return [datetime.fromisoformat(entry["at"]) for entry in entries]


def all_unwrapped(local_keyring: LocalKeyring, name: str, version: str) -> Callable[[Any], bool]:
    """Return the condition that a reader had every DEK unwrapped under a version."""
    return lambda _: len(unwraps(local_keyring, name, version)) >= NOTES


def have_read(count: int) -> Callable[[Any], bool]:
    """Return the condition that a reader's report counts so many reads."""
    return lambda seen: seen["reads"]["ok"] >= count


async def rewrap(local_keyring: LocalKeyring, version: str) -> None:
    """Move every row to another version by one conditional patch each, as a rotation does."""
    target = await local_keyring.mek.client.fetch_version(version)
    async for row in local_keyring.rows.query_items("SELECT * FROM c"):
        wrapped = base64.b64decode(row["wrappedDek"])
        dek = await local_keyring.mek.client.unwrap(wrapped, row["mekVersion"], row["algorithm"])
        values = {
            "wrappedDek": base64.b64encode(local_keyring.mek.client.wrap(dek, target)).decode(),
            "mekVersion": version,
        }
        await local_keyring.rows.patch_item(
            row["id"],
            row["id"],
            [{"op": "set", "path": f"/{name}", "value": value} for name, value in values.items()],
            etag=row["_etag"],
            match_condition=MatchConditions.IfNotModified,
        )


async def test_warm_readers_see_the_new_wrap_within_one_interval_and_no_read_fails(local_keyring: LocalKeyring) -> None:
    """Each reader unwraps every DEK under the new version in time, and both go on when the old one is disabled."""
    names = ("reader-one", "reader-two")
    writer = local_keyring.start("--reads-per-second", 0, "--writes-per-second", 0)
    for number in range(NOTES):
        note = {"workspaceId": "w1", "title": f"Note {number}", "body": "A body"}
        assert writer.call("POST", "/api/notes", json=note).status_code == 201
    readers = [start_reader(local_keyring, name) for name in names]
    for name, reader in zip(names, readers, strict=True):
        reader.load(readsPerSecond=READS_PER_SECOND, coldReadShare=0)
        await reader.wait_for(all_unwrapped(local_keyring, name, local_keyring.version), "warm cache")
    version = await local_keyring.mek.create()

    await rewrap(local_keyring, version)
    rewrapped = datetime.now(UTC)
    for name, reader in zip(names, readers, strict=True):
        await reader.wait_for(all_unwrapped(local_keyring, name, version), "new wraps")
    await local_keyring.mek.change(local_keyring.version, enabled=False)
    counts = [reader.load()["reads"]["ok"] for reader in readers]
    reports = [
        await reader.wait_for(have_read(count + 60), "further reads")
        for reader, count in zip(readers, counts, strict=True)
    ]

    assert [report["reads"]["failed"] for report in reports] == [0, 0]
    assert [len(unwraps(local_keyring, name, version)) for name in names] == [NOTES, NOTES]
    assert all(at - rewrapped <= ALLOWANCE for name in names for at in unwraps(local_keyring, name, version))
    for backend in (writer, *readers):
        backend.service.stop()
