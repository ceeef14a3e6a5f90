"""A whole rotation, through HTTP and Azure's own Python worker, seen from outside."""

import pytest

from tests.end_to_end.stage import Stage

pytestmark = pytest.mark.end_to_end


async def test_moves_every_row_and_disables_the_old_version(stage: Stage) -> None:
    """A rotation ends with every row on the new version, the old one disabled, and every note readable."""
    old = await stage.newest_version()

    status = await stage.rotate()

    versions = await stage.versions()
    assert status["retired"] == [old]
    assert versions[old] is False
    assert versions[status["targetVersion"]] is True
    assert set(await stage.census()) == {status["targetVersion"]}
    assert await stage.unreadable_notes() == []


async def test_wraps_locally(stage: Stage) -> None:
    """A rotation asks the vault for unwraps only: the wraps are made with the public key."""
    before = stage.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})

    await stage.rotate()

    after = stage.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})
    assert after.get("wrap", 0) == 0
    assert after["unwrap"] > before.get("unwrap", 0)
    assert after["create"] == before.get("create", 0) + 1


async def test_rows_of_every_readable_kind_are_moved(stage: Stage) -> None:
    """An unlabelled row, a row under an older enabled version, and an RSA-OAEP row are rewrapped, DEK unchanged."""
    older = await stage.newest_version()
    older_row = await stage.add_row(older)
    await stage.keys.create_rsa_key(stage.mek_name, size=2048)
    current = await stage.newest_version()
    rows = {
        "unlabelled": await stage.add_row(current, mekVersion=..., mekName=..., keyCheck=...),
        "older": older_row,
        "sha-1": await stage.add_row(current, "RSA-OAEP"),
    }
    wanted = {name: await stage.row(row_id) for name, row_id in rows.items()}
    deks = {name: await stage.dek_of(row_id) for name, row_id in rows.items() if name != "unlabelled"}

    status = await stage.rotate()

    for name, row_id in rows.items():
        row = await stage.row(row_id)
        assert row["mekVersion"] == status["targetVersion"], name
        assert row["algorithm"] == "RSA-OAEP-256", name
        assert row["previousWrap"]["wrappedDek"] == wanted[name]["wrappedDek"], name
        assert row["createdAt"] == wanted[name]["createdAt"], name
    assert {name: await stage.dek_of(rows[name]) for name in deks} == deks
    assert set(status["retired"]) == {older, current}


async def test_a_foreign_row_is_counted_and_left_alone(stage: Stage) -> None:
    """A row that names another key does not keep the rest from completing, and is not touched."""
    foreign = await stage.add_row(await stage.newest_version(), mekName="another-mek")
    before = await stage.row(foreign)

    status = await stage.rotate()

    after = await stage.row(foreign)
    await stage.rows.delete_item(foreign, partition_key=foreign)
    assert after == before
    assert status["foreign"] == 1
    assert status["state"] == "completed"


async def test_a_malformed_row_is_named_and_the_rest_moves(stage: Stage) -> None:
    """A malformed row is quarantined by name, untouched; all others move; nothing is retired until it is dealt with."""
    old = await stage.newest_version()
    malformed = await stage.add_row(old, wrappedDek="this is not base64!")
    before = await stage.row(malformed)

    run_id = await stage.start()
    status = await stage.people.wait_for(run_id, "needs_attention")

    census = await stage.census()
    assert [row["id"] for row in status["quarantined"]["named"]] == [malformed]
    assert await stage.row(malformed) == before
    assert census[status["targetVersion"]] == census.total() - 1
    assert (await stage.versions())[old] is True

    await stage.rows.delete_item(malformed, partition_key=malformed)
    retried = await stage.people.call("POST", f"/api/rotations/{run_id}/retry", data=b'{"requestedBy": "ops"}')
    assert retried.status == 202
    assert (await stage.approve(run_id))["retired"] == [old]
