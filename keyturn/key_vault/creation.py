"""Creates the rotation's new MEK version: exactly one, whatever crashes, and whatever is retried.

1. A version that carries the rotation's tag is taken. A process that froze may have made a second one: of several it is
   the vault's current one, because writers wrap under that one.
2. Otherwise the vault's current version is adopted, if an unfinished rotation made it and others are still enabled: its
   rows need not move again.
3. Otherwise the intent to create is stored first, conditionally: of two attempts that run at once, one creates. Half of
   ``creation_settle`` after the intent it gives up; the other half is for what the vault still does then. A key that
   has as many versions as are ever made gets no other.
4. An attempt that finds the intent of an earlier one waits until that one's creation can no longer take effect, looking
   for the version all the time, before it renews the intent and creates the version.
5. It is created disabled, so that no writer can use a version of which there is no backup; once there is one,
   ``keyturn.rotation.new_version`` enables it.
6. The version is used once it can be read, and once a random DEK wrapped under it came back from the vault.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from field_encrypt.dek import Dek
from field_encrypt.mek_errors import MekVersionDisabledError
from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from keyturn.clock import Clock
from keyturn.contracts.steps import CreateVersionInput
from keyturn.errors import (
    InvariantError,
    KeyturnError,
    NotSettledError,
    OperatorError,
    ResourceMissingError,
    TransientError,
)
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.versions import (
    ANOTHER_KEY,
    ROTATION_TAG,
    UNUSED_TAG,
    VERSIONS_MAX,
    MekVersions,
    is_unused,
)

POLL_SECONDS = 1.0
READABLE_WITHIN = timedelta(minutes=1)  # no propagation delay is documented for a region; failover takes longer
ATTEMPTS = 3  # creations that one run of the activity begins


class CreationIntent(Protocol):
    """Where the intent to create is kept, beside the run's record."""

    async def declared(self) -> datetime | None:
        """Return when the intent in force was written, or None."""
        ...

    async def declare(self, at: datetime, *, replacing: datetime | None) -> bool:
        """Write the intent if the one in force is still the one that is named; tells whether it was written."""
        ...


async def create_version(
    versions: MekVersions,
    request: CreateVersionInput,
    intent: CreationIntent,
    clock: Clock,
    adoptable: Collection[str] = (),
) -> str:
    """Return the rotation's version: found, adopted or created; it is disabled where it was never in use.

    ``adoptable`` are the ids and the versions of the unfinished rotations whose version may be adopted.

    Raises:
        ResourceMissingError: the MEK does not exist; only a version of an existing key is ever created.
        OperatorError: the MEK has as many versions as are ever made.
        NotSettledError: the vault's answers were lost.
        KeyturnError: of the kind that the failure means.
    """
    lost: TransientError | None = None
    for _ in range(ATTEMPTS):
        declared = await intent.declared()
        until = declared + request.creation_settle if declared else clock.now()
        states = await versions.states()
        while (found := await own_version(versions, request.run.run_id, states)) is None and clock.now() < until:
            await clock.sleep(POLL_SECONDS)
            states = await versions.states()
        if found is not None:
            return found
        current = await versions.fetch(await versions.current())
        enabled = current.wrap_problem() is None or is_unused(current)
        usable = enabled and current.key_size == request.key_size
        unfinished = current.version in adoptable or current.tags.get(ROTATION_TAG) in adoptable
        # Without another version that is enabled, the rotation that made this one has nothing left to be done.
        if usable and unfinished and any(one.enabled for one in states.values() if one.version != current.version):
            return current.version
        if len(states) >= VERSIONS_MAX:
            raise OperatorError("no more versions of the MEK are made", hint=ANOTHER_KEY, versions=len(states))
        if await intent.declare(at := clock.now(), replacing=declared):
            try:
                return await _create(versions, request, current, at + request.creation_settle / 2, clock)
            except TransientError as error:  # the answer may be lost, not the creation
                lost = error
    raise NotSettledError(
        "the new version could not be created, or its creation not be seen", rotationId=request.run.run_id
    ) from lost


async def own_version(
    versions: MekVersions, run_id: str, states: Mapping[str, MekVersionProperties] | None = None
) -> str | None:
    """Return the current or newest of the versions with the rotation's tag, if there is one."""
    states = await versions.states() if states is None else states
    own = [name for name, state in states.items() if state.tags.get(ROTATION_TAG) == run_id]
    if len(own) > 1 and (current := await versions.current()) in own:
        return current
    return own[-1] if own else None


async def _create(
    versions: MekVersions, request: CreateVersionInput, like: MekVersion, until: datetime, clock: Clock
) -> str:
    if (left := (until - clock.now()).total_seconds()) <= 0:  # another run takes this creation for lost soon
        raise NotSettledError("the intent to create took too long to write", rotationId=request.run.run_id)
    tags = {ROTATION_TAG: request.run.run_id, UNUSED_TAG: request.run.run_id}
    created = await versions.create(request.key_size, like, tags, answer_within=left)
    # An earlier creation that was given up may have taken effect late; the next run would take that version.
    return await own_version(versions, request.run.run_id) or created


async def readable(versions: MekVersions, version: str, clock: Clock) -> MekVersion:
    """Wait until the vault gives the version, and return it; raises NotSettledError where it does not."""

    async def fetched() -> MekVersion:
        return await versions.fetch(version)

    return await _wait_for(fetched, version, clock)


async def prove(versions: MekVersions, version: str, clock: Clock) -> None:
    """Wait until a random DEK that is wrapped locally under the version comes back from the vault.

    Raises:
        NotSettledError: the version is not usable yet.
        KeyturnError: of the kind that the failure means.
    """
    dek = Dek.generate()

    async def returned() -> Dek | None:
        with vault_failures("prove the new version", versions.mek.mek_name, version):
            if not (fetched := await versions.mek.fetch_version(version)).enabled:
                return None
            wrapped = versions.mek.wrap(dek.reveal(), fetched)
            return Dek(await versions.mek.unwrap(wrapped, version, "RSA-OAEP-256"))

    if await _wait_for(returned, version, clock) != dek:
        raise InvariantError("the vault did not return the DEK that was wrapped", version=version)


async def _wait_for[T](look: Callable[[], Awaitable[T | None]], version: str, clock: Clock) -> T:
    """Look until there is an answer: a version that was just made or enabled is not so everywhere at once."""
    deadline = clock.now() + READABLE_WITHIN
    while True:
        failure: KeyturnError | None = None
        try:
            if (answer := await look()) is not None:
                return answer
        except (TransientError, ResourceMissingError) as error:
            failure = error
        except OperatorError as error:
            if not isinstance(error.__cause__, MekVersionDisabledError):
                raise
            failure = error
        if clock.now() >= deadline:
            raise NotSettledError("the new version is not usable yet", version=version) from failure
        await clock.sleep(POLL_SECONDS)
