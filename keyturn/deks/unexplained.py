"""Rows that are not as the last rotation left them, found before any of them is rewrapped.

Anyone can wrap with the public key of a MEK: a writer of the store can plant a DEK that they know, and a rotation would
move it like any other. The service's own time of the last change (``_ts``) tells: only a run of Keyturn changes a row
once it is written. A row is named that changed after the last rotation ended, by no later run, and does not say that it
is new; or that carries a run's id without the key check that rewraps add.

A rollback leaves no run's id: rows without one that changed while it ran, and look as it leaves them, count as its
work. Rows that were copied back from another account carry the fence of the run that copied them. A row that says it
was created since cannot be told from the backend's own: such rows are only counted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from field_encrypt.row_states import FENCE, PREVIOUS_WRAP, ROTATION_ID
from keyturn.cosmos.client import list_feed_ranges
from keyturn.deks.queries import COUNT, Condition, Conditions, property_path, select_rows
from keyturn.deks.store import DekStore

# A writer's clock may be behind the service's when the last rotation ends.
CLOCK_SLACK = timedelta(minutes=10)


class Since(NamedTuple):
    """What is known to have changed rows: the last rotation that completed, and the runs after it."""

    completed_at: datetime
    runs: Mapping[str, datetime]  # id of that rotation, of a later one or of a later migration -> when it ended
    rollbacks: Sequence[tuple[datetime, datetime]] = ()  # from when to when each ran
    copies: Sequence[tuple[int, datetime, datetime]] = ()  # of rows from another account: fence, from when, to when


class Provenance:
    """The conditions for one keyring; without a completed rotation nothing is new, and nothing changed since."""

    def __init__(self, store: DekStore, since: Since | None) -> None:
        self._store = store
        names = store.keyring.row_names
        ours = Conditions(store.keyring, "").ours
        rotation = property_path(ROTATION_ID)
        moved = f"IS_STRING({rotation})"
        key_check = property_path(names.key_check)
        self.without_key_check = ours.having(f"{moved} AND NOT IS_STRING({key_check})")
        self.new: Condition | None = None
        self.changed: Condition | None = None
        if since is not None:
            created = property_path(names.created_at)
            says_new = f"(NOT {moved} AND IS_STRING({created}) AND {created} >= @newFrom)"
            values: dict[str, str | int] = {
                "since": int(since.completed_at.timestamp()),
                "newFrom": (since.completed_at - CLOCK_SLACK).isoformat(timespec="seconds")[:19],
            }
            explained = [says_new]
            for number, (run_id, ended_at) in enumerate(since.runs.items()):
                explained.append(f"({moved} AND {rotation} = @r{number} AND c._ts <= @e{number})")
                values |= {f"r{number}": run_id, f"e{number}": int(ended_at.timestamp()) + 1}
            previous, fence = property_path(PREVIOUS_WRAP), property_path(FENCE)
            # Release 0.1 took the previous wrap away; since then it stays in exchange, with the fence of the rollback.
            put_back = f"NOT {moved} AND IS_STRING({key_check}) AND (NOT IS_DEFINED({previous}) OR IS_NUMBER({fence}))"
            for number, (began_at, ended_at) in enumerate(since.rollbacks):
                explained.append(f"({put_back} AND c._ts >= @b{number} AND c._ts <= @t{number})")
                values |= {f"b{number}": int(began_at.timestamp()), f"t{number}": int(ended_at.timestamp()) + 1}
            for number, (token, began_at, ended_at) in enumerate(since.copies):
                copied = f"IS_NUMBER({fence}) AND {fence} = @c{number}"
                explained.append(f"({copied} AND c._ts >= @d{number} AND c._ts <= @u{number})")
                values |= {f"c{number}": token, f"d{number}": int(began_at.timestamp())}
                values |= {f"u{number}": int(ended_at.timestamp()) + 1}
            self.new = ours.having(f"c._ts >= @since AND {says_new}", **values)
            self.changed = ours.having(f"c._ts >= @since AND NOT ({' OR '.join(explained)})", **values)

    async def count(self, condition: Condition) -> int:
        """Count the rows of all feed ranges for which the condition holds."""
        container = self._store.container
        ranges = await list_feed_ranges(container)
        return sum([sum(await select_rows(container, condition, COUNT, feed_range=each)) for each in ranges])

    async def first(self, condition: Condition, limit: int) -> list[str]:
        """Return the ids of the first rows for which the condition holds."""
        return [str(found) for found in await select_rows(self._store.container, condition, f"TOP {limit} VALUE c.id")]
