"""A whole rotation, through HTTP and Azure's own Python worker, seen from outside."""

import asyncio

import pytest
import requests

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness

pytestmark = pytest.mark.end_to_end


async def test_moves_every_row_and_disables_the_old_version(app: AppHarness) -> None:
    """A rotation ends with every row on the new version, the old one disabled, and every note readable."""
    old = await app.newest_version()

    status = await app.rotate()

    versions = await app.versions()
    assert status["retired"] == [old]
    assert versions[old] is False
    assert versions[status["targetVersion"]] is True
    assert set(await app.census()) == {status["targetVersion"]}
    assert await app.unreadable_notes() == []


async def test_reads_a_note_as_the_backend_demands(azure: LocalAzure, app: AppHarness) -> None:
    """The probe of a note carries a token of the app, without which the backend answers 401; the report keeps none."""
    status = await app.rotate()

    report = await app.callers.report(status["rotationId"])
    _, _, note = probes = report["record"]["probes"]
    assert [(probe["outcome"], probe["status"]) for probe in probes] == [("pass", 200)] * 3
    assert note["url"].startswith(f"{azure.layout.url('backend')}/api/notes/")
    bare = await asyncio.to_thread(requests.get, note["url"], {"workspaceId": "workspace-0"}, timeout=10)
    assert bare.status_code == 401
    assert "bearer" not in str(report).lower()


async def test_wraps_locally(app: AppHarness) -> None:
    """A rotation asks the vault for unwraps only: the wraps are made with the public key."""
    before = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})

    await app.rotate()

    after = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})
    assert after.get("wrap", 0) == 0
    assert after["unwrap"] > before.get("unwrap", 0)
    assert after["create"] == before.get("create", 0) + 1


async def test_rows_of_every_readable_kind_are_moved(app: AppHarness) -> None:
    """An unlabelled row, a row under an older enabled version, and an RSA-OAEP row are rewrapped, DEK unchanged."""
    older = await app.newest_version()
    older_row = await app.add_row(older)
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    current = await app.newest_version()
    rows = {
        "unlabelled": await app.add_row(current, mekVersion=..., mekName=..., keyCheck=...),
        "older": older_row,
        "sha-1": await app.add_row(current, "RSA-OAEP"),
    }
    wanted = {name: await app.row(row_id) for name, row_id in rows.items()}
    deks = {name: await app.dek_of(row_id) for name, row_id in rows.items() if name != "unlabelled"}

    status = await app.rotate()

    for name, row_id in rows.items():
        row = await app.row(row_id)
        assert row["mekVersion"] == status["targetVersion"], name
        assert row["algorithm"] == "RSA-OAEP-256", name
        assert row["previousWrap"]["wrappedDek"] == wanted[name]["wrappedDek"], name
        assert row["createdAt"] == wanted[name]["createdAt"], name
    assert {name: await app.dek_of(rows[name]) for name in deks} == deks
    assert set(status["retired"]) == {older, current}


async def test_a_foreign_row_is_counted_and_left_alone(app: AppHarness) -> None:
    """A row that names another key does not keep the rest from completing, and is not touched."""
    foreign = await app.add_row(await app.newest_version(), mekName="another-mek")
    before = await app.row(foreign)

    status = await app.rotate()

    after = await app.row(foreign)
    await app.rows.delete_item(foreign, partition_key=foreign)
    assert after == before
    assert status["foreign"] == 1
    assert status["state"] == "completed"


async def test_a_malformed_row_is_named_and_the_rest_moves(app: AppHarness) -> None:
    """A malformed row is quarantined by name, untouched; all others move; nothing is retired until it is dealt with."""
    old = await app.newest_version()
    malformed = await app.add_row(old, wrappedDek="this is not base64!")
    before = await app.row(malformed)

    run_id = await app.start()
    status = await app.callers.wait_for(run_id, "needs_attention")

    census = await app.census()
    assert [row["id"] for row in status["quarantined"]["named"]] == [malformed]
    assert await app.row(malformed) == before
    assert census[status["targetVersion"]] == census.total() - 1
    assert (await app.versions())[old] is True

    await app.rows.delete_item(malformed, partition_key=malformed)
    retried = await app.callers.call("POST", f"/api/rotations/{run_id}/retry", data=b'{"requestedBy": "ops"}')
    assert retried.status == 202
    assert (await app.approve(run_id))["retired"] == [old]
