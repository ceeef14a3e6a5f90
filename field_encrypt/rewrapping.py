"""The rewrap of one row: unwrapped, compared with its key check, wrapped under the target, ready to be written.

The vault unwraps, under the version and algorithm that the row names. A rewrap may take several reads of the row: a
write that lost a race changed nothing, and the row is read and looked at again. The vault is asked again only where the
wrap itself is another.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from field_encrypt.dek import Dek, key_check, matches_key_check
from field_encrypt.errors import InvalidDekError
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import MekError, MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.mek_versions import MekVersion
from field_encrypt.row_states import QuarantineReason, Row

NEW_ALGORITHM = "RSA-OAEP-256"  # of every new wrap; RSA-OAEP (SHA-1) is only ever read
RACES_MAX = 8  # how often a row is read again after a lost race before it is given up
RACE_SECONDS = 0.05  # waited before that, doubled each time: a replica may not have received the other writer's change

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


@dataclass(frozen=True, slots=True)
class NewWrap:
    """A row's DEK under another version, and what is written with it."""

    version: str
    wrapped: bytes = field(repr=False)
    algorithm: str
    key_check: bytes = field(repr=False)
    old_version: str  # the version that unwrapped the row, which an unlabelled row does not name
    run_id: str | None  # of the run that rewraps, if there are runs
    fence: int | None  # its fencing token: only a row that no later run has changed is written; None is no fence
    rewrapped_at: datetime


def wrap_again(
    unwrapped: Unwrapped,
    mek: MekClient,
    target: MekVersion,
    *,
    now: datetime,
    run_id: str | None = None,
    fence: int | None = None,
) -> NewWrap:
    """Wrap a row's DEK with the target's public key, in this process.

    Raises:
        MekError: nothing may be wrapped under the version.
    """
    return NewWrap(
        version=target.version,
        wrapped=mek.wrap(unwrapped.dek.reveal(), target, NEW_ALGORITHM),
        algorithm=NEW_ALGORITHM,
        key_check=key_check(unwrapped.dek),
        old_version=unwrapped.version,
        run_id=run_id,
        fence=fence,
        rewrapped_at=now,
    )


class RowRewrap:
    """One row on its way to the target; ``unwrap`` opens it as it was read, ``wrap`` makes the new wrap."""

    def __init__(
        self,
        unwrap: Callable[[Row], Awaitable[Unwrapped | NotUnwrapped]],
        wrap: Callable[[Unwrapped], Awaitable[NewWrap | NotUnwrapped]],
    ) -> None:
        self._unwrap = unwrap
        self._wrap = wrap
        self._prepared: tuple[Row, NewWrap] | None = None

    def written_from(self, row: Row) -> Row | None:
        """Return what the row was before our write if it holds our wrap: only the answer of that write was lost.

        The SDK repeats a write whose connection broke, and that second attempt loses the race against the first. A wrap
        is randomised, so no other writer can have written the same bytes.
        """
        if self._prepared is None:
            return None
        made_from, new = self._prepared
        return made_from if row.on_target and row.wrapped == new.wrapped else None

    async def prepare(self, row: Row) -> NewWrap | NotUnwrapped:
        """Return what is to be written into the row as it is now, or why it cannot be rewrapped.

        Raises:
            MekError: or what ``unwrap`` and ``wrap`` raise where the reason is not the row's.
        """
        if self._prepared is not None and _same_wrap(self._prepared[0], row):
            return self._prepared[1]
        unwrapped = await self._unwrap(row)
        new = unwrapped if isinstance(unwrapped, NotUnwrapped) else await self._wrap(unwrapped)
        if isinstance(new, NewWrap):
            self._prepared = row, new
        return new


def _same_wrap(one: Row, other: Row) -> bool:
    """Tell whether a wrap made for one row is good for the other, which may differ in what a rewrap leaves alone."""
    parts = attrgetter("wrapped", "version", "algorithm", "key_check")
    return bool(parts(one) == parts(other))
