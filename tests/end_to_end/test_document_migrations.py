"""Documents encrypted, re-encrypted and checked, as commands over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from field_encrypt.encoding import to_base64
from local.people import Answer
from local.supervisor import LocalAzure
from local.supervisor.environment import NOTE_FIELDS, NOTES_CONTAINER
from tests.end_to_end.migrating import all_rows, begin, command, reach
from tests.end_to_end.moving_documents import (
    APP,
    RECOVERED,
    RECOVERED_DEKS,
    RECOVERED_MEK,
    all_notes,
    allow,
    deks_of,
    reader,
    rights,
    rights_of_one_keyring,
    two_keyrings,
)
from tests.end_to_end.stage import Stage
from tests.end_to_end.test_notifications import settled

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
async def changing_rights(azure: LocalAzure) -> AsyncIterator[None]:
    """The app may change documents and create rows, for this module."""
    async with Stage(azure) as stage:
        held = stage.control("identity", "GET", APP)["roles"]
        await allow(stage, [*held, *rights()])
        yield
        await allow(stage, held)


async def start(stage: Stage, path: str = "/api/migrations", **body: Any) -> Answer:
    """Ask for a migration and return the answer."""
    return await stage.people.call("POST", path, data=json.dumps({"requestedBy": "dana@example.com", **body}).encode())


async def test_checks_that_every_note_decrypts(stage: Stage) -> None:
    """Everything is read and nothing changed; a note that does not decrypt is named with its reason."""
    before, rows = await all_notes(stage), await all_rows(stage)
    name, note = next(iter(before.items()))
    await stage.notes.replace_item(name, {**note, "body": {**note["body"], "tag": to_base64(bytes(16))}})

    try:
        status = await reach(stage, await begin(stage, "/api/migrations", kind="decrypt-check"), "completed")
    finally:
        await stage.notes.replace_item(name, note)

    assert status["detail"] == f"{len(before) - 1} documents decrypt, 1 do not"
    assert status["clean"] is False
    assert (100.0, len(before)) == (status["counts"]["check"]["percent"], status["counts"]["check"]["rowsTotal"])
    assert "unreadable" == (await settled(stage, status["migrationId"], "unreadable"))[-1]["event"]
    assert [(f"{NOTES_CONTAINER}/{name}", "tampered_field")] == [
        (found["id"], found["reason"]) for found in status["quarantined"]["named"]
    ]
    assert await all_rows(stage) == rows


async def test_a_dry_run_changes_nothing(stage: Stage) -> None:
    """It says how many documents would be re-encrypted, and no note and no row changes."""
    before = await all_notes(stage), await all_rows(stage)

    dry = await begin(stage, "/api/migrations", kind="re-encrypt", dryRun=True)
    status = await reach(stage, dry, "completed")

    assert status["detail"] == f"dry run: {len(before[0])} documents would be re-encrypted, 0 cannot"
    assert (await all_notes(stage), await all_rows(stage)) == before


async def test_the_host_dies_in_the_middle_of_a_reencryption(azure: LocalAzure, stage: Stage) -> None:
    """A page whose report was lost is run again; every note has a fresh DEK, and the old rows stay."""
    before, rows = await all_notes(stage), await all_rows(stage)
    stage.arm("functions_host", operation="reencrypt_documents", kind="kill_after")

    migration_id = await begin(stage, "/api/migrations", kind="re-encrypt", reason="a DEK leaked")
    async with stage.keep_alive(azure, "functions_host") as restarts:
        status = await reach(stage, migration_id, "completed")

    after = deks_of(await all_notes(stage))
    assert restarts.count == 1
    assert set(after).isdisjoint(deks_of(before))
    assert set(await all_rows(stage)) == {*rows, *after}
    assert len(set(after)) == len(before) == status["counts"]["proof"]["changed"]
    assert await stage.unreadable_notes() == []


async def test_plaintext_notes_are_encrypted(stage: Stage) -> None:
    """The backfill encrypts what is plaintext, and leaves what is encrypted already as it is."""
    before = await all_notes(stage)
    name, note = next(iter(before.items()))
    plain = {**note, "title": "a title", "body": "a body"}
    await stage.notes.replace_item(name, plain)

    status = await reach(stage, await begin(stage, "/api/migrations", kind="encrypt"), "completed")

    after = await all_notes(stage)
    decrypted = await reader(stage).decrypt_fields(NOTES_CONTAINER, name, after[name], NOTE_FIELDS)
    assert status["detail"] == f"1 documents were encrypted, {len(before)} decrypt"
    assert ("a title", "a body") == (decrypted["title"], decrypted["body"])
    assert all(after[other] == before[other] for other in before if other != name)


async def test_a_note_that_cannot_be_moved_is_named(stage: Stage) -> None:
    """It asks for attention, with the lease still held; after it is mended, a retry completes."""
    name, note = next(iter((await all_notes(stage)).items()))
    await stage.notes.replace_item(name, {**note, "title": {**note["title"], "ct": to_base64(b"x")}})

    migration_id = await begin(stage, "/api/migrations", kind="re-encrypt")
    status = await reach(stage, migration_id, "needs_attention")
    lease = await stage.runs.read_item("migration-lease.re-encrypt", partition_key=stage.keyring)
    rotation = await stage.people.request_rotation()
    await stage.notes.replace_item(name, note)
    await command(stage, migration_id, "retry")
    await reach(stage, migration_id, "completed")

    assert [found["id"] for found in status["quarantined"]["named"]] == [f"{NOTES_CONTAINER}/{name}"]
    assert (migration_id, 409) == (lease["holder"], rotation.status)
    assert await stage.unreadable_notes() == []


async def test_a_lost_mek_is_recovered_from(azure: LocalAzure, stage: Stage) -> None:
    """From a key that can still be read onto a new one: afterwards the first is not needed, and back again."""
    notes = await all_notes(stage)
    await stage.use(RECOVERED_MEK, RECOVERED_DEKS)
    await stage.keys.create_rsa_key(RECOVERED_MEK, size=2048)
    azure.reconfigure(two_keyrings(azure))
    body = {"snapshotReference": "restored 2026-11-24T12:00Z", "reason": "the MEK was lost"}

    there = await begin(stage, "/api/reencryptions", keyring=stage.keyring, targetKeyring=RECOVERED, **body)
    await reach(stage, there, "completed")
    moved = await all_notes(stage)
    for name, note in moved.items():
        await reader(stage).decrypt_fields(NOTES_CONTAINER, name, note, NOTE_FIELDS)
    leases = await stage.runs.read_item(f"migration-lease.re-encrypt-from-{stage.keyring}", partition_key=RECOVERED)
    back = await begin(stage, "/api/reencryptions", keyring=RECOVERED, targetKeyring=stage.keyring, **body)
    await reach(stage, back, "completed")

    assert set(deks_of(moved)) == set(await all_rows(stage))
    assert len(moved) == len(notes)
    assert "(nobody)" == leases["holder"]
    assert await stage.unreadable_notes() == []


@pytest.mark.parametrize("right", rights_of_one_keyring(), ids=lambda right: right.partition("@")[0].rpartition("/")[2])
async def test_without_a_right_nothing_begins(stage: Stage, right: str) -> None:
    """The start is refused and says what is missing and how to get it; no note and no row has changed."""
    held = stage.control("identity", "GET", APP)["roles"]
    before = await all_notes(stage), await all_rows(stage)
    await allow(stage, [other for other in held if other != right])
    try:
        answers = [await start(stage, kind=kind) for kind in ("encrypt", "re-encrypt")]
        dry = await start(stage, kind="re-encrypt", dryRun=True)
        await reach(stage, dry.body["migrationId"], "completed")
    finally:
        await allow(stage, held)

    assert [(500, "urn:keyturn:problem:permission-missing")] * 2 == [(one.status, one.body["type"]) for one in answers]
    assert all("documentMigrations" in one.body["hint"] for one in answers)
    assert (await all_notes(stage), await all_rows(stage)) == before


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/migrations", {"kind": "encrypt", "containers": ["others"]}, "containers"),
        ("/api/migrations", {"kind": "no such kind"}, "body"),
        ("/api/reencryptions", {"targetKeyring": "notelett", "snapshotReference": "s"}, "targetKeyring"),
        ("/api/reencryptions", {"targetKeyring": "recovered"}, "snapshotReference"),
    ],
)
async def test_a_body_that_means_nothing_starts_nothing(
    stage: Stage, path: str, body: dict[str, object], field: str
) -> None:
    """The answer names the field and what was expected of it."""
    answer = await start(stage, path, **body)

    assert (400, field) == (answer.status, answer.body["field"])
