"""What a vault admits, as Microsoft publishes it.

Source: "Azure Key Vault service limits" (learn.microsoft.com/azure/key-vault/general/service-limits): transactions per
vault and region in 10 seconds, all callers together. The limits are weighted and enforced on their sum: what one caller
uses is missing to all others, live traffic included. Managed HSM has no such limits and is not listed.
"""

from collections.abc import Mapping
from typing import NamedTuple

from keyturn.errors import OperatorError

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
    """Return how many operations a second a caller may make that takes this share (above 0, to 1) of the vault.

    Raises:
        OperatorError: no limit is published for such a key.
    """
    limit = LIMITS.get((key_type, key_size))
    if limit is None:
        raise OperatorError(
            f"no limit is published for keys of type {key_type} and {key_size} bits",
            keyType=key_type,
            keySize=key_size,
            known=[f"{kind} {size}" for kind, size in LIMITS],
        )
    return limit.other * share / WINDOW_SECONDS
