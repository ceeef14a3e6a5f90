"""Both doors to one decision, as tests come to them: a signed message, and an approver's link."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from keyturn.access.caller import Caller
from keyturn.access.identity import read_principal
from keyturn.approval.submission import LinkRequest, decide_by_link
from keyturn.approval.webhook import submit_decision
from keyturn.contracts.states import State
from keyturn.runs.evidence_summary import findings_of, to_look_at
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.access.principals import PERSON_ID, header_of
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET, SOON
from tests.keyturn.runs.lifecycle import APPROVER, bring_to, new_keyring

STRANGER = "whsec_" + base64.b64encode(b"a stranger's secret").decode()


def body_of(record: RotationRecord, **fields: Any) -> bytes:
    """Return the body of an approval of the evidence in force."""
    approval = {
        "rotationId": record.run_id,
        "decision": "approve",
        "evidenceDigest": record.evidence_digest,
        "approver": APPROVER,
    }
    return json.dumps(approval | fields).encode()


def signed(body: bytes, *secrets: str, message: str | None = None, age: timedelta = timedelta(0)) -> dict[str, str]:
    """Return the headers of a message signed by each of the secrets."""
    message, at = message or f"msg_{new_keyring()}", datetime.now(UTC) - age
    return {
        "Webhook-Id": message,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(Webhook(secret).sign(message, at, body.decode()) for secret in secrets),
    }


class Workflow:
    """What stands where the workflow is woken; fails so many times first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.woken: list[str] = []

    async def wake(self, record: RotationRecord) -> None:
        """Note the call."""
        if self.failures:
            self.failures -= 1
            raise ConnectionResetError
        self.woken.append(record.run_id)


async def submit(
    runs: RotationStore,
    headers: Mapping[str, str],
    body: bytes,
    workflow: Workflow,
    sender: str = "",
    *,
    sign_in: bool = False,
) -> RotationRecord:
    """Deliver a message."""
    return await submit_decision(
        runs,
        headers,
        body,
        secrets=[SECRET, NEXT_SECRET],
        sign_in=sign_in,
        sender=sender or new_keyring(),
        wake=workflow.wake,
        now=SOON,
    )


KEYS = Caller(None)


async def requested_by(runs: RotationStore, object_id: str) -> RotationRecord:
    """Return a rotation that waits for a decision, requested by a person who had signed in."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    return await runs.update(record.run_id, lambda run: run.changed(requested_by_id=object_id))


def signed_in(name: str, object_id: str = PERSON_ID) -> Caller:
    """Return an approver whom the platform vouches for."""
    return Caller(read_principal(header_of("Keyturn.Approver", name=name, object_id=object_id)))


def link_request(record: RotationRecord, token: str, caller: Caller = KEYS, sender: str | None = None) -> LinkRequest:
    """Return the request of an approver who opens a link."""
    return LinkRequest(record.run_id, token, caller, sender or new_keyring())


async def decide(
    runs: RotationStore,
    coming: LinkRequest,
    decision: str | None = "approve",
    workflow: Workflow | None = None,
    **more: Any,
) -> RotationRecord:
    """Decide by a link, with a comment and every warning acknowledged unless stated otherwise."""
    wake = (workflow or Workflow()).wake
    comment = more.get("comment", "looked at")
    evidence = (await runs.read(coming.run_id)).evidence or {}
    acknowledged = more.get("acknowledged", [found.key for found in to_look_at(findings_of(evidence))])
    now = more.get("now", SOON)
    return await decide_by_link(runs, coming, decision, comment, acknowledged, secrets=[SECRET], wake=wake, now=now)
