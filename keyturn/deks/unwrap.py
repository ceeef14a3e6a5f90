"""Opens a row: has the vault unwrap its DEK under the version and algorithm that the row itself names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from field_encrypt.dek import Dek, matches_key_check
from field_encrypt.errors import InvalidDekError
from field_encrypt.mek_errors import MekError, MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from keyturn.deks.page import PageWork
from keyturn.deks.rows import QuarantineReason, Row
from keyturn.key_vault.errors import keyturn_error

# What the vault's answer says about a row; every other answer is about the vault or about us.
REASONS: Mapping[type[MekError], QuarantineReason] = {
    UnwrapRefusedError: QuarantineReason.UNWRAP_REFUSED,
    MekVersionNotFoundError: QuarantineReason.UNKNOWN_VERSION,
    MekVersionDisabledError: QuarantineReason.VERSION_DISABLED,
}


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A row's DEK and the version that unwrapped it."""

    dek: Dek
    version: str


async def unwrap_row(row: Row, work: PageWork) -> Unwrapped | QuarantineReason:
    """Return the row's DEK, or why the row does not open.

    A row without a label is tried under every enabled version, the newest first. Where the row has a key check, what
    was unwrapped must agree with it.

    Raises:
        KeyturnError: the vault refused or failed for a reason that is not the row's.
    """
    if row.reason is not None:
        return row.reason
    candidates: Sequence[str] = [row.version] if row.version else await work.enabled_versions()
    failures = []
    for version in candidates:
        unwrapped = await _open_under(row, version, work)
        if isinstance(unwrapped, Dek):
            return Unwrapped(unwrapped, version)
        failures.append(unwrapped)
    refused = QuarantineReason.UNWRAP_REFUSED  # says the least: any other failure is nearer to the cause
    return next((failure for failure in failures if failure is not refused), refused)


async def _open_under(row: Row, version: str, work: PageWork) -> Dek | QuarantineReason:
    if row.wrapped is None or row.algorithm is None:
        return QuarantineReason.MALFORMED_WRAP
    try:
        dek = Dek(await work.vault.unwrap(row.wrapped, version, row.algorithm))
    except InvalidDekError:
        return QuarantineReason.INVALID_DEK
    except MekError as error:
        if (reason := REASONS.get(type(error))) is None:
            raise keyturn_error(error, "unwrap") from error
        return reason
    if row.key_check is not None and not matches_key_check(dek, row.key_check):
        return QuarantineReason.KEY_CHECK_MISMATCH
    return dek
