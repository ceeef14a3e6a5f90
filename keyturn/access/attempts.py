"""How often one may be refused: 20 times in 10 minutes, counted in the database, so that it holds across instances.

What is counted is refusals only. A forger ends up locked out by address, or by the run that they guess at; an authentic
message or link is not looked up under either. Its refusals are counted by itself, so that none keeps another out.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal

from keyturn.cosmos.state_container import StateContainer, StoredDocument, hashed_id
from keyturn.errors import CallerError, LostRaceError, TooManyAttemptsError

# No keyring can have this name: a forger may name any rotation, or none.
PARTITION = "~attempts"
REFUSALS_MAX = 20
WINDOW = timedelta(minutes=10)


class Refusals(StoredDocument):
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
    documents: StateContainer, names: Sequence[str], refusal: type[CallerError], now: datetime, *, first: bool = False
) -> AsyncIterator[None]:
    """Count what is refused within, in each name; raises TooManyAttemptsError in place of one refusal too many.

    With ``first`` the attempt is not even made where there were too many: only for names that no other caller has.
    """
    if first:
        await _require(documents, names, now)
    try:
        yield
    except refusal:
        await _require(documents, names, now)
        for name in names:
            await _add(documents, name, now)
        raise


async def _require(documents: StateContainer, names: Sequence[str], now: datetime) -> None:
    for name in names:
        refusals = await documents.find(Refusals.from_document, PARTITION, hashed_id(name))
        if refusals is not None and refusals.too_many(now):
            raise _too_many(refusals.since, now)


def _too_many(since: datetime, now: datetime) -> TooManyAttemptsError:
    left = max(1, round((since + WINDOW - now).total_seconds()))
    return TooManyAttemptsError("too many attempts were refused", retryAfterSeconds=left)


async def _add(documents: StateContainer, name: str, now: datetime) -> None:
    def change(found: Refusals | None) -> Refusals:
        if found is None or now >= found.since + WINDOW:
            return Refusals(id=hashed_id(name), count=1, since=now)
        return found.model_copy(update={"count": found.count + 1})

    try:
        await documents.update(Refusals.from_document, PARTITION, hashed_id(name), change)
    except LostRaceError as error:
        # So many at once that this one could not even be counted.
        raise _too_many(now, now) from error
