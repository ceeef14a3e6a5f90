"""The seam between the library and whatever holds the MEK: two methods and nothing else."""

from typing import Protocol

from field_encrypt.dek import Dek
from field_encrypt.rows import WrappedDek


class MekProvider(Protocol):
    """Wraps DEKs under the current version of a MEK and unwraps them under the version that they name."""

    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap under the current version; an error is one of :mod:`field_encrypt.mek_errors`."""
        ...

    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap under exactly the version that is named; an error is one of :mod:`field_encrypt.mek_errors`."""
        ...
