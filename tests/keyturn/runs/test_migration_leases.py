"""A migration's lease belongs to one holder at a time, ends by itself, and is seen by whoever asks."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import InvalidRequestError, InvariantError, MigrationRunningError
from keyturn.runs.migration_leases import KIND, MigrationLease, active, release, take

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
LASTS = timedelta(minutes=5)


@pytest.fixture
def keyring() -> str:
    """A keyring of the test's own."""
    return f"k{uuid.uuid4().hex[:12]}"


async def taken(
    documents: StateContainer,
    keyring: str,
    holder: str = "worker-1",
    *,
    migration: str = "encrypt",
    now: datetime = NOW,
) -> MigrationLease:
    """Take a lease."""
    return await take(documents, keyring, migration, holder, lasts=LASTS, now=now)


async def test_a_taken_lease_is_active_until_it_expires(documents: StateContainer, keyring: str) -> None:
    """Whoever asks sees who runs what, and nothing once the time is over."""
    await taken(documents, keyring)
    await taken(documents, keyring, "worker-2", migration="decrypt")

    found = await active(documents, keyring, NOW + LASTS - timedelta(seconds=1))
    assert [(lease.migration, lease.holder) for lease in found] == [("decrypt", "worker-2"), ("encrypt", "worker-1")]
    assert await active(documents, keyring, NOW + LASTS) == []
    assert await active(documents, "another", NOW) == []


async def test_another_holder_is_refused_until_the_lease_expires(documents: StateContainer, keyring: str) -> None:
    """A second process is told who is at work, and gets the lease once that one has let it expire."""
    await taken(documents, keyring)

    with pytest.raises(MigrationRunningError) as refused:
        await taken(documents, keyring, "worker-2", now=NOW + timedelta(minutes=4))
    later = await taken(documents, keyring, "worker-2", now=NOW + LASTS)

    assert refused.value.facts["holder"] == "worker-1"
    assert later.holder == "worker-2"


async def test_a_holder_that_was_replaced_gives_nothing_back(documents: StateContainer, keyring: str) -> None:
    """Who let the lease expire and lost it takes nothing from the new holder."""
    lost = await taken(documents, keyring)
    await taken(documents, keyring, "worker-2", now=NOW + LASTS)

    await release(documents, lost)

    assert [lease.holder for lease in await active(documents, keyring, NOW + LASTS)] == ["worker-2"]


async def test_a_released_lease_is_free(documents: StateContainer, keyring: str) -> None:
    """After the release anybody may take it; releasing twice is releasing once."""
    lease = await taken(documents, keyring)

    await release(documents, lease)
    await release(documents, lease)

    assert await active(documents, keyring, NOW) == []
    assert (await taken(documents, keyring, "worker-2")).holder == "worker-2"


async def test_taking_again_is_renewing(documents: StateContainer, keyring: str) -> None:
    """A holder whose answer was lost takes its own lease again."""
    await taken(documents, keyring)

    again = await taken(documents, keyring, now=NOW + timedelta(minutes=1))

    assert again.expires_at == NOW + timedelta(minutes=6)


async def test_of_two_at_once_one_gets_the_lease(documents: StateContainer, keyring: str) -> None:
    """The document decides, not who asked first."""
    answers = await asyncio.gather(
        *(taken(documents, keyring, f"worker-{number}") for number in range(8)), return_exceptions=True
    )

    assert sum(isinstance(answer, MigrationLease) for answer in answers) == 1
    assert sum(isinstance(answer, MigrationRunningError) for answer in answers) == 7


async def test_an_unreadable_lease_is_an_error(documents: StateContainer, keyring: str) -> None:
    """A lease of unknown meaning is not taken for none."""
    await documents.create({"id": f"{KIND}.other", "kind": KIND, "keyring": keyring, "expires": "soon"})

    with pytest.raises(InvariantError):
        await active(documents, keyring, NOW)


@pytest.mark.parametrize("migration", ["", "Encrypt", "a/b", "a" * 101])
async def test_a_name_that_cannot_be_an_id_is_refused(documents: StateContainer, keyring: str, migration: str) -> None:
    """The migration's name is part of the document's id."""
    with pytest.raises(InvalidRequestError):
        await taken(documents, keyring, migration=migration)
