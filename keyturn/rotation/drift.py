"""Drift: what no run is at work on, looked for in every keyring by the schedule's tick.

Rows that name a version which is disabled, or which the vault does not have: they cannot be read. And versions that
are enabled although a rotation has retired them. To count a large store costs, so what was found is kept in one
document of the keyring's partition, and the next look waits until it is 20 hours old.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from keyturn.contracts import base, characters
from keyturn.contracts.steps import NotifyInput
from keyturn.cosmos.state_container import StateContainer, StoredDocument
from keyturn.deks.census import LABELS_MAX, OTHER_LABELS, take_census
from keyturn.deks.store import DekStore
from keyturn.ids import RunKind
from keyturn.key_vault.versions import TEMPORARY_FOR_TAG, MekVersions
from keyturn.notifications.channels import Message
from keyturn.notifications.events import DRIFT, EVENTS, runbook
from keyturn.notifications.notifier import Notifier
from keyturn.notifications.rotation_messages import NAMED
from keyturn.rotation.retirement import retirements_in_force
from keyturn.runs.evidence_summary import rows as in_sentences
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from keyturn.telemetry import names, signals

AGAIN_AFTER = timedelta(hours=20)  # less than a day: no daily tick is left out for having come a little early
REPEATED = timedelta(days=7)  # how often people are told of what is still there
ID = "drift"

type Versions = Annotated[list[str], Field(max_length=LABELS_MAX)]


class Drift(base.Payload):
    """What a look has found."""

    at: datetime
    since: datetime | None = None  # when the newest part of it was found; null where nothing was
    rows: Annotated[dict[str, int], Field(max_length=LABELS_MAX)]  # by unusable version, those with the most of them
    missing: Versions  # those of these versions that the vault does not have
    enabled: Versions  # retired, and enabled by hand
    mend: str | None  # the command that fixes it; null where there is none

    @property
    def parts(self) -> set[tuple[str, str]]:
        """Everything that was found, without how much of it."""
        return {("rows", name) for name in self.rows} | {("enabled", name) for name in self.enabled}


class DriftRecord(StoredDocument):
    """The last look at a keyring, and what was told of it."""

    id: str = ID
    kind: Literal["drift"] = "drift"
    keyring: str
    drift: Drift
    told: str | None = None  # names the finding, and the week in which it was told


async def read_drift(documents: StateContainer, keyring: str) -> DriftRecord | None:
    """Return the last look at the keyring, or None; raises KeyturnError of the kind that the store's answer means."""
    return await documents.find(DriftRecord.from_document, keyring, ID)


async def tell_drift(
    notifier: Notifier, runs: RotationStore, keyring: str, store: DekStore, versions: MekVersions, now: datetime
) -> None:
    """Look at the keyring unless that was done lately, and tell what was found: once, and again every week.

    Raises:
        UnavailableError: no message could be sent; the next tick tries again.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    documents = runs.documents
    last = await read_drift(documents, keyring)
    if last is None or now - last.drift.at >= AGAIN_AFTER:
        found, told = await find_drift(runs, keyring, store, versions, now), None if last is None else last.told
        if last is not None and last.drift.since is not None and found.parts <= last.drift.parts:
            found = found.model_copy(update={"since": found.since and last.drift.since})  # nothing of it is new
        last = DriftRecord(keyring=keyring, drift=found, told=told)
        await _store(documents, last)
    found = last.drift
    signals.record(names.DRIFT_ROWS, sum(found.rows.values()), {names.KEYRING: keyring})
    signals.record(names.DRIFT_VERSIONS, len(found.enabled), {names.KEYRING: keyring})
    if found.since is None or last.told == (key := f"{found.since.isoformat()}:{(now - found.since) // REPEATED}"):
        return
    detail = f"{in_sentences(sum(found.rows.values()))} unreadable, retired but enabled: {len(found.enabled)}"
    of_keyring = base.RunRef(run_id=keyring, keyring=keyring, fencing_token=0)
    await notifier.tell_of_keyring(NotifyInput(run=of_keyring, key=key, event=DRIFT, detail=detail), _message(last))
    # Afterwards: who dies in between tells it twice, which harms less than never.
    await _store(documents, last.model_copy(update={"told": key}))


async def _store(documents: StateContainer, looked: DriftRecord) -> None:
    await documents.update(DriftRecord.from_document, looked.keyring, ID, lambda _found: looked)


async def find_drift(runs: RotationStore, keyring: str, store: DekStore, versions: MekVersions, now: datetime) -> Drift:
    """Count the rows, and compare the versions with the records.

    The vault is asked before and after, and what was in order at either time is no drift: rotations go on meanwhile.

    Raises:
        NotSettledError: writers kept changing the store while it was counted.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    before = await versions.states()
    census = await take_census(store, next(reversed(before), ""), {})
    newest = await MigrationStore(runs.documents).newest(keyring, limit=1)
    working = {record.run_id for record in newest if not record.ended}  # a restore enables versions for its time
    retired = retirements_in_force(await _retirements(runs.documents, keyring))
    after = await versions.states()
    usable = [{name for name, found in states.items() if found.enabled} for states in (before, after)]
    unusable = {name: count for name, count in census.by_version.items() if name not in {OTHER_LABELS}.union(*usable)}
    rows = dict(Counter(unusable).most_common(LABELS_MAX))
    temporary = {name for name, found in after.items() if found.tags.get(TEMPORARY_FOR_TAG) in working}
    enabled = sorted((retired.keys() & usable[0] & usable[1]) - temporary)[:LABELS_MAX]
    mend = f"keyturn restore --keyring {keyring} --reason drift --wait" if rows.keys() & after else None
    since, missing = now if rows or enabled else None, sorted(rows.keys() - after.keys())
    return Drift(at=now, since=since, rows=rows, missing=missing, enabled=enabled, mend=mend)


async def _retirements(documents: StateContainer, keyring: str) -> list[RotationRecord]:
    """Return the rotations, however old, that have disabled something; what others came to says nothing here."""
    query = "SELECT * FROM c WHERE c.kind = @kind AND IS_STRING(c.retired[0])"
    found = await documents.query(keyring, query, {"@kind": RunKind.ROTATION})
    return [RotationRecord.from_document(document) for document in found]


def _message(looked: DriftRecord) -> Message:
    found, lines = looked.drift, list[str]()
    counted = {name: f"- {name}: {in_sentences(count)}" for name, count in found.rows.items()}
    if found.mend is not None:
        disabled = [line for name, line in counted.items() if name not in found.missing]
        lines += ["Rows name versions that are disabled, so nobody can read them:", *disabled[:NAMED]]
        lines += ["This moves them onto the current version, once another person has approved it:", "", found.mend, ""]
    if found.missing:
        lines += ["Rows name versions that the vault does not have; bring the key back from its backup:"]
        lines += [counted[name] for name in found.missing[:NAMED]]
    if found.enabled:
        lines += ["Somebody has enabled versions that were retired; the next rotation retires them again:"]
        lines += [f"- {name}" for name in found.enabled[:NAMED]]
    lines += runbook(DRIFT)
    return Message(f"Keyturn: drift in {looked.keyring}", "\n".join(map(characters.visible, lines)), EVENTS[DRIFT].tone)
