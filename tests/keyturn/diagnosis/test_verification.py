"""A keyring verified against the store, the vault and the backend: what is wrong is found, whatever a record says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.identity.aio import DefaultAzureCredential

from keyturn.contracts.base import Policy
from keyturn.deks.queries import Conditions
from keyturn.diagnosis import feed_scan, verification
from keyturn.diagnosis.verification import (
    Part,
    Verification,
    VerificationRequest,
    data_explorer_query,
    verify_part,
)
from keyturn.errors import InvalidRequestError, NotSettledError
from keyturn.key_vault.versions import ROTATION_TAG, UNUSED_TAG
from keyturn.preflight.results import Outcome
from keyturn.runs import budget
from keyturn.runs.store import RotationStore
from tests.keyturn.diagnosis.damaged_documents import DamagedDocuments
from tests.keyturn.runs.lifecycle import new_keyring, start_run

pytestmark = pytest.mark.usefixtures("mixed_types")

POLICY = Policy(vault_operations_per_second=400)


class Verified:
    """Verifies the keyring of the documents."""

    def __init__(self, damaged: DamagedDocuments, runs: RotationStore) -> None:
        self.damaged, self.runs = damaged, runs

    async def part(self, part: Part, **more: Any) -> Verification:
        """Verify a part once."""
        request = VerificationRequest(part=part, **more)
        async with DefaultAzureCredential() as credential:
            return await verify_part(
                self.damaged.keyring, self.runs, POLICY, request, credential=credential, now=datetime.now(UTC)
            )

    async def problems(self, part: Part, **more: Any) -> dict[str, tuple[str, str]]:
        """Return what is wrong, with what to do."""
        found = (await self.part(part, **more)).results
        return {one.id: (one.detail, one.advice) for one in found if one.outcome is not Outcome.OK}

    async def every_row(self) -> tuple[int, dict[str, str]]:
        """Open all rows, in as many calls as it takes: how many opened, and what is wrong with the others."""
        opened, wrong, token = 0, dict[str, str](), None
        while True:
            found = await self.part("rows", rows=None, token=token)
            opened += found.opened
            wrong |= {one.subject: one.detail for one in found.results if one.id == "row"}
            if (token := found.token) is None:
                return opened, wrong


@pytest.fixture
def verified(damaged: DamagedDocuments, runs: RotationStore) -> Verified:
    """A keyring to verify."""
    return Verified(damaged, runs)


async def test_a_keyring_in_order_has_nothing_wrong(verified: Verified) -> None:
    """Every part says what it has looked at."""
    for _ in range(3):
        await verified.damaged.add()

    answers = [await verified.part(part) for part in ("census", "rows", "documents", "probes")]

    assert [one.outcome for answer in answers for one in answer.results] == [Outcome.OK] * (3 + 1 + 4 + 1)
    assert answers[3].results[0].detail == "none are set, so none were looked at: KEYTURN_HEALTH_URLS"
    assert answers[1].opened == 3
    assert answers[0].results[0].detail.startswith("3 rows, 3 on the current version")


async def test_rows_that_were_put_back_are_counted_anew(verified: Verified) -> None:
    """Old rows, and rows without a label, that no record knows of: the census and its query find both."""
    local = verified.damaged.local_keyring
    old = (await local.mek.client.list_versions())[0].version
    await verified.damaged.add()
    current = await local.mek.create()
    await local.add(current)
    await local.add(old, mekVersion=...)

    answer = await verified.part("census")

    (detail, advice) = (await verified.problems("census"))["census"]
    assert f"2 on others ({old}: 1), 1 of them without a label" in detail
    assert advice == f"keyturn migrate rewrap-deks --keyring notes --new-version {current}"
    counted: Any = verified.damaged.keyring.dek_container.query_items(str(answer.query))
    assert sum([value async for value in counted]) == 2


async def test_while_a_run_holds_the_keyring_that_one_is_named(verified: Verified) -> None:
    """It moves the rows, or waits for somebody: another one would be refused."""
    local = verified.damaged.local_keyring
    await local.add((await local.mek.client.list_versions())[0].version)
    await local.mek.create()
    clients, name = verified.damaged.keyring, new_keyring()
    verified.damaged.keyring = replace(clients, keyring=clients.keyring.model_copy(update={"name": name}))
    record = await start_run(verified.runs, name, now=datetime.now(UTC))

    assert (await verified.problems("census"))["census"][1] == f"keyturn watch {record.run_id}"


async def test_a_version_that_was_never_in_use_is_no_target(verified: Verified) -> None:
    """A rotation's new version stays disabled until a backup has it: rows under the one before it are in order."""
    local = verified.damaged.local_keyring
    before = (await local.mek.client.list_versions())[0].version
    await local.add(before)
    await local.mek.create(enabled=False, tags={ROTATION_TAG: "notes.1", UNUSED_TAG: "notes.1"})

    answer = await verified.part("census")

    assert {one.id: one.outcome for one in answer.results if one.outcome is not Outcome.OK} == {}
    assert f"1 on the current version {before}" in answer.results[0].detail
    assert before in str(answer.query)


async def test_with_no_version_enabled_there_is_a_verdict_all_the_same(verified: Verified) -> None:
    """The worst of days: every row is told to be unreadable, and the command does not break off."""
    local = verified.damaged.local_keyring
    version = (await local.mek.client.list_versions())[0].version
    await local.add(version)
    await local.mek.change(version, enabled=False)

    assert f"{version}: 1" in (await verified.problems("census"))["versions"][0]


def test_the_query_holds_its_values_whatever_they_are(damaged: DamagedDocuments) -> None:
    """Quotes in a name stay in their text, and no parameter's name is left."""
    keyring = damaged.keyring.keyring.model_copy(update={"mek_name": 'a"b@targetVersion'})

    query = data_explorer_query(Conditions(keyring, "v" * 32).stale)

    assert 'a\\"b@targetVersion' in query
    assert query.replace('a\\"b@targetVersion', "").count("@") == 0


async def test_versions_that_rows_name_and_retired_ones_are_held_against_the_vault(verified: Verified) -> None:
    """A disabled version that a row names is told, with what moves the row."""
    local = verified.damaged.local_keyring
    old = await local.mek.create()
    await local.add(old)
    await local.mek.create()
    await local.mek.change(old, enabled=False)

    detail, advice = (await verified.problems("census"))["versions"]

    assert f"{old}: 1" in detail
    assert "restore --keyring notes" in advice


@pytest.mark.parametrize("how", ["sample", "all"])
async def test_rows_that_do_not_open_are_named(verified: Verified, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged wrap, with what to do; deleted and foreign rows are no failure, and every page is read."""
    monkeypatch.setattr(feed_scan, "ITEMS_PAGE", 2)
    monkeypatch.setattr(verification, "ROWS_A_CALL", 2)
    local = verified.damaged.local_keyring
    version = (await local.mek.client.enabled_versions())[0]
    rows = [await local.add(version) for _ in range(5)]
    await local.add(version, mekName="another-mek")
    await local.container.patch_item(rows[2].id, rows[2].id, [{"op": "set", "path": "/wrappedDek", "value": "AAAA"}])

    if how == "sample":
        answer = await verified.part("rows")
        opened, wrong = answer.opened, {one.subject: one.detail for one in answer.results if one.id == "row"}
        assert answer.token is None
    else:
        opened, wrong = await verified.every_row()

    assert opened == 4
    assert wrong.keys() == {rows[2].id}


async def test_a_sample_is_no_larger_than_asked(verified: Verified) -> None:
    """And takes what there is where there is less."""
    local = verified.damaged.local_keyring
    version = (await local.mek.client.enabled_versions())[0]
    for _ in range(6):
        await local.add(version)

    assert (await verified.part("rows", rows=4)).opened == 4
    assert (await verified.part("rows", rows=100)).opened == 6


async def test_documents_that_do_not_decrypt_or_lack_a_dek_are_named(verified: Verified) -> None:
    """Canaries are chosen anew; the sample finds a missing row."""
    document = await verified.damaged.add()
    dek_id = document["title"]["dekId"]
    await verified.damaged.local_keyring.container.delete_item(dek_id, partition_key=dek_id)

    found = await verified.problems("documents")

    assert document["id"] in found["canaries"][0]
    where = f"--container {verified.damaged.notes.id} --keyring {verified.damaged.keyring.keyring.name}"
    assert found["canaries"][1] == f"keyturn diagnose document {document['id']} {where}"
    assert f"{document['id']} names {dek_id}" in found["references"][0]


async def test_runs_keep_their_budget(verified: Verified) -> None:
    """While a run holds all of it, nothing is unwrapped; what was claimed is given back at the end."""
    await verified.damaged.add()
    documents, vault = verified.runs.documents, verified.damaged.keyring.keyring.vault_url
    now = datetime.now(UTC)
    whole = POLICY.vault_operations_per_second
    assert await budget.claim(documents, vault, "run", POLICY, whole, now) == whole

    with pytest.raises(NotSettledError):
        await verified.part("rows")

    assert await budget.claim(documents, vault, "run", POLICY, whole, now) == whole / 2
    assert (await verified.part("rows")).opened == 1
    assert await budget.claim(documents, vault, "run", POLICY, whole, now) == whole
    await budget.give_back(documents, vault, "run", now)


@pytest.mark.parametrize("token", ["", "nonsense", "e30="])
async def test_a_token_of_nothing_is_refused(verified: Verified, token: str) -> None:
    """By its name; another scan's is none either."""
    with pytest.raises(InvalidRequestError, match="token"):
        await verified.part("rows", rows=None, token=token)


async def test_a_store_of_another_key_is_not_in_order(verified: Verified) -> None:
    """Nothing is stale, nothing fails to open, and yet: there are rows, and none is of this key."""
    assert await verified.problems("census") == {}
    local = verified.damaged.local_keyring
    await local.fill(2, mekName="another-mek")

    [(detail, advice)] = (await verified.problems("census")).values()

    assert "2 rows, 0 on the current version" in detail
    assert advice.startswith("all 2 rows of the dek store name other keys: compare COSMOS_DATABASE")
