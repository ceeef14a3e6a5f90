"""One row that does not open is put back on its previous wrap, and nothing else is ever written."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, override

import pytest

from keyturn.audit.log import AuditLog
from keyturn.contracts.states import State
from keyturn.deks.store import DekStore, WriteResult
from keyturn.diagnosis import repair
from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.models import Verdict
from keyturn.diagnosis.repair import Repaired, repair_row
from keyturn.errors import KeyturnError, LostRaceError, RotationRunningError, WrongStateError
from keyturn.keyring_clients import KeyringClients
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import EveryRun, RotationStore
from tests.keyturn.diagnosis.damaged_documents import DamagedDocuments, flipped, rewrapped
from tests.keyturn.local_keyring import encoded
from tests.keyturn.runs.lifecycle import NOW, PATHS, new_keyring, start_run, step_to

DECIDED: dict[str, Any] = {"by": "olga@example.com", "reason": "its wrap does not open", "now": NOW}


class Ward:
    """A keyring whose rotation has left a row, and the order to repair it."""

    def __init__(self, damaged: DamagedDocuments, runs: RotationStore, run: RotationRecord | None) -> None:
        self.damaged, self.runs, self.run = damaged, EveryRun(runs.documents), run
        self.keyring = damaged.resources(name=run.keyring if run is not None else new_keyring())

    async def broken(self, **harm: Any) -> dict[str, Any]:
        """Return a document whose row was rewrapped and then harmed: another byte in its wrap, unless told."""
        document = await self.damaged.add()
        await rewrapped(self.damaged, document)
        wrap = (await self.damaged.row(document))["wrappedDek"]
        await self.damaged.change_row(document, **(harm or {"wrappedDek": flipped(wrap, 100)}))
        return document

    async def order(self, document: dict[str, Any], keyring: KeyringClients | None = None) -> Repaired:
        """Order the repair."""
        return await repair_row(self.runs, keyring or self.keyring, document["title"]["dekId"], **DECIDED)

    async def refused(self, document: dict[str, Any], error: type[KeyturnError]) -> KeyturnError:
        """Return the refusal; the row is as it was."""
        before = await self.damaged.row(document)
        with pytest.raises(error) as raised:
            await self.order(document)
        assert await self.damaged.row(document) == before
        return raised.value


@pytest.fixture
async def ward(damaged: DamagedDocuments, runs: RotationStore) -> Ward:
    """A keyring whose last rotation has completed."""
    return Ward(damaged, runs, await in_state(runs, State.COMPLETED))


async def in_state(runs: RotationStore, state: State) -> RotationRecord:
    """Return a rotation in this state, of a keyring of its own."""
    record = await start_run(runs)
    for target in PATHS[state]:
        record = await step_to(runs, record, target)
    return record


HARMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another byte": lambda row: {"wrappedDek": flipped(row["wrappedDek"], 100)},
    "no base64": lambda _row: {"wrappedDek": "?"},
    "no wrap": lambda _row: {"wrappedDek": ...},
    "another algorithm": lambda _row: {"algorithm": "RSA1_5"},
    "a label that is none": lambda _row: {"mekVersion": "not a version!"},
    "no key check either": lambda row: {"wrappedDek": flipped(row["wrappedDek"], 100), "keyCheck": ...},
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_row_is_put_back(ward: Ward, audit: AuditLog, harm: str) -> None:
    """Both wraps change places, the row opens under the version that it came from, and the order is in the chain."""
    document = await ward.broken(rotationId="x")
    await ward.damaged.change_row(document, **HARMS[harm](await ward.damaged.row(document)))
    before = await ward.damaged.row(document)

    repaired = await ward.order(document)

    row = await ward.damaged.row(document)
    assert ward.run is not None
    assert row["wrappedDek"] == before["previousWrap"]["wrappedDek"]
    assert row["previousWrap"]["wrappedDek"] == before.get("wrappedDek")
    assert (await diagnose_dek(ward.keyring, row["id"])).unwraps
    assert (repaired.mek_version, repaired.run_id) == (row["mekVersion"], ward.run.run_id)
    assert row["fence"] == ward.run.fencing_token
    last = (await audit.read_chain(ward.run.run_id))[-1]
    assert last["type"].endswith("row_repair_ordered")
    assert {"dekId": row["id"], "by": DECIDED["by"], "reason": DECIDED["reason"]}.items() <= last["data"].items()


async def test_the_diagnosis_names_the_command(ward: Ward) -> None:
    """It can be pasted: with the row's own id."""
    document = await ward.broken()

    found = await diagnose_dek(ward.keyring, document["title"]["dekId"])

    assert found.verdict is Verdict.PREVIOUS_WRAP_OPENS
    for told in (found, await ward.damaged.diagnose(document)):
        command = f"keyturn repair dek {document['title']['dekId']} --keyring {told.keyring}"
        assert told.next_step.endswith(f"{command} --reason 'its wrap does not open'")


async def test_a_row_that_opens_is_left_alone(ward: Ward) -> None:
    """So is one that was repaired: the order given twice changes nothing the second time."""
    document = await ward.broken()
    await ward.order(document)

    refused = await ward.refused(document, WrongStateError)

    assert "the row is not repaired" in refused.message


async def test_a_sound_row_is_not_put_back_on_a_wrap_that_opens_too(ward: Ward) -> None:
    """An old version is no place to be without need."""
    document = await ward.damaged.add()
    await rewrapped(ward.damaged, document)
    assert (await ward.damaged.diagnose_dek(document)).previous_wrap == "holds"

    await ward.refused(document, WrongStateError)


@pytest.mark.parametrize(
    "previous",
    [None, {"mekVersion": "0" * 32}, {"wrappedDek": encoded(bytes(256))}, {"algorithm": ...}],
    ids=["none", "a version that is not there", "another wrap", "no algorithm"],
)
async def test_without_a_previous_wrap_that_opens_nothing_is_written(
    ward: Ward, previous: dict[str, Any] | None
) -> None:
    """What does not open is not exchanged for what does not open either."""
    document = await ward.broken()
    whole = (await ward.damaged.row(document))["previousWrap"]
    changed = {name: value for name, value in {**whole, **(previous or {})}.items() if value is not ...}
    await ward.damaged.change_row(document, previousWrap=changed if previous is not None else ...)

    await ward.refused(document, WrongStateError)


async def test_a_previous_wrap_of_another_dek_is_not_put_back(ward: Ward) -> None:
    """It opens, and does not fit the key check."""
    document, other = await ward.broken(), await ward.damaged.add()
    wrap = await ward.damaged.row(other)
    previous = {name: wrap[name] for name in ("mekVersion", "wrappedDek", "algorithm")}
    await ward.damaged.change_row(document, previousWrap=previous)

    await ward.refused(document, WrongStateError)


async def test_a_run_at_work_keeps_its_keyring(damaged: DamagedDocuments, runs: RotationStore) -> None:
    """The refusal names the run."""
    run = await in_state(runs, State.SWEEPING)
    ward = Ward(damaged, runs, run)

    refused = await ward.refused(await ward.broken(), RotationRunningError)

    assert refused.facts["rotationId"] == run.run_id


async def test_a_run_that_needs_attention_lets_a_row_be_repaired(
    damaged: DamagedDocuments, runs: RotationStore
) -> None:
    """And is the next thing to be told to try again."""
    run = await in_state(runs, State.NEEDS_ATTENTION)
    ward = Ward(damaged, runs, run)

    repaired = await ward.order(await ward.broken())

    assert repaired.next_step == f"keyturn retry {run.run_id}"


async def test_without_a_run_nothing_keeps_the_order(damaged: DamagedDocuments, runs: RotationStore) -> None:
    """So nothing is written; a dry run is enough."""
    ward = Ward(damaged, runs, None)

    refused = await ward.refused(await ward.broken(), WrongStateError)

    assert refused.hint.endswith(f"keyturn rotate --keyring {ward.keyring.keyring.name} --dry-run")


class Raced(DekStore):
    """Another writer is always faster."""

    @override
    async def exchange(self, row: Any, fence: int) -> WriteResult:
        await self.container.patch_item(row.id, row.id, [{"op": "set", "path": "/touched", "value": row.etag}])
        return await super().exchange(row, fence)


async def test_what_another_wrote_meanwhile_is_not_undone(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write holds only for the row as it was read."""
    document = await ward.broken()
    before = await ward.damaged.row(document)
    monkeypatch.setattr(repair, "RACES_MAX", 2)
    raced = replace(ward.keyring, rows=Raced(ward.keyring.dek_container, ward.keyring.keyring))

    with pytest.raises(LostRaceError):
        await ward.order(document, raced)

    assert (await ward.damaged.row(document))["wrappedDek"] == before["wrappedDek"]


async def test_a_later_runs_row_is_not_written(ward: Ward, runs: RotationStore) -> None:
    """The store itself refuses it: the fence of the row is greater than the keyring's."""
    document = await ward.broken(fence=99)
    wrap = (await ward.damaged.row(document))["wrappedDek"]
    await ward.damaged.change_row(document, wrappedDek=flipped(wrap, 100))

    with pytest.raises(LostRaceError):
        await ward.order(document)

    assert (await ward.damaged.row(document))["fence"] == 99
