"""Keeps a caller within its share of what the vault admits.

"Azure Key Vault service limits" (learn.microsoft.com/azure/key-vault/general/service-limits) are on the weighted sum of
transactions per vault and region in 10 seconds: what one caller uses is missing to all others, live traffic included.
Managed HSM has no such limits and is not listed. How calls keep a share: :class:`field_encrypt.pacing.Pacer`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import MekThrottledError, MekUnavailableError
from field_encrypt.mek_versions import MekVersion
from field_encrypt.pacing import Pacer
from keyturn.errors import OperatorError
from keyturn.key_vault.errors import keyturn_error, vault_failures

WINDOW_SECONDS = 10


class Limit(NamedTuple):
    """Operations in one window: creations, and everything else (get, list, update, wrap, unwrap)."""

    create: int
    other: int


LIMITS: Mapping[tuple[str, int], Limit] = {
    ("RSA", 2048): Limit(create=20, other=4000),
    ("RSA", 3072): Limit(create=20, other=1000),
    ("RSA", 4096): Limit(create=20, other=500),
    ("RSA-HSM", 2048): Limit(create=10, other=2000),
    ("RSA-HSM", 3072): Limit(create=10, other=500),
    ("RSA-HSM", 4096): Limit(create=10, other=250),
}


def operations_per_second(key_type: str, key_size: int, share: float) -> float:
    """Return the operations a second of a share (above 0, to 1); raises OperatorError where no limit is published."""
    limit = LIMITS.get((key_type, key_size))
    if limit is None:
        raise OperatorError(
            f"no limit is published for keys of type {key_type} and {key_size} bits",
            keyType=key_type,
            keySize=key_size,
            known=[f"{kind} {size}" for kind, size in LIMITS],
        )
    return limit.other * share / WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class PacedVault:
    """What a page needs of the vault, at the pace of one caller."""

    mek: MekClient
    pacer: Pacer

    async def fetch_version(self, version: str) -> MekVersion:
        """Fetch a version as it is now; raises KeyturnError of the kind that the failure means."""
        await self.pacer.acquire()
        with vault_failures("get", self.mek.mek_name, version):
            return await self.mek.fetch_version(version)

    async def enabled_versions(self) -> list[str]:
        """List the ids of the enabled versions, newest first; raises KeyturnError as the failure means."""
        await self.pacer.acquire()
        with vault_failures("list versions", self.mek.mek_name):
            return await self.mek.enabled_versions()

    async def unwrap(self, wrapped: bytes, version: str, algorithm: str) -> bytes:
        """Have the vault unwrap, again where it is throttled or does not answer.

        Raises:
            MekError: the vault's refusal of this row, which another attempt does not change.
            UnavailableError: it was throttled or away in every attempt.
        """
        return await self.with_retries(lambda: self.mek.unwrap(wrapped, version, algorithm))

    async def with_retries[T](self, unwrap: Callable[[], Awaitable[T]]) -> T:
        """Make one unwrap at the caller's pace; raises as :meth:`unwrap` does."""
        try:
            return await self.pacer.call(unwrap)
        except (MekThrottledError, MekUnavailableError) as error:
            raise keyturn_error(error, "unwrap") from error
