"""What may not be, once a run that was stopped has gone on: the checks of the invariants, and the records."""

from collections.abc import Iterator, Mapping
from typing import Any

from field_encrypt.dek import Dek
from keyturn.contracts.base import RunRef
from keyturn.contracts.states import State
from keyturn.key_vault.versions import RETIRED_BY_TAG, TEMPORARY_FOR_TAG, UNUSED_TAG
from keyturn.runs.records import RotationRecord
from tests.invariants.checks.rows import changed_deks, needed_but_disabled
from tests.invariants.checks.runs import running_at_once
from tests.invariants.checks.versions import MADE_BY, Version, unapproved
from tests.overlap.harness import Snapshot, Worker, container_of

RETIREMENT = frozenset({State.RETIRING, State.WATCHING, State.COMPLETED})
MOVES_BACK = "rollback"

# What may come late: what was told, and the audit events of what the record says already.
_LATE = frozenset({"notifications"})


async def findings(services_state: Snapshot, outside: Worker, deks: Mapping[str, Dek]) -> set[str]:
    """Say what is wrong with the world as it is."""
    records = rotations(services_state)
    versions = {name: Version(enabled, tags) for name, (enabled, tags) in services_state.versions.items()}
    return {
        *await _rows_that_fail(services_state, outside, deks),
        *await _unreadable_notes(services_state, outside),
        *unapproved(versions, records),
        *running_at_once(list(records.values())),
        *_made_twice(services_state),
        *_against_the_records(services_state, records),
    }


def rotations(services_state: Snapshot) -> dict[str, RotationRecord]:
    """Return the records of the rotations."""
    return {
        name: RotationRecord.from_document(document)
        for name, document in services_state.documents.items()
        if document["kind"] == "rotation"
    }


async def _rows_that_fail(services_state: Snapshot, outside: Worker, deks: Mapping[str, Dek]) -> list[str]:
    """I1 and I3, but for rows that were made for documents which name them not: a page may make one late."""
    rows, mek = container_of(outside), outside.resources.keyring(outside.keyring).mek
    orphans = services_state.rows.keys() - _named(services_state) if services_state.notes else set()
    wrong = [*await needed_but_disabled(rows, mek, mek.mek_name), *await changed_deks(rows, mek, deks)]
    return [text for text in wrong if not any(f"row {name} " in f"{text} " for name in orphans)]


async def _unreadable_notes(services_state: Snapshot, outside: Worker) -> list[str]:
    encryption = outside.resources.keyring(outside.keyring).encryption()
    wrong = []
    for name, note in services_state.notes.items():
        try:
            opened = await encryption.decrypt_fields("notes", name, note, None, partition_key=name)
        except Exception as error:  # noqa: BLE001 - whatever keeps a reader from the text
            wrong.append(f"{name} does not open: {type(error).__name__}")
        else:
            wrong += [] if opened["title"] == f"title {name[-1]}" else [f"{name} reads otherwise"]
    return wrong


def _made_twice(services_state: Snapshot) -> Iterator[str]:
    made: dict[str, list[str]] = {}
    for name, (_, tags) in services_state.versions.items():
        if MADE_BY in tags:
            made.setdefault(tags[MADE_BY], []).append(name)
    for run_id, versions in made.items():
        if len(versions) > 1:
            yield f"rotation {run_id} made {len(versions)} versions"


def _against_the_records(services_state: Snapshot, records: Mapping[str, RotationRecord]) -> Iterator[str]:
    """I14: versions are as the records say."""
    for name, (enabled, tags) in services_state.versions.items():
        record = records.get(tags.get(RETIRED_BY_TAG, ""))
        if not enabled and record is not None and (record.state not in RETIREMENT or record.reinstated):
            yield f"version {name} is disabled by a rotation that is {record.state} (reinstated: {record.reinstated})"
    for record in records.values():
        if record.state is State.COMPLETED and not record.reinstated:
            for name in record.retired:
                if services_state.versions[name][0]:
                    yield f"rotation {record.run_id} completed, and version {name} is enabled"


def overtaken(services_state: Snapshot, run_id: str, token: int) -> bool:
    """Tell whether the run has ended, or has lost its keyring."""
    record, lease = services_state.documents[run_id], services_state.documents["lease"]
    return record.get("endedAt") is not None or (lease["holder"], lease["fencingToken"]) != (run_id, token)


def changed(before: Snapshot, after: Snapshot, run: RunRef, *, looked: bool) -> Iterator[str]:
    """I8, I14: say what a run has changed that was over before it went on.

    A row or document may be written that it had looked at its lease for, as long as no later run has: that one is yet
    to meet the row, and moves the row that the document names.
    """
    run_id = run.run_id
    for part, was, now in (("row", before.rows, after.rows), ("document", before.notes, after.notes)):
        for name in was.keys() | now.keys():
            found = was.get(name)
            if looked and found is not None and found.get("fence", 0) <= run.fencing_token:
                continue
            if part == "row" and found is None and name not in _named(after):
                continue  # made for a document that was not changed then: nobody needs it
            if found != now.get(name):
                yield f"{part} {name} is not what it was: {_difference(was.get(name), now.get(name))}"
    yield from _changed_versions(before, after, run_id)
    for name in before.documents.keys() | after.documents.keys():
        yield from _changed_document(name, before.documents.get(name), after.documents.get(name), run_id)


def _changed_versions(before: Snapshot, after: Snapshot, run_id: str) -> Iterator[str]:
    for name in before.versions.keys() | after.versions.keys():
        (was_enabled, was), (is_enabled, now) = (
            snapshot.versions.get(name, (None, dict[str, str]())) for snapshot in (before, after)
        )
        if TEMPORARY_FOR_TAG in was or TEMPORARY_FOR_TAG in now:
            continue  # of a restore: enabled as long as a row names it, whatever became of the run
        if is_enabled and was.get(UNUSED_TAG) == run_id:
            continue  # the run's own, which a backup has: writers may use it, and the next rotation adopts it
        if was_enabled != is_enabled:
            yield f"version {name} is enabled: {is_enabled}, was {was_enabled}"


def _named(services_state: Snapshot) -> set[str]:
    """Return the ids of the DEKs that documents name."""
    return {
        field["dekId"] for note in services_state.notes.values() for field in note.values() if isinstance(field, dict)
    }


def _changed_document(
    name: str, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, run_id: str
) -> Iterator[str]:
    if was == now:
        return
    if name == "lease" and was is not None and was["holder"] == run_id and now == {**was, "holder": None}:
        return
    if name.startswith((f"{run_id}:", f"key-backup.{run_id}", "migration-secret")):
        return  # its audit chain tells what was written into the record, however late; a backup or secret does no harm
    if name.startswith("migration-lease.") or str((was or now or {}).get("keyring")).startswith("~"):
        return  # leases of migrations and claims to a vault end by themselves, in minutes
    if was is not None and now is not None and _difference(was, now) <= _LATE:
        return
    yield f"{name} is not what it was: {sorted(_difference(was, now))}"


def _difference(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> set[str]:
    if was is None or now is None:
        return {"(it)"}
    return {field for field in was.keys() | now.keys() if was.get(field) != now.get(field)}


def lost(before: Snapshot, after: Snapshot, story: str, run_id: str) -> Iterator[str]:
    """Say what is gone, what has been moved back, and which ended run did not stay as it ended."""
    for part, was, now in (
        ("row", before.rows, after.rows),
        ("document", before.notes, after.notes),
        ("version", before.versions, after.versions),
        ("record", before.documents, after.documents),
    ):
        yield from (f"{part} {name} is gone" for name in was.keys() - now.keys())
        if part == "row" and not before.notes:
            yield from (f"row {name} has come back" for name in now.keys() - was.keys())
    target = before.documents[run_id].get("targetVersion")
    if target is not None and story != MOVES_BACK:
        for name, row in before.rows.items():
            if row.get("mekVersion") == target and after.rows.get(name, row).get("mekVersion") != target:
                yield f"row {name} has left the target"
    for name, was_document in before.documents.items():
        now_document = after.documents.get(name, was_document)
        if was_document.get("endedAt") and was_document["state"] != now_document["state"]:
            yield f"run {name} was {was_document['state']}, and is {now_document['state']}"
