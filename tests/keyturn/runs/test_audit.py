"""The audit follows the record: whatever a record tells of is in the chain once, in the order in which it happened."""

from datetime import timedelta
from typing import Any

import pytest

from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Restore
from keyturn.contracts.pages import QuarantinedRow, UnexplainedRow
from keyturn.contracts.states import State
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.audit import audit_record, events_of, undone_retirement
from keyturn.runs.commands import record_command
from keyturn.runs.progress import with_quarantined
from keyturn.runs.record_parts import Check, Decision, HistoryEntry, Preflight, Provenance
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.audit.chains import lines
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER, bring_to, make_record, start_run, step_to

ROW = QuarantinedRow(id="row 1", reason="unwrap_refused", mek_version="old")


def audited(record: RotationRecord) -> list[str]:
    """Return what the record tells of, in short."""
    return [found.type.removeprefix("dev.keyturn.rotation.") for found in events_of(record, NOW)]


async def test_a_whole_rotation_is_audited(runs: RotationStore, audit: AuditLog) -> None:
    """Every state change, the evidence and the decision are events, with the person who brought each about."""
    record = await bring_to(runs, State.COMPLETED)

    await audit_record(audit, record, NOW)
    found = await audit.read_chain(record.run_id)
    changes = [item["data"] for item in found if item["type"].endswith("state_changed")]
    [frozen] = [item["data"] for item in found if item["type"].endswith("evidence_frozen")]
    [decided] = [item["data"] for item in found if item["type"].endswith("decision_taken")]

    assert [entry.target for entry in record.history] == [change["to"] for change in changes]
    assert (changes[0]["by"], changes[6]["by"]) == (REQUESTER, APPROVER)
    assert record.evidence_digest == frozen["digest"] == decided["digest"]
    assert (decided["decision"], decided["by"]) == ("approved", APPROVER)
    assert verify_chain(lines(found)).broken is None


async def test_following_again_adds_what_is_new(runs: RotationStore, audit: AuditLog) -> None:
    """A record that was followed before adds nothing; one that went on adds the rest, and an older copy nothing."""
    early = await bring_to(runs, State.SWEEPING)

    first = await audit_record(audit, early, NOW)
    again = await audit_record(audit, early, NOW + timedelta(hours=1))
    late = await step_to(runs, early, State.SOAKING)
    await audit_record(audit, late, NOW)
    last = await audit_record(audit, early, NOW)

    assert first is not None
    assert first == again
    assert last is not None
    assert first.sequence + 1 == last.sequence


async def test_a_command_is_audited_with_its_giver(runs: RotationStore) -> None:
    """An operator's retry is an event of its own, beside the change that it brings about."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    commanded = await record_command(runs, record.run_id, "retry", by="olga", now=NOW)

    assert audited(commanded)[len(audited(record)) :] == ["command_given"]


@pytest.mark.parametrize("waived", [True, False])
async def test_a_waived_check_is_audited_with_its_reason(runs: RotationStore, *, waived: bool) -> None:
    """Who waived the check, why, and what was found; a check that passed is no event."""
    record = await start_run(runs, waivers=[{"check": "backup", "why": "snapshot taken"}])
    checks = [Check(name="backup", outcome="waived" if waived else "pass", detail="no continuous backup")]

    checked = record.changed(preflight=Preflight(at=NOW, checks=checks))
    data = [found.data.to_payload() for found in events_of(checked, NOW) if found.type.endswith("check_waived")]

    expected = {"check": "backup", "by": REQUESTER, "why": "snapshot taken", "found": "no continuous backup"}
    assert ([expected] if waived else []) == data


async def test_a_row_that_is_quarantined_again_is_audited_again(runs: RotationStore, audit: AuditLog) -> None:
    """Within a sweep a row is one event; in the sweep after a retry it is another."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    quarantined = with_quarantined(record, [ROW])

    once = await audit_record(audit, quarantined, NOW)
    twice = await audit_record(audit, quarantined, NOW)
    swept = await step_to(runs, record, State.SWEEPING)
    await audit_record(audit, with_quarantined(swept, [ROW]), NOW)
    found = await audit.read_chain(record.run_id)
    rows = [item["data"]["row"] for item in found if item["type"].endswith("row_quarantined")]

    assert once == twice
    assert [ROW.to_payload()] * 2 == rows


@pytest.mark.parametrize("count", [0, 1, 30])
def test_unexplained_rows_are_audited_once(count: int) -> None:
    """How many there are and the first of them, in one event; none where every row is as it was left."""
    named = [UnexplainedRow(id=f"row {number}", reason="changed") for number in range(count)]
    record = make_record(target_version="new", provenance=Provenance(since="r", created=7, count=count, named=named))

    found = [found.data.to_payload() for found in events_of(record, NOW) if found.type.endswith("rows_unexplained")]

    first = [{"id": f"row {number}", "reason": "changed"} for number in range(min(count, 10))]
    assert ([{"since": "r", "count": count, "named": first}] if count else []) == found


def test_versions_are_audited() -> None:
    """The version that was made, those that were disabled and those that were enabled again."""
    record = make_record(target_version="new", old_versions=["old"], retired=["old"], reinstated=["old"])

    data = {found.type.rpartition(".")[2]: found.data.to_payload() for found in events_of(record, NOW)}

    assert data["version_created"] == {"version": "new", "replaces": ["old"]}
    assert data["versions_retired"] == {"versions": ["old"], "digest": None, "approvedBy": None}
    assert data["versions_reinstated"] == {"versions": ["old"]}


async def test_a_retirement_that_was_undone_is_audited(runs: RotationStore) -> None:
    """Disabled and enabled again in one step is two events, and none where nothing was disabled."""
    record = await bring_to(runs, State.RETIRING)

    undone = [found.data.to_payload() for found in undone_retirement(record, ["old"], NOW)]

    retired = {"versions": ["old"], "digest": record.evidence_digest, "approvedBy": APPROVER}
    assert [retired, {"versions": ["old"]}] == undone
    assert undone_retirement(record, [], NOW) == []


async def test_a_second_attempt_to_retire_is_audited_apart(runs: RotationStore, audit: AuditLog) -> None:
    """The same versions disabled in a later attempt are another event."""
    record = await bring_to(runs, State.RETIRING)
    again = record
    for target in (State.SWEEPING, State.SOAKING, State.AWAITING_APPROVAL, State.RETIRING):
        again = await step_to(runs, again, target)

    await audit.append(record.run_id, undone_retirement(record, ["old"], NOW))
    await audit_record(audit, again.changed(retired=["old"]), NOW)
    found = await audit.read_chain(record.run_id)

    assert [item["type"].rpartition(".")[2] for item in found].count("versions_retired") == 2


def test_versions_that_a_restore_enables_and_disables_are_audited() -> None:
    """With whose approval, and on which evidence; another look of the same restore is another event."""
    decision = Decision(decision="approved", by=APPROVER, digest="d", at=NOW)
    record = make_restore(
        temporarily_enabled=["old"], disabled_again=["old"], frozen_at_step=1, evidence_digest="d", decision=decision
    )

    data = {found.type.rpartition(".")[2]: found.data.to_payload() for found in events_of(record, NOW)}
    keys = {found.key for found in events_of(record, NOW)}
    later = {found.key for found in events_of(record.changed(frozen_at_step=5), NOW)}

    assert data["versions_lent"] == {"versions": ["old"], "digest": "d", "approvedBy": APPROVER}
    assert data["versions_returned"] == {"versions": ["old"]}
    assert keys - later == {"lent:1:old", "returned:1:old"}


def make_restore(**fields: Any) -> MigrationRecord:
    """Return a restore's record that is stored nowhere."""
    values: dict[str, Any] = {
        "run_id": new_run_id(RunKind.MIGRATION, "default", NOW),
        "keyring": "default",
        "history": [HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor=REQUESTER)],
        "requested_by": REQUESTER,
        "requested_at": NOW,
        "policy": Policy(),
        "instance_id": "migration-default",
        "fencing_token": 1,
        "work": Restore(),
    }
    return MigrationRecord(**{**values, **fields})
