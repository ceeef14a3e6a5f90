"""Documents encrypted, re-encrypted and checked, as commands over HTTP."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from field_encrypt import DekStore, KeyVaultProvider, RowDefaults
from field_encrypt.documents import Item
from field_encrypt.encoding import to_base64
from field_encrypt.errors import TamperedFieldError
from local.callers import Answer
from local.supervisor import LocalAzure
from local.supervisor.environment import MEK_NAME, NOTE_FIELDS, NOTES_CONTAINER
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.migrating import all_rows, begin, command, reach
from tests.end_to_end.moving_documents import (
    APP,
    RECOVERED,
    RECOVERED_DEKS,
    RECOVERED_MEK,
    all_notes,
    allow,
    deks_of,
    read,
    rights,
    rights_of_one_keyring,
    two_keyrings,
)
from tests.end_to_end.waits import settled
from tests.field_encrypt.format_1 import encrypted_as_format_1

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
async def changing_rights(azure: LocalAzure) -> AsyncIterator[None]:
    """The app may change documents and create rows, for this module."""
    async with AppHarness(azure) as app:
        held = app.control("identity", "GET", APP)["roles"]
        await allow(app, [*held, *rights()])
        yield
        await allow(app, held)


async def start(app: AppHarness, path: str = "/api/migrations", **body: Any) -> Answer:
    """Ask for a migration and return the answer."""
    return await app.callers.call("POST", path, data=json.dumps({"requestedBy": "dana@example.com", **body}).encode())


async def test_checks_that_every_note_decrypts(app: AppHarness) -> None:
    """Everything is read and nothing changed; a note that does not decrypt is named with its reason."""
    before, rows = await all_notes(app), await all_rows(app)
    name, note = next(iter(before.items()))
    await app.notes.replace_item(name, {**note, "body": {**note["body"], "tag": to_base64(bytes(16))}})

    try:
        status = await reach(app, await begin(app, "/api/migrations", kind="decrypt-check"), "completed")
    finally:
        await app.notes.replace_item(name, note)

    assert status["detail"] == f"{len(before) - 1} documents decrypt, 1 do not"
    assert status["clean"] is False
    assert (100.0, len(before)) == (status["counts"]["check"]["percent"], status["counts"]["check"]["rowsTotal"])
    assert (await settled(app, status["migrationId"], "unreadable"))[-1]["event"] == "unreadable"
    assert [(found["id"], found["reason"]) for found in status["quarantined"]["named"]] == [
        (f"{NOTES_CONTAINER}/{name}", "tampered_field")
    ]
    assert await all_rows(app) == rows


async def test_a_dry_run_changes_nothing(app: AppHarness) -> None:
    """It says how many documents would be re-encrypted, and no note and no row changes."""
    before = await all_notes(app), await all_rows(app)

    dry = await begin(app, "/api/migrations", kind="re-encrypt", dryRun=True)
    status = await reach(app, dry, "completed")

    assert status["detail"] == f"dry run: {len(before[0])} documents would be re-encrypted, 0 cannot"
    assert (await all_notes(app), await all_rows(app)) == before


async def test_the_host_dies_in_the_middle_of_a_reencryption(azure: LocalAzure, app: AppHarness) -> None:
    """A page whose report was lost is run again; every note has a fresh DEK, and the old rows stay."""
    before, rows = await all_notes(app), await all_rows(app)
    app.arm("functions_host", operation="reencrypt_documents", kind="kill_after")

    migration_id = await begin(app, "/api/migrations", kind="re-encrypt", reason="a DEK leaked")
    async with app.keep_alive(azure, "functions_host") as restarts:
        status = await reach(app, migration_id, "completed")

    after = deks_of(await all_notes(app))
    assert restarts.count == 1
    assert set(after).isdisjoint(deks_of(before))
    assert set(await all_rows(app)) == {*rows, *after}
    assert len(set(after)) == len(before) == status["counts"]["proof"]["changed"]
    assert await app.unreadable_notes() == []


async def test_notes_get_onto_a_key_policy_while_writers_go_on(azure: LocalAzure, app: AppHarness) -> None:
    """Format 1 becomes format 2, live notes stay as they are, a host dies; the plan said how many rows come."""
    policy = {"per": "container", "maxDocuments": 1000}
    old: Item = {"id": "of-0.1", "workspaceId": "workspace-1", "title": "a title", "body": "a body"}
    provider, store = KeyVaultProvider(app.mek), DekStore(app.rows, RowDefaults(mek_name=MEK_NAME))
    await app.notes.upsert_item(
        await encrypted_as_format_1(provider, store, NOTES_CONTAINER, old, NOTE_FIELDS, f"dek-{uuid.uuid4()}")
    )
    before, rows = await all_notes(app), await all_rows(app)
    dry = await begin(app, "/api/migrations", kind="re-encrypt", dryRun=True, keyPolicy=policy)
    plan = (await reach(app, dry, "completed"))["plan"]
    await asyncio.to_thread(app.control, "backend", "PUT", "load", json={"writesPerSecond": 5, "keyPolicy": policy})
    app.arm("functions_host", operation="reencrypt_documents", kind="kill_after")
    try:
        migration_id = await begin(app, "/api/migrations", kind="re-encrypt", keyPolicy=policy)
        async with app.keep_alive(azure, "functions_host") as restarts:
            status = await reach(app, migration_id, "completed")
    finally:
        quiet = {"writesPerSecond": 0, "keyPolicy": {"per": "document"}}
        load = await asyncio.to_thread(app.control, "backend", "PUT", "load", json=quiet)

    after = await all_notes(app)
    named, made = set(deks_of(after)), (await all_rows(app)).keys() - rows.keys()
    assert restarts.count == 1
    assert (plan["rowsByVersion"], plan["rows"]) == ({"(now)": len(rows), "(new)": 1}, len(rows) + 1)
    assert len(named) == 1 == len(made)
    assert (len(after) > len(before), load["writes"]["failed"]) == (True, 0)
    assert {note[field]["enc"] for note in after.values() for field in NOTE_FIELDS} == {2}
    assert status["counts"]["proof"]["changed"] >= len(before)
    assert await app.unreadable_notes() == []
    with pytest.raises(TamperedFieldError):
        await read(app, {**after["of-0.1"], "workspaceId": "thief"})


async def test_plaintext_notes_are_encrypted(app: AppHarness) -> None:
    """The backfill encrypts what is plaintext, and leaves what is encrypted already as it is."""
    before = await all_notes(app)
    name, note = next(iter(before.items()))
    plain = {**note, "title": "a title", "body": "a body"}
    await app.notes.replace_item(name, plain)

    status = await reach(app, await begin(app, "/api/migrations", kind="encrypt"), "completed")

    after = await all_notes(app)
    decrypted = await read(app, after[name])
    assert status["detail"] == f"1 documents were encrypted, {len(before)} decrypt"
    assert (decrypted["title"], decrypted["body"]) == ("a title", "a body")
    assert all(after[other] == before[other] for other in before if other != name)


async def test_a_note_that_cannot_be_moved_is_named(app: AppHarness) -> None:
    """It asks for attention, with the lease still held; after it is fixed, a retry completes."""
    name, note = next(iter((await all_notes(app)).items()))
    await app.notes.replace_item(name, {**note, "title": {**note["title"], "ct": to_base64(b"x")}})

    migration_id = await begin(app, "/api/migrations", kind="re-encrypt")
    status = await reach(app, migration_id, "needs_attention")
    lease = await app.runs.read_item("migration-lease.re-encrypt", partition_key=app.keyring)
    rotation = await app.callers.request_rotation()
    await app.notes.replace_item(name, note)
    await command(app, migration_id, "retry")
    await reach(app, migration_id, "completed")

    assert [found["id"] for found in status["quarantined"]["named"]] == [f"{NOTES_CONTAINER}/{name}"]
    assert (lease["holder"], rotation.status) == (migration_id, 409)
    assert await app.unreadable_notes() == []


async def test_a_lost_mek_is_recovered_from(azure: LocalAzure, app: AppHarness) -> None:
    """From a key that can still be read onto a new one: afterwards the first is not needed, and back again."""
    notes = await all_notes(app)
    await app.use(RECOVERED_MEK, RECOVERED_DEKS)
    await app.keys.create_rsa_key(RECOVERED_MEK, size=2048)
    azure.reconfigure(two_keyrings(azure))
    body = {"snapshotReference": "restored 2026-11-24T12:00Z", "reason": "the MEK was lost"}

    there = await begin(app, "/api/reencryptions", keyring=app.keyring, targetKeyring=RECOVERED, **body)
    await reach(app, there, "completed")
    moved = await all_notes(app)
    for note in moved.values():
        await read(app, note)
    leases = await app.runs.read_item(f"migration-lease.re-encrypt-from-{app.keyring}", partition_key=RECOVERED)
    back = await begin(app, "/api/reencryptions", keyring=RECOVERED, targetKeyring=app.keyring, **body)
    await reach(app, back, "completed")

    assert set(deks_of(moved)) == set(await all_rows(app))
    assert len(moved) == len(notes)
    assert leases["holder"] == "(nobody)"
    assert await app.unreadable_notes() == []


@pytest.mark.parametrize("right", rights_of_one_keyring(), ids=lambda right: right.partition("@")[0].rpartition("/")[2])
async def test_without_a_right_nothing_begins(app: AppHarness, right: str) -> None:
    """The start is refused and says what is missing and how to get it; no note and no row has changed."""
    held = app.control("identity", "GET", APP)["roles"]
    before = await all_notes(app), await all_rows(app)
    await allow(app, [other for other in held if other != right])
    try:
        answers = [await start(app, kind=kind) for kind in ("encrypt", "re-encrypt")]
        dry = await start(app, kind="re-encrypt", dryRun=True)
        await reach(app, dry.body["migrationId"], "completed")
    finally:
        await allow(app, held)

    assert [(one.status, one.body["type"]) for one in answers] == [(500, "urn:keyturn:problem:permission-missing")] * 2
    assert all("documentMigrations" in one.body["hint"] for one in answers)
    assert (await all_notes(app), await all_rows(app)) == before


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
    app: AppHarness, path: str, body: dict[str, object], field: str
) -> None:
    """The answer names the field and what was expected of it."""
    answer = await start(app, path, **body)

    assert (answer.status, answer.body["field"]) == (400, field)
