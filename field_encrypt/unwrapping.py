"""Unwraps a row: by the vault, under the version and algorithm that the row names, compared with its key check."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from field_encrypt.dek import Dek, matches_key_check
from field_encrypt.errors import InvalidDekError
from field_encrypt.mek_errors import MekError, MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.row_states import QuarantineReason, Row

# What the vault's answer says about a row; every other answer is about the vault or about us.
_REASONS: Mapping[type[MekError], QuarantineReason] = {
    UnwrapRefusedError: QuarantineReason.UNWRAP_REFUSED,
    MekVersionNotFoundError: QuarantineReason.UNKNOWN_VERSION,
    MekVersionDisabledError: QuarantineReason.VERSION_DISABLED,
}

# Has the vault unwrap these bytes under a version with an algorithm; raises MekError.
type Unwrap = Callable[[bytes, str, str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A row's DEK and the version that unwrapped it."""

    dek: Dek
    version: str


@dataclass(frozen=True, slots=True)
class NotUnwrapped:
    """Why a row does not unwrap to its DEK; ``dek`` is the DEK that it unwraps to if the key check is another's."""

    reason: QuarantineReason
    version: str | None = None
    dek: Dek | None = None


async def unwrap_row(
    row: Row, unwrap: Unwrap, candidates: Callable[[], Awaitable[Sequence[str]]]
) -> Unwrapped | NotUnwrapped:
    """Return the row's DEK, or why the row does not unwrap to it.

    A row without a label is tried under the candidates, in their order: versions that may have wrapped it.

    Raises:
        MekError: the vault refused or failed for a reason that is not the row's.
    """
    if row.reason is not None:
        return NotUnwrapped(row.reason)
    failure: NotUnwrapped | None = None
    for version in [row.version] if row.version else await candidates():
        result = await unwrap_under(version, row, unwrap)
        if isinstance(result, Unwrapped):
            return result
        # A refusal says the least: any other failure is nearer to the cause.
        if failure is None or failure.reason is QuarantineReason.UNWRAP_REFUSED:
            failure = result
    return failure or NotUnwrapped(QuarantineReason.UNWRAP_REFUSED)


async def unwrap_under(version: str, row: Row, unwrap: Unwrap) -> Unwrapped | NotUnwrapped:
    """Return the row's DEK as this version unwraps it, or why it does not.

    Raises:
        MekError: the vault refused or failed for a reason that is not the row's.
    """
    if row.reason is not None or row.wrapped is None or row.algorithm is None:
        return NotUnwrapped(row.reason or QuarantineReason.MALFORMED_WRAP, version)
    try:
        dek = Dek(await unwrap(row.wrapped, version, row.algorithm))
    except InvalidDekError:
        return NotUnwrapped(QuarantineReason.INVALID_DEK, version)
    except MekError as error:
        if (reason := _REASONS.get(type(error))) is None:
            raise
        return NotUnwrapped(reason, version)
    if row.key_check is not None and not matches_key_check(dek, row.key_check):
        return NotUnwrapped(QuarantineReason.KEY_CHECK_MISMATCH, version, dek)
    return Unwrapped(dek, version)
