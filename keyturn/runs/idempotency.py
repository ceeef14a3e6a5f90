"""Idempotency keys of start requests: the claim is written before the work, and names the run it will be.

A request that died half-way is therefore finished, not repeated, by the same request coming again. A key is its
caller's own, for one keyring: no other caller can use it up, or learn that it was used.
"""

from datetime import datetime, timedelta
from typing import Literal

from keyturn.contracts.base import RunId
from keyturn.cosmos.state_container import StateContainer, StoredDocument, hashed_id
from keyturn.errors import IdempotencyConflictError, InvalidRequestError

# No keyring can have this name.
PARTITION = "~idempotency"
KEEP = timedelta(days=7)
KEY_MAX = 255


class Claim(StoredDocument):
    """Who used a key first, and for what."""

    id: str
    kind: Literal["idempotency"] = "idempotency"
    keyring: str = PARTITION
    request_hash: str
    run_id: RunId
    claimed_at: datetime
    ttl: int = int(KEEP.total_seconds())  # Cosmos DB removes the document by itself


async def claim(
    documents: StateContainer, key: str, *, caller: str, keyring: str, request_hash: str, run_id: str, now: datetime
) -> str:
    """Return the id of the run that this key stands for: the given one at its first use.

    Raises:
        InvalidRequestError: the key is empty, too long, or not printable ASCII.
        IdempotencyConflictError: the key was used for another request.
    """
    if not (0 < len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
        expected = f"1 to {KEY_MAX} printable ASCII characters"
        raise InvalidRequestError(f"Idempotency-Key: expected {expected}", field="Idempotency-Key", expected=expected)
    own = Claim(id=hashed_id(f"{keyring}\n{key}\n{caller}"), request_hash=request_hash, run_id=run_id, claimed_at=now)

    def change(found: Claim | None) -> Claim:
        if found is not None and found.request_hash != request_hash:
            raise IdempotencyConflictError(
                "the Idempotency-Key was used for another request",
                idempotencyKey=key,
                hint="use a new Idempotency-Key for a new request",
            )
        return found or own

    return (await documents.update(Claim.from_document, PARTITION, own.id, change) or own).run_id
