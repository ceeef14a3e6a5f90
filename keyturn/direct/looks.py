"""Looks that change nothing: the rows by version, and the versions with their rows."""

from datetime import datetime

from keyturn.contracts.base import Payload
from keyturn.contracts.passes import CensusResult
from keyturn.deks.census import take_census
from keyturn.direct.session import Direct
from keyturn.errors import InvalidRequestError
from keyturn.key_vault.versions import RETIRED_BY_TAG, ROTATION_TAG


class Version(Payload):
    """One version of a keyring's MEK."""

    version: str
    enabled: bool
    current: bool  # what writers wrap under who name none
    created_on: datetime | None
    made_by: str | None  # the rotation
    retired_by: str | None
    rows: int  # that name it


async def census(direct: Direct, keyring: str | None, target: str | None = None) -> CensusResult:
    """Count every row by version; ``stale`` are those that are not on the target, by default the current version.

    Raises:
        UnknownKeyringError: there is no such keyring.
        InvalidRequestError: the key has no such version.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    clients = direct.resources.keyring(keyring)
    if target is not None and target not in (states := await clients.versions.states()):
        raise InvalidRequestError.expected("target", f"one of {', '.join(states)}", named=f"--target {target}")
    wanted = target or await clients.versions.current()
    return await direct.keep_trying(lambda: take_census(clients.rows, wanted, {}))


async def versions(direct: Direct, keyring: str | None) -> list[Version]:
    """Return every version, oldest first, with how many rows name it; raises as :func:`census`."""
    clients = direct.resources.keyring(keyring)
    current, counted = await clients.versions.current(), (await census(direct, keyring)).by_version
    return [
        Version(
            version=name,
            enabled=found.enabled,
            current=name == current,
            created_on=found.created_on,
            made_by=found.tags.get(ROTATION_TAG),
            retired_by=found.tags.get(RETIRED_BY_TAG),
            rows=counted.get(name, 0),
        )
        for name, found in (await clients.versions.states()).items()
    ]
