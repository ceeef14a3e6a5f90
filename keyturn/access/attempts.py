"""How often one may be refused: 20 times in 10 minutes, counted in the database, so that it holds across instances.

What is counted is refusals only. A forger therefore ends up locked out by name or address, while whoever has a secret
or a link that holds is still listened to: their own refusals are counted apart.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Literal

from keyturn.contracts import Payload
from keyturn.cosmos.state_container import Documents
from keyturn.errors import CallerError, TooManyAttemptsError

# No keyring can have this name: a forger may name any rotation, or none.
PARTITION = "~attempts"
REFUSALS_MAX = 20
WINDOW = timedelta(minutes=10)
_RACES_MAX = 8


class Refusals(Payload):
    """How often one name was refused since the window began."""

    id: str
    kind: Literal["refusals"] = "refusals"
    keyring: str = PARTITION
    count: int
    since: datetime
    ttl: int = int(2 * WINDOW.total_seconds())  # Cosmos DB removes the document by itself

    def too_many(self, now: datetime) -> bool:
        """Tell whether no more attempts are looked at."""
        return self.count >= REFUSALS_MAX and now < self.since + WINDOW


@asynccontextmanager
async def counted(
    documents: Documents, names: Sequence[str], refusal: type[CallerError], now: datetime, *, first: bool = False
) -> AsyncIterator[None]:
    """Count what is refused within, in each name; raises TooManyAttemptsError in place of one refusal too many.

    With ``first`` the attempt is not even made where there were too many: for what only an authentic caller can be
    refused.
    """
    if first:
        for name in names:
            _require(await _read(documents, name), now)
    try:
        yield
    except refusal:
        for name in names:
            _require(await _read(documents, name), now)
        for name in names:
            await _add(documents, name, now)
        raise


def _require(found: tuple[Refusals, str] | None, now: datetime) -> None:
    if found is not None and found[0].too_many(now):
        raise _too_many(found[0], now)


def _too_many(refusals: Refusals, now: datetime) -> TooManyAttemptsError:
    left = max(1, round((refusals.since + WINDOW - now).total_seconds()))
    return TooManyAttemptsError("too many attempts were refused", retryAfterSeconds=left)


async def _add(documents: Documents, name: str, now: datetime) -> None:
    for attempt in range(_RACES_MAX):
        found = await _read(documents, name)
        if found is None:
            if await documents.create(Refusals(id=_id(name), count=1, since=now).to_payload()):
                return
        else:
            refusals, etag = found
            over = now >= refusals.since + WINDOW
            changed = {"count": 1, "since": now} if over else {"count": refusals.count + 1}
            if await documents.replace(refusals.model_copy(update=changed).to_payload(), etag) is not None:
                return
        await asyncio.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))  # noqa: S311 - spreads retries only
    # So many at once that this one could not even be counted.
    raise _too_many(Refusals(id="", count=REFUSALS_MAX, since=now), now)


async def _read(documents: Documents, name: str) -> tuple[Refusals, str] | None:
    document: dict[str, Any] | None = await documents.read(PARTITION, _id(name))
    if document is None:
        return None
    own = {key: value for key, value in document.items() if not key.startswith("_")}
    return Refusals.model_validate(own), str(document["_etag"])


def _id(name: str) -> str:
    # Hashed: a name may hold characters that a document's id may not.
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()
