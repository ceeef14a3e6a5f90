"""Looks that change nothing: the rows by version, the versions with their rows, and a whole verification."""

from datetime import datetime
from typing import Any

from keyturn.contracts.base import Payload
from keyturn.contracts.passes import CensusResult
from keyturn.deks.census import take_census
from keyturn.diagnosis.orphans import OrphanRequest, scan_orphans
from keyturn.diagnosis.verification import VerificationRequest, verify_part
from keyturn.direct.session import Direct
from keyturn.errors import InvalidRequestError
from keyturn.http import parse
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
    wanted = target or await clients.versions.in_use()
    return await direct.keep_trying(lambda: take_census(clients.rows, wanted, {}))


async def versions(direct: Direct, keyring: str | None) -> list[Version]:
    """Return every version, oldest first, with how many rows name it; raises as :func:`census`."""
    clients = direct.resources.keyring(keyring)
    current, counted = await clients.versions.in_use(), (await census(direct, keyring)).by_version
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


async def verify(direct: Direct, keyring: str | None, body: dict[str, Any]) -> dict[str, Any]:
    """Verify a part of the keyring, as the app's route of that name does, and raise as :func:`verify_part` does."""
    resources = direct.resources
    found = await verify_part(
        resources.keyring(keyring),
        resources.run_store,
        resources.settings.policy,
        parse(VerificationRequest, body),
        credential=resources.credential,
        now=direct.now(),
    )
    return found.to_payload()


async def missing_deks(direct: Direct, keyring: str | None, query: dict[str, str | None]) -> dict[str, Any]:
    """Look at some more documents for DEKs that the store lacks, as :func:`scan_orphans` does."""
    request = parse(OrphanRequest, {name: value for name, value in query.items() if value is not None})
    found = await scan_orphans(direct.resources.keyring(keyring), request, now=direct.now())
    return found.to_payload()
