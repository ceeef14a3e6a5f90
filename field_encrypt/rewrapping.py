"""The rewrap of one row: unwrapped, compared with its key check, wrapped under the target, ready to be written.

It may take several reads of the row: a write that lost a race changed nothing, and the row is read and looked at again.
The vault is asked again only where the wrap itself is another.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from field_encrypt.dek import key_check
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_versions import MekVersion
from field_encrypt.row_states import Row
from field_encrypt.unwrapping import NotUnwrapped, Unwrapped

NEW_ALGORITHM = "RSA-OAEP-256"  # of every new wrap; RSA-OAEP (SHA-1) is only ever read
RACES_MAX = 8  # how often a row is read again after a lost race before it is given up
RACE_SECONDS = 0.05  # waited before that, doubled each time: a replica may not have received the other writer's change


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
