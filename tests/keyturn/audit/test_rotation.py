"""What the rotation's own parts leave in its chain: nothing has to be remembered by whoever calls them."""

import base64
import json
import logging
import os
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from standardwebhooks import Webhook

from keyturn.approval.webhook import submit_decision
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput
from keyturn.errors import (
    DigestMismatchError,
    ForbiddenError,
    RotationRunningError,
    UnauthenticatedError,
    UnavailableError,
    WrongStateError,
)
from keyturn.runs.commands import record_command
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose, record_failure
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.audit.chains import lines
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER, bring_to, start_run, step_to

SECRET = f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


async def audited(audit: AuditLog, record: RotationRecord) -> list[tuple[str, Any]]:
    """Return the chain in short: type and data of each event."""
    found = await audit.read_chain(record.run_id)
    assert verify_chain(lines(found)).broken is None
    return [(item["type"].rpartition(".")[2], item["data"]) for item in found]


async def submit(runs: RotationStore, record: RotationRecord, *, message: str = "m1", **fields: Any) -> RotationRecord:
    """Send a signed decision on the evidence in force, but for what is given."""
    secret = fields.pop("secret", SECRET)
    decision = {"rotationId": record.run_id, "decision": "approve", "approver": APPROVER}
    body = json.dumps({**decision, "evidenceDigest": record.evidence_digest, **fields})
    at = datetime.now(UTC)
    headers = {
        "webhook-id": f"{message}-{record.run_id}",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(f"{message}-{record.run_id}", at, body),
    }

    async def wake(_record: RotationRecord) -> None:
        return

    return await submit_decision(
        runs, headers, body.encode(), secrets=[SECRET], sign_in=False, sender="tests", wake=wake, now=NOW
    )


async def test_every_step_is_in_the_chain_when_it_is_done(runs: RotationStore, audit: AuditLog) -> None:
    """A rotation that is advanced needs nobody to append for it."""
    record = await bring_to(runs, State.COMPLETED)

    changes = [data["to"] for kind, data in await audited(audit, record) if kind == "state_changed"]

    assert [entry.target for entry in record.history] == changes


async def test_a_crash_between_a_step_and_its_event_is_repaired_by_the_retry(
    runs: RotationStore, audit: AuditLog, cosmos: LocalCosmos
) -> None:
    """The step was written and its event was not: the activity is run again, and the event is there once."""
    record = await bring_to(runs, State.PREFLIGHT)

    cosmos.fault(operation="batch", kind="reset_before", count=None)
    with pytest.raises(UnavailableError):
        await step_to(runs, record, State.CREATING_VERSION)
    cosmos.clear_faults()
    before = await audited(audit, record)
    await step_to(runs, record, State.CREATING_VERSION)
    after = await audited(audit, record)

    assert State.CREATING_VERSION is (await runs.read(record.run_id)).state
    assert after[:-1] == before
    assert (after[-1][0], after[-1][1]["to"]) == ("state_changed", "creating_version")


async def test_a_decision_is_in_the_chain_when_it_is_answered(runs: RotationStore, audit: AuditLog) -> None:
    """Who decided what, on which digest, once however often the message comes."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    await submit(runs, record)
    decided = [data for kind, data in await audited(audit, record) if kind == "decision_taken"]

    by: dict[str, Any] = {"by": APPROVER, "digest": record.evidence_digest, "comment": "", "acknowledged": []}
    assert [{"decision": "approved", **by}] == decided


REFUSED = pytest.mark.parametrize(
    ("fields", "error", "by"),
    [
        ({"secret": f"whsec_{base64.b64encode(bytes(32)).decode()}"}, UnauthenticatedError, None),
        ({"evidenceDigest": "0" * 64}, DigestMismatchError, APPROVER),
        ({"approver": REQUESTER}, ForbiddenError, REQUESTER),
    ],
    ids=["forged", "other evidence", "the requester"],
)


@REFUSED
async def test_a_refused_decision_is_audited(
    runs: RotationStore, audit: AuditLog, fields: dict[str, Any], error: type[Exception], by: str | None
) -> None:
    """The rule and the person, where the signature says that it is one; nothing that a forger wrote."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    with pytest.raises(error):
        await submit(runs, record, **fields)
    refused = [data for kind, data in await audited(audit, record) if kind == "attempt_refused"]

    assert [(data["attempt"], data["by"], data["error"]) for data in refused] == [("decide", by, error.__name__)]


@REFUSED
async def test_a_refused_decision_is_logged_once_and_reads_the_chains_end_once(
    runs: RotationStore,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    error: type[Exception],
    by: str | None,
) -> None:
    """One door audits it, in one conditional append; the requests are those that the SDK logs."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    reads_end = re.compile(rf"/docs/{re.escape(record.run_id)}:audit/?'\nRequest method: 'GET'")

    with caplog.at_level(logging.INFO, "azure"), pytest.raises(error):
        await submit(runs, record, **fields)

    own = [logged.getMessage() for logged in caplog.records if logged.name.startswith("keyturn")]
    sent = [logged.getMessage() for logged in caplog.records if logged.name.startswith("azure")]
    assert own == [f"refused to decide {record.run_id}: {error.__name__}"]
    assert len([message for message in sent if reads_end.search(unquote(message))]) == 1


async def test_a_replayed_decision_is_audited(runs: RotationStore, audit: AuditLog) -> None:
    """A message that was handled and comes again is a refused attempt by nobody who is known."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    await submit(runs, record)
    with pytest.raises(UnauthenticatedError):
        await submit(runs, record)
    chain = await audited(audit, record)

    assert [kind for kind, _ in chain[-2:]] == ["decision_taken", "attempt_refused"]
    assert chain[-1][1]["by"] is None


async def test_commands_and_refused_ones_are_audited(runs: RotationStore, audit: AuditLog) -> None:
    """An abort that was taken and a retry that could not be, each with its giver."""
    record = await bring_to(runs, State.SWEEPING)

    with pytest.raises(WrongStateError):
        await record_command(runs, record.run_id, "retry", by="olga", now=NOW)
    await record_command(runs, record.run_id, "abort", by="olga", now=NOW)
    chain = await audited(audit, record)

    assert [(kind, data.get("attempt") or data.get("command")) for kind, data in chain[-2:]] == [
        ("attempt_refused", "retry"),
        ("command_given", "abort"),
    ]
    assert [data["by"] for _, data in chain[-2:]] == ["olga", "olga"]


async def test_a_refused_start_is_audited_by_the_rotation_that_runs(runs: RotationStore, audit: AuditLog) -> None:
    """A second start of a keyring is a refused attempt on the first."""
    record = await bring_to(runs, State.PREFLIGHT)

    with pytest.raises(RotationRunningError):
        await start_run(runs, record.keyring)
    kind, data = (await audited(audit, record))[-1]

    assert (kind, data["attempt"], data["by"]) == ("attempt_refused", "start", REQUESTER)


async def test_failures_are_audited(runs: RotationStore, audit: AuditLog) -> None:
    """A rotation that fails, and one whose workflow was lost, say so in their chains."""
    failed, lost = await bring_to(runs, State.SWEEPING), await start_run(runs)
    failure = {"step": failed.step + 1, "error_type": "UnavailableError", "message": "the vault did not answer"}

    await record_failure(runs, FailureInput(run=failed.ref, **failure, retire_attempted=False), NOW)
    await lose(runs, lost.run_id, "the workflow was lost", NOW)

    for record, detail in ((failed, "UnavailableError"), (lost, "WorkflowLostError")):
        kind, data = (await audited(audit, record))[-1]
        assert (kind, data["to"], data["detail"]) == ("state_changed", "failed", detail)
