"""The budget of a vault: one document for each vault holds what each run in flight may take of it, and until when.

Every pass claims its share before its first wave of pages, asks anew with every wave and gives the claim back with its
last. A share is the budget divided by the runs that claim, and never more than the others leave at present: a newcomer
holds nothing until they have asked again, which is when each learns that its share is smaller. What is held together
is therefore within the budget at any time, and a run alone has the whole.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from keyturn.contracts import base, migrations
from keyturn.cosmos.state_container import StateContainer, StoredDocument, hashed_id
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord

# No keyring can have this name: a vault serves several.
PARTITION = "~vaults"
# Beside the time that a wave's rows take, for retries: a page that the vault refuses backs off for half a minute, and
# is run again after a few. The claim of a run that died is free after that, and others make do with less until then.
LASTS = timedelta(minutes=10)


class BudgetClaim(base.Payload):
    """What one run holds; rates are in operations a second."""

    budget: float  # by the run's own policy; the smallest of those claimed holds for all
    granted: float  # 0: it waits for others to give up a part of theirs
    valid_until: datetime


class VaultBudget(StoredDocument):
    """The claims on one vault by the ids of their runs."""

    id: str
    kind: Literal["vault-budget"] = "vault-budget"
    keyring: str = PARTITION
    vault: str
    claims: dict[str, BudgetClaim] = Field(default_factory=dict)


def granted(others: list[BudgetClaim], budget: float, wanted: float) -> float:
    """Return what a run may take that wants so much, beside the others; 0 while they hold too much of its share."""
    budget = min([budget, *(claim.budget for claim in others)])
    share = min(wanted, budget / (len(others) + 1))
    free = budget - sum(claim.granted for claim in others)
    # Nothing rather than a remainder: a whole wave at a crawl takes longer than waiting for the others' next wave.
    return min(share, free) if free >= share / 2 else 0.0


async def claim(
    documents: StateContainer, vault: str, run_id: str, policy: base.Policy, wanted: float, now: datetime
) -> float:
    """Claim, or renew the claim, for the run's next wave; returns the operations a second that it may use.

    0 says that the run is registered and has to ask again. ``vault`` is the vault's URL.

    Raises:
        LostRaceError: others kept changing the claims.
        KeyturnError: of the kind that the failure means.
    """
    whole = policy.vault_operations_per_second

    def change(found: VaultBudget | None) -> VaultBudget:
        others = {} if found is None else _live(found, run_id, now)
        rate = granted(list(others.values()), whole, wanted)
        rows = timedelta(seconds=2 * policy.page_rows * policy.window_pages / (rate or whole))
        mine = BudgetClaim(budget=whole, granted=rate, valid_until=now + LASTS + rows)
        return (found or _empty(vault)).model_copy(update={"claims": {**others, run_id: mine}})

    written = await documents.update(VaultBudget.from_document, PARTITION, _empty(vault).id, change)
    return 0.0 if written is None else written.claims[run_id].granted


async def give_back(documents: StateContainer, vault: str, run_id: str, now: datetime) -> None:
    """Give the run's claim back, and what others let expire; nothing happens where there is none.

    Raises:
        LostRaceError: others kept changing the claims.
        KeyturnError: of the kind that the failure means.
    """

    def change(found: VaultBudget | None) -> VaultBudget | None:
        if found is None or run_id not in found.claims:
            return None
        return found.model_copy(update={"claims": _live(found, run_id, now)})

    await documents.update(VaultBudget.from_document, PARTITION, _empty(vault).id, change, confirm=True)


def vaults_of(record: RunRecord, url_of: Callable[[str], str]) -> set[str]:
    """Return the URLs of the vaults that a run asks; ``url_of`` tells a keyring's."""
    work = record.work if isinstance(record, MigrationRecord) else None
    target = work.target_keyring if isinstance(work, migrations.Reencrypt) else record.keyring
    return {url_of(record.keyring), url_of(target)}


def _live(found: VaultBudget, run_id: str, now: datetime) -> dict[str, BudgetClaim]:
    """Return the claims of the other runs that have not expired."""
    return {run: held for run, held in found.claims.items() if run != run_id and held.valid_until > now}


def _empty(vault: str) -> VaultBudget:
    host = urlsplit(vault).netloc.lower().removesuffix(":443")
    return VaultBudget(id=hashed_id(host), vault=host)
