"""The rotation's new version: exactly one, whatever is lost, repeated or run at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import override

import pytest
from azure.keyvault.keys.aio import KeyClient

from keyturn.clock import Clock
from keyturn.errors import NotSettledError, PermissionMissingError, ResourceMissingError, UnavailableError
from keyturn.key_vault.creation import create_version
from keyturn.key_vault.versions import ROTATION_TAG, MekVersions
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.clocks import ManualClock
from tests.keyturn.key_vault.creations import REQUEST, Intent, tagged
from tests.keyturn.local_keyring import ROTATION, LocalKeyring

SECONDS = 30


async def test_one_version_is_created_and_found_again(versions: MekVersions) -> None:
    """A version of the wanted size is created with the rotation's tag, and the next run of the activity returns it."""
    intent, clock = Intent(), ManualClock()

    first, second = [await create_version(versions, REQUEST, intent, clock) for _ in range(2)]

    assert [first] == [second] == await tagged(versions)
    assert (await versions.fetch(first)).key_size == 2048
    assert not (await versions.fetch(first)).enabled  # a backup comes first
    assert (intent.written, clock.slept) == (1, [])


async def test_the_new_version_may_do_what_the_old_one_may(versions: MekVersions) -> None:
    """The permitted operations are those of the version before, so that no other use of the MEK breaks."""
    created = await create_version(versions, REQUEST, Intent(), ManualClock())

    assert sorted((await versions.fetch(created)).jwk.key_ops) == ["decrypt", "encrypt", "unwrapKey", "wrapKey"]


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "throttle"])
async def test_a_lost_answer_makes_no_second_version(
    local_keyring: LocalKeyring, versions: MekVersions, fault: str
) -> None:
    """Whether the answer to the creation was lost or the creation itself, there is one version in the end."""
    local_keyring.mek.fault(operation="create", kind=fault)

    created = await create_version(versions, REQUEST, Intent(), ManualClock())

    assert await tagged(versions) == [created]


async def test_a_failing_vault_is_not_asked_again_by_the_sdk(
    local_keyring: LocalKeyring, versions: MekVersions
) -> None:
    """A creation that is answered with 500 may have worked: nothing repeats it before it was looked for."""
    fault = local_keyring.mek.fault(operation="create", kind="status", status=500, count=None)
    assert fault["fired"] == 0

    with pytest.raises(NotSettledError):
        await create_version(versions, REQUEST, Intent(), ManualClock())

    assert [rule["fired"] for rule in local_keyring.mek.vault.control("GET", "faults")] == [3]


async def test_a_run_after_a_crash_waits_for_the_creation_of_the_run_before(
    local_keyring: LocalKeyring, versions: MekVersions
) -> None:
    """A version that becomes visible while its intent is young is adopted, not made a second time."""
    late: list[str] = []

    class Clock(ManualClock):
        """A clock in whose tenth second the creation of the run before comes true."""

        @override
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if self.elapsed == 10:
                late.append(await local_keyring.mek.create(tags={ROTATION_TAG: ROTATION}))

    intent, clock = Intent(), Clock()
    intent.at = clock.now() - timedelta(seconds=5)

    created = await create_version(versions, REQUEST, intent, clock)

    assert [created] == late
    assert await tagged(versions) == late
    assert intent.written == 0


async def test_an_intent_that_came_to_nothing_is_renewed(versions: MekVersions) -> None:
    """Where the crash came before the creation, the version is created once the old intent can no longer come true."""
    intent, clock = Intent(), ManualClock()
    intent.at = clock.now() - timedelta(seconds=5)

    created = await create_version(versions, REQUEST, intent, clock)

    assert await tagged(versions) == [created]
    assert clock.now() == intent.at
    assert clock.elapsed == 25


async def test_of_two_runs_at_once_one_creates(versions: MekVersions) -> None:
    """An activity that runs twice at the same time ends with one version, known to both."""
    intent, clock = Intent(), Clock()  # the creation takes real time, so the other run's waiting must too

    both = await asyncio.gather(*(create_version(versions, REQUEST, intent, clock) for _ in range(2)))

    assert [both[0]] == [both[1]] == await tagged(versions)
    assert intent.written == 1


class Delayed(Intent):
    """An intent that takes some time to write."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, seconds

    @override
    async def declare(self, at: datetime, *, replacing: datetime | None) -> bool:
        """Write it, slowly the first time."""
        written = await super().declare(at, replacing=replacing)
        self._clock.advance(self._seconds if self.written == 1 else 0)
        return written


async def test_an_intent_that_took_too_long_to_write_is_not_acted_upon(versions: MekVersions) -> None:
    """The time of a creation begins at its intent: one that begins late would be taken for lost while it is made."""
    clock = ManualClock()
    intent = Delayed(clock, 20)

    created = await create_version(versions, REQUEST, intent, clock)

    assert await tagged(versions) == [created]
    assert (intent.written, sum(clock.slept)) == (2, 10)  # what was left of the time until the first one is lost


@asynccontextmanager
async def held_connections(vault: LocalVault) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """Serve the vault at another address, whose connections come about once they are let go; with both events."""
    host, port = vault.url.removeprefix("https://").split(":")
    came, let_go = asyncio.Event(), asyncio.Event()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await let_go.wait()
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)
        writer.close()

    async with await asyncio.start_server(connect, host, 0) as server:
        yield f"https://{host}:{server.sockets[0].getsockname()[1]}", came, let_go
        let_go.set()


async def test_a_creation_that_cannot_connect_is_over_before_another_begins(
    local_keyring: LocalKeyring, versions: MekVersions
) -> None:
    """The first run of the activity hangs while it connects, and gets through once the second one has created."""
    request = REQUEST.model_copy(update={"creation_settle": timedelta(seconds=2)})
    intent, clock, mek = Intent(), Clock(), local_keyring.mek
    like = await versions.fetch(await versions.current())
    async with held_connections(mek.vault) as (url, came, let_go):
        slow = KeyClient(url, mek.admin_credential, verify_challenge_resource=False, transport=mek.vault.transport())
        await intent.declare(clock.now(), replacing=None)
        first = asyncio.create_task(
            MekVersions(slow, mek.client).create(2048, like, {ROTATION_TAG: ROTATION}, answer_within=1)
        )
        await asyncio.wait_for(came.wait(), SECONDS)
        second = await create_version(versions, request, intent, clock)
        let_go.set()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(first, SECONDS)
        await slow.close()

    assert await tagged(versions) == [second]


async def test_a_missing_right_is_for_the_operator(local_keyring: LocalKeyring, versions: MekVersions) -> None:
    """Where the identity may not create, nothing is waited for."""
    local_keyring.mek.fault(
        operation="create", kind="status", status=403, body={"error": {"code": "Forbidden", "message": "no"}}
    )
    clock = ManualClock()

    with pytest.raises(PermissionMissingError):
        await create_version(versions, REQUEST, Intent(), clock)

    assert clock.slept == []


async def test_a_key_that_does_not_exist_is_not_created(local_keyring: LocalKeyring) -> None:
    """Only a version of an existing key is ever made."""
    with pytest.raises(ResourceMissingError):
        await create_version(
            MekVersions(local_keyring.mek.admin, local_keyring.mek.client), REQUEST, Intent(), ManualClock()
        )

    assert "create" not in local_keyring.mek.operations
