"""Rows that are missing or damaged come back from another account; whatever opens stays as it is, to the last byte."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from field_encrypt.row_states import QuarantineReason
from keyturn.audit.verify import verify_chain
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.deks.copy import Found
from keyturn.deks.unexplained import Provenance, Since
from keyturn.runs.lease import read_lease
from tests.keyturn.local_keyring import encoded
from tests.keyturn.migrations.two_accounts import GARBAGE, OPERATOR, TwoAccounts

ROWS = 14

DAMAGES: dict[str, dict[str, Any]] = {
    "another wrap": {"wrappedDek": GARBAGE},
    "no base64": {"wrappedDek": "(none)"},
    "an empty wrap": {"wrappedDek": ""},
    "no wrap": {"wrappedDek": ...},
    "an unknown version": {"mekVersion": "0" * 32},
    "no label that is one": {"mekVersion": "not a version", "wrappedDek": GARBAGE},
    "no label": {"mekVersion": ..., "wrappedDek": GARBAGE},
    "an unknown algorithm": {"algorithm": "RSA1_5"},
    "another algorithm": {"algorithm": "RSA-OAEP"},
    "another key check": {"keyCheck": encoded(bytes(16))},
    "a malformed key check": {"keyCheck": "short", "wrappedDek": GARBAGE},
}


async def test_one_missing_row_comes_back(accounts: TwoAccounts) -> None:
    """It is created as the backup has it, with the fence of the run; its record and chain tell who did what."""
    refs = await accounts.backed_up(ROWS, tenant="blue")
    await accounts.lose(refs[:1])
    before = await accounts.rows()

    compared = await accounts.restore()

    record = await accounts.record(compared.run_id)
    await accounts.check_copied(refs[:1], before)
    assert (compared.found, compared.copied) == ({Found.MISSING: 1, Found.SAME: ROWS - 1}, {Found.MISSING: 1})
    assert (await accounts.local.item(refs[0]))["fence"] == record.fencing_token
    assert (record.state, record.requested_by) == (State.COMPLETED, OPERATOR.name)
    assert record.history[-1].detail == "rows copied: 1 missing; left: 0"
    lease = await read_lease(accounts.harness.runs, accounts.harness.keyring)
    assert lease is not None
    assert lease.holder is None
    chain = await accounts.harness.runs.audit.export(record.run_id)
    assert verify_chain(chain.splitlines()).broken is None
    assert b"https://other/dbs/notes/colls/deks" in chain


async def test_damaged_rows_come_back(accounts: TwoAccounts) -> None:
    """However a row is damaged: the other account's is put in its place, and it opens."""
    refs = await accounts.backed_up(ROWS)
    for ref, damage in zip(refs, DAMAGES.values(), strict=False):
        await accounts.change(ref, **damage)
    before = await accounts.rows()

    compared = await accounts.restore()

    await accounts.check_copied(refs[: len(DAMAGES)], before)
    assert compared.copied == {Found.DAMAGED: len(DAMAGES)}
    assert (compared.left, compared.retired) == ([], set())


async def test_a_truncated_container_comes_back(accounts: TwoAccounts) -> None:
    """All rows are gone; all come back, and a second call finds nothing to do."""
    refs = await accounts.backed_up(ROWS)
    await accounts.lose(refs)

    compared = await accounts.restore()
    again = await accounts.restore()

    await accounts.check_copied(refs, {})
    assert (compared.copied, again.copied) == ({Found.MISSING: ROWS}, {})
    assert again.found == {Found.SAME: ROWS}


async def test_what_opens_is_never_overwritten(accounts: TwoAccounts) -> None:
    """Rows that were rewrapped since, or given another DEK; one of a retired version, and one of another key."""
    refs = await accounts.backed_up(4)
    new = await accounts.local.mek.create()
    moved, given, retired, foreign = refs
    for ref, version in ((moved, new), (given, new)):
        made = await accounts.local.item(await accounts.local.add(version))
        dek = accounts.local.deks[moved.id] if ref is moved else accounts.local.deks[made["id"]]
        wrapped = accounts.local.mek.client.wrap(dek.reveal(), await accounts.local.mek.client.get_version(version))
        check = made["keyCheck"] if ref is given else (await accounts.local.item(moved))["keyCheck"]
        await accounts.change(ref, wrappedDek=encoded(wrapped), mekVersion=version, keyCheck=check)
    await accounts.change(retired, rewrappedAt="2026-01-01T00:00:00.000+00:00")
    await accounts.change(foreign, mekName="another-mek", wrappedDek=GARBAGE)
    await accounts.local.mek.change(accounts.harness.old, enabled=False)
    before = await accounts.rows()

    compared = await accounts.restore()

    assert await accounts.rows() == before
    assert compared.found == {Found.NEWER: 2, Found.RETIRED: 1, Found.FOREIGN: 1}
    assert (compared.copied, compared.retired) == ({}, {accounts.harness.old})


async def test_what_is_no_better_there_is_left(accounts: TwoAccounts) -> None:
    """A row that does not open there either, and one that opens to another DEK than the row here is of, are named."""
    refs = await accounts.backed_up(3)
    broken, other, lost = refs
    await accounts.there.patch_item(broken.id, broken.id, [{"op": "set", "path": "/wrappedDek", "value": GARBAGE}])
    await accounts.there.patch_item(lost.id, lost.id, [{"op": "set", "path": "/wrappedDek", "value": GARBAGE}])
    await accounts.change(broken, wrappedDek=encoded(b"y" * 256))
    await accounts.change(other, wrappedDek=GARBAGE, keyCheck=encoded(bytes(16)))
    await accounts.lose([lost])
    before = await accounts.rows()

    compared = await accounts.restore(ids=[ref.id for ref in refs] + ["unknown"])

    reasons = {row.id: row.reason for row in compared.left}
    refused = QuarantineReason.UNWRAP_REFUSED
    assert await accounts.rows() == before
    assert reasons == {broken.id: refused, lost.id: refused, other.id: QuarantineReason.KEY_CHECK_MISMATCH}
    assert compared.absent == ["unknown"]
    named = (await accounts.record(compared.run_id)).quarantined.named
    assert {row.id for row in named} == {ref.id for ref in refs}
    assert all(isinstance(row, QuarantinedRow) for row in named)


async def test_rows_of_a_retired_version_wait_for_a_restore(accounts: TwoAccounts) -> None:
    """A missing one is copied, and a damaged one where both have the same key check: more cannot be tried."""
    refs = await accounts.backed_up(3)
    missing, damaged, unsure = refs
    await accounts.local.mek.create()
    await accounts.lose([missing])
    await accounts.change(damaged, wrappedDek=GARBAGE, mekVersion="0" * 32)
    await accounts.change(unsure, wrappedDek=GARBAGE, mekVersion="0" * 32, keyCheck=encoded(bytes(16)))
    await accounts.local.mek.change(accounts.harness.old, enabled=False)

    compared = await accounts.restore()

    assert compared.copied == {Found.MISSING: 1, Found.DAMAGED: 1}
    assert compared.retired == {accounts.harness.old}
    assert [(row.id, row.reason) for row in compared.left] == [(unsure.id, QuarantineReason.VERSION_DISABLED)]
    await accounts.local.mek.change(accounts.harness.old, enabled=True)
    assert await accounts.local.unwrapped(damaged) == accounts.local.deks[damaged.id]


@pytest.mark.parametrize("missing_only", [False, True])
async def test_a_dry_run_changes_nothing(accounts: TwoAccounts, missing_only: bool) -> None:  # noqa: FBT001 - a parameter
    """It shows what would be copied, and leaves neither a row nor a record."""
    refs = await accounts.backed_up(4)
    await accounts.lose(refs[:1])
    await accounts.change(refs[1], wrappedDek=GARBAGE)
    before, records = await accounts.rows(), await accounts.harness.documents()

    compared = await accounts.restore(dry_run=True, missing_only=missing_only)

    damaged = {Found.PRESENT: 1} if missing_only else {Found.DAMAGED: 1}
    assert (await accounts.rows(), await accounts.harness.documents()) == (before, records)
    assert compared.found == {Found.MISSING: 1, **damaged, Found.SAME: 2}
    assert compared.copied == {Found.MISSING: 1, **({} if missing_only else damaged)}
    assert compared.run_id is None


async def test_only_missing_rows_and_only_these_ids(accounts: TwoAccounts) -> None:
    """What else there would be to copy is left alone."""
    refs = await accounts.backed_up(6)
    await accounts.lose(refs[:2])
    await accounts.change(refs[2], wrappedDek=GARBAGE)
    before = await accounts.rows()

    by_id = await accounts.restore(ids=[refs[0].id, refs[3].id])
    await accounts.check_copied(refs[:1], before)
    missing = await accounts.restore(missing_only=True)

    await accounts.check_copied(refs[:2], before)
    assert (by_id.copied, missing.copied) == ({Found.MISSING: 1}, {Found.MISSING: 1})


async def test_a_fence_of_the_backup_keeps_no_run_out(accounts: TwoAccounts) -> None:
    """Where the records were lost too, rows of the backup have greater fences than any run to come."""
    refs = await accounts.backed_up(2, fence=999)
    await accounts.lose(refs[:1])

    compared = await accounts.restore()

    record = await accounts.record(compared.run_id)
    assert (await accounts.local.item(refs[0]))["fence"] == record.fencing_token < 999


async def test_copied_rows_are_explained(accounts: TwoAccounts) -> None:
    """The next rotation does not take them for planted rows; a row that is planted is named."""
    began = datetime.now(UTC) - timedelta(hours=1)
    refs = await accounts.backed_up(3, rotationId="notes.20261101T030000Z.abcdef", createdAt="2026-01-01T00:00:00Z")
    await accounts.lose(refs[:2])
    compared = await accounts.restore()
    record = await accounts.record(compared.run_id)
    assert record.ended_at is not None
    copies = [(record.fencing_token, record.requested_at, record.ended_at)]

    provenance = Provenance(accounts.local.store, Since(began, {}, copies=copies))

    assert provenance.changed is not None
    assert await provenance.first(provenance.changed, 10) == [refs[2].id]
    assert base64.b64decode((await accounts.local.item(refs[0]))["keyCheck"])
