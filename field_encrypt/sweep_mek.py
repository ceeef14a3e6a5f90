"""The MEK as a sweep uses it: each call at the sweep's pace, each new wrap proven before it is written."""

import asyncio
from datetime import UTC, datetime

from field_encrypt.dek import Dek
from field_encrypt.errors import InvalidDekError
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import UnwrapRefusedError
from field_encrypt.mek_versions import MekVersion
from field_encrypt.pacing import Pacer
from field_encrypt.rewrapping import NewWrap, wrap_again
from field_encrypt.row_states import QuarantineReason, Row
from field_encrypt.unwrapping import NotUnwrapped, Unwrapped, unwrap_row


class SweepMek:
    """The versions of a MEK and the one that is the target."""

    def __init__(self, mek: MekClient, target: MekVersion, pacer: Pacer, *, prove: bool) -> None:
        self._mek = mek
        self._target = target
        self._pacer = pacer
        self._prove = prove
        self._enabled: asyncio.Task[list[str]] | None = None

    async def unwrap(self, row: Row) -> Unwrapped | NotUnwrapped:
        """Return the row's DEK, or why the row does not unwrap to it.

        Raises:
            MekError: the vault refused or failed for a reason that is not the row's.
        """
        return await unwrap_row(row, self._call, self._enabled_versions)

    async def wrap(self, unwrapped: Unwrapped) -> NewWrap | NotUnwrapped:
        """Wrap under the target, and open the wrap again to compare: what does not hold the DEK is not written.

        Raises:
            MekError: nothing may be wrapped under the target; the vault refused or failed.
        """
        new = wrap_again(unwrapped, self._mek, self._target, now=datetime.now(UTC))
        if not self._prove:
            return new
        try:
            proven = Dek(await self._call(new.wrapped, new.version, new.algorithm))
        except (InvalidDekError, UnwrapRefusedError):
            return NotUnwrapped(QuarantineReason.UNWRAP_REFUSED, new.version)
        return new if proven == unwrapped.dek else NotUnwrapped(QuarantineReason.KEY_CHECK_MISMATCH, new.version)

    async def _call(self, wrapped: bytes, version: str, algorithm: str) -> bytes:
        return await self._pacer.call(lambda: self._mek.unwrap(wrapped, version, algorithm))

    async def _enabled_versions(self) -> list[str]:
        """Return the enabled versions, newest first, for rows that name none: listed once."""
        if self._enabled is None:
            self._enabled = asyncio.ensure_future(self._pacer.call(self._mek.enabled_versions))
        return await self._enabled
