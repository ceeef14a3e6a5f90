"""Diagnosis through HTTP and the worker, as a person at a desk asks for it: what was harmed is named."""

import base64
from pathlib import Path
from typing import Any

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import execute, installed, keyturn, operator_environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


async def a_note(app: AppHarness) -> dict[str, Any]:
    """Return a note that no other test harms."""
    found = [note async for note in app.notes.query_items("SELECT TOP 1 * FROM c WHERE c.id = 'note-000007'")]
    return dict(found[0])


def flipped(encoded: str) -> str:
    """Return base64 with one bit of its first byte changed."""
    raw = bytearray(base64.b64decode(encoded))
    raw[0] ^= 1
    return base64.b64encode(raw).decode()


async def test_a_sound_note_is_shown_with_its_dek(app: AppHarness) -> None:
    """Every field authenticates, under a row whose version is enabled."""
    note = await a_note(app)

    answer = await app.callers.call(
        "GET", f"/api/documents/diagnosis?container=notes&id={note['id']}&partition={note['workspaceId']}"
    )
    dek = await app.callers.call("GET", f"/api/deks/{note['title']['dekId']}")

    assert (answer.status, answer.body["verdict"]) == (200, "sound")
    assert [field["authenticates"] for field in answer.body["fields"]] == [True, True]
    assert (dek.status, dek.body["verdict"], dek.body["version"]["state"]) == (200, "sound", "enabled")


async def test_a_harmed_note_a_harmed_row_and_a_lost_row_are_named(azure: LocalAzure, app: AppHarness) -> None:
    """One after the other on one note: the command says what is wrong and what to do next."""
    note = await a_note(app)
    dek_id = note["title"]["dekId"]
    row = await app.row(dek_id)
    asked = ("diagnose", "document", note["id"], "--container", "notes", "--partition", note["workspaceId"])

    try:
        harmed = {**note, "title": {**note["title"], "ct": flipped(note["title"]["ct"])}}
        await app.notes.replace_item(note["id"], harmed)
        tampered = await keyturn(azure, *asked, "--json")
        await app.notes.replace_item(note["id"], note)
        await app.rows.replace_item(dek_id, {**row, "wrappedDek": flipped(row["wrappedDek"])})
        refused = await keyturn(azure, "diagnose", "dek", dek_id)
        await app.rows.delete_item(dek_id, partition_key=dek_id)
        missing = await keyturn(azure, *asked, "--field", "nextStep")
        orphans = await keyturn(azure, "orphans", "missing-deks", "--min-age", "PT0S")
    finally:
        await app.notes.upsert_item(note)
        await app.rows.upsert_item(row)

    assert (tampered.code, tampered.json["verdict"]) == (73, "field_tampered")
    assert "field title" in tampered.json["finding"]
    assert "wrap_refused" in refused.out
    assert "restore the row from a snapshot of the dek store, and never point the document" in missing.out
    assert orphans.out == f"{dek_id}  notes  {note['id']}\n"
    assert (await keyturn(azure, *asked, "--field", "verdict")).out == "sound\n"


async def test_a_damaged_wrap_is_repaired_by_the_command_that_the_diagnosis_names(
    azure: LocalAzure, app: AppHarness, tmp_path: Path
) -> None:
    """Pasted as it stands: refused while the rotation is at work, obeyed once it was given up; the note opens again."""
    note = await a_note(app)
    dek_id, run_id = note["title"]["dekId"], await app.start()
    await app.callers.wait_for(run_id, "awaiting_approval")
    row = await app.row(dek_id)
    await app.rows.replace_item(dek_id, {**row, "wrappedDek": flipped(row["wrappedDek"])})
    env = {**operator_environment(azure), "PATH": installed(tmp_path)}

    advised = await keyturn(azure, "diagnose", "dek", dek_id, "--field", "nextStep")
    command = advised.out.strip().partition(": ")[2]
    refused = await execute("sh", "-euc", command, cwd=tmp_path, env=env)
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")
    repaired = await execute("sh", "-euc", command, cwd=tmp_path, env=env)

    assert command.startswith(f"keyturn repair dek {dek_id} ")
    assert (advised.code, refused.code, repaired.code) == (73, 73, 0), repaired.err
    assert f"rotationId  {run_id}" in repaired.out
    assert (await app.row(dek_id))["wrappedDek"] == row["previousWrap"]["wrappedDek"]
    assert await app.unreadable_notes() == []
    await app.rotate()


async def test_rows_that_nothing_names_are_listed(azure: LocalAzure, app: AppHarness) -> None:
    """A row without a document is found, and left alone."""
    row_id = await app.add_row(await app.newest_version())

    found = await keyturn(azure, "orphans", "unused-deks")

    await app.rows.delete_item(row_id, partition_key=row_id)
    assert row_id in found.out.split()


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("documents/diagnosis?container=absent&id=a", 400, "container"),
        ("documents/diagnosis?container=notes", 400, "id"),
        ("orphans", 400, "kind"),
        ("orphans?kind=unused_deks&token=x", 400, "token"),
        ("orphans?kind=unused_deks&minAge=soon", 400, "minAge"),
        ("deks/a?keyring=absent", 404, None),
    ],
)
async def test_what_cannot_be_asked_is_refused(app: AppHarness, path: str, status: int, field: str | None) -> None:
    """The problem names the parameter."""
    answer = await app.callers.call("GET", f"/api/{path}")

    assert answer.status == status
    assert answer.body.get("field") == field


async def test_a_keyring_is_verified_against_the_store_and_not_the_record(azure: LocalAzure, app: AppHarness) -> None:
    """Old rows that were put back after a rotation, and a note whose DEK was lost: the record shows neither."""
    before = await app.newest_version()
    run_id = (await app.rotate())["rotationId"]
    sound = await keyturn(azure, "verify", "notelett", "--all")
    await app.callers.wait_for(run_id, "completed")

    back = [await app.add_row(before) for _ in range(6)]
    note = await a_note(app)
    dek_id = note["title"]["dekId"]
    row = await app.row(dek_id)
    await app.delete_row(dek_id)
    try:
        found = await keyturn(azure, "verify", "--all", "--min-age", "PT0S", "--json")
        alone = await keyturn(azure, "direct", "verify", "--all", "--min-age", "PT0S", "--json")
        counted = await app.callers.status(run_id)
    finally:
        await app.rows.upsert_item({name: value for name, value in row.items() if not name.startswith("_")})
        for row_id in back:
            await app.delete_row(row_id)

    assert (sound.code, "FAIL" in sound.out) == (0, False), sound.out + sound.err
    assert counted["census"]["stale"] == 0
    assert found.code == alone.code == 73
    assert {(one["id"], one["subject"]) for one in alone.json["results"]} == {
        (one["id"], one["subject"]) for one in found.json["results"]
    }
    wrong = {(one["id"], one["subject"]): one["detail"] for one in found.json["results"] if one["outcome"] == "problem"}
    assert f"6 on others ({before}: 6)" in wrong["census", ""]
    assert f"{before}: 6" in wrong["versions", ""]
    assert {subject for name, subject in wrong if name == "row"} == set(back)
    assert dek_id in wrong["orphan", f"notes/{note['id']}"]
