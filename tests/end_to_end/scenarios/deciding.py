"""Deciding: by somebody else, once, on exactly the evidence in force, and never lost."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import aiohttp
import rfc8785
from standardwebhooks import Webhook

from tests.end_to_end.facts import everything_moved
from tests.end_to_end.scenario_run import Scenario, ScenarioRun, after, approve, armed, held, reject, released, then

ASKED = "requested preflight creating_version sweeping soaking awaiting_approval"
WRONG_DIGEST = "0" * 64
FORGER = "whsec_" + "Zm9yZ2VyIQ==" * 4


async def _decisions_that_are_refused(scenario_run: ScenarioRun) -> None:
    """The requester's, one on other evidence, and a second one."""
    digest = (await scenario_run.reaches("awaiting_approval"))["evidenceDigest"]
    own = await scenario_run.decide(approver="Dana@Example.com ")
    wrong = await scenario_run.callers.decide(scenario_run.run_id, WRONG_DIGEST)
    await approve(scenario_run)
    again = await scenario_run.callers.decide(
        scenario_run.run_id, digest, decision="reject", approver="kim@example.com"
    )

    assert own.status == HTTPStatus.FORBIDDEN
    assert (wrong.status, wrong.body["evidenceDigest"]) == (HTTPStatus.CONFLICT, digest)
    assert wrong.body["type"] == "urn:keyturn:problem:evidence-changed"
    assert again.status == HTTPStatus.CONFLICT


async def _digest_is_of_the_canonical_evidence(scenario_run: ScenarioRun) -> None:
    """The digest is the SHA-256 of the evidence's RFC 8785 form, and the decision is bound to it."""
    record = await scenario_run.record()
    digest = hashlib.sha256(rfc8785.dumps(record["evidence"])).hexdigest()

    assert record["evidenceDigest"] == record["decision"]["digest"] == digest
    assert record["decision"]["by"] == "sam@example.com"
    expected = {"oldVersions", "targetVersion", "census", "proof", "canaries", "probes", "waivedChecks", "policy"}
    assert expected < record["evidence"].keys()
    assert {canary["outcome"] for canary in record["evidence"]["canaries"]} == {"pass"}
    assert len(record["evidence"]["probes"]) == 3


async def _messages_that_are_not_authentic(scenario_run: ScenarioRun) -> None:
    """Forged, too old, unsigned and altered ones are refused alike, and no event reaches the workflow."""
    digest = (await scenario_run.reaches("awaiting_approval"))["evidenceDigest"]
    body = json.dumps({"rotationId": scenario_run.run_id, "decision": "approve", "evidenceDigest": digest}).encode()
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(FORGER).sign("msg_1", now, body.decode()),
    }
    answers = [
        await scenario_run.callers.decide(scenario_run.run_id, digest, secret=FORGER),
        await scenario_run.callers.decide(scenario_run.run_id, digest, at=now - timedelta(minutes=6)),
        await scenario_run.callers.call("POST", "/api/approvals", data=body),
        await scenario_run.callers.call("POST", "/api/approvals", data=body + b" ", headers=signed),
    ]

    assert [answer.status for answer in answers] == [HTTPStatus.UNAUTHORIZED] * 4
    assert (await scenario_run.record())["decision"] is None
    assert _events_raised(scenario_run) == 0


async def _a_message_that_comes_again(scenario_run: ScenarioRun) -> None:
    assert (await scenario_run.decide("reject", message_id="msg_once")).status == HTTPStatus.OK
    ended = await scenario_run.reaches("rejected")
    raised = _events_raised(scenario_run)
    replayed = await scenario_run.callers.decide(
        scenario_run.run_id, ended["evidenceDigest"], decision="reject", message_id="msg_once"
    )

    assert replayed.status == HTTPStatus.UNAUTHORIZED
    assert (raised, _events_raised(scenario_run)) == (1, 1)


def _events_raised(scenario_run: ScenarioRun) -> int:
    """Count the events that the workflow was sent over all its generations, however often each was delivered."""
    sent: int = scenario_run.app.history(f"rotation-{scenario_run.app.keyring}")["eventsSent"]
    return sent


async def _host_starts_again(scenario_run: ScenarioRun) -> None:
    azure = scenario_run.app.azure
    azure.processes["functions_host"].kill()
    await asyncio.to_thread(azure.start, "functions_host")


async def _approval_without_an_answer(scenario_run: ScenarioRun) -> None:
    """The host dies after it has written the decision and before it could say so; it is delivered again."""
    digest = (await scenario_run.reaches("awaiting_approval"))["evidenceDigest"]
    async with scenario_run.app.keep_alive(scenario_run.app.azure, "functions_host") as restarts:
        try:
            await scenario_run.callers.decide(scenario_run.run_id, digest, message_id="msg_retried")
        except aiohttp.ClientError:
            scenario_run.kept["unanswered"] = True

        async def back() -> bool:
            return restarts.count == 1

        await scenario_run.until(back)
    assert scenario_run.kept["unanswered"]


async def _too_late(scenario_run: ScenarioRun) -> None:
    ended = await scenario_run.reaches("expired")
    late = await scenario_run.callers.decide(scenario_run.run_id, ended["evidenceDigest"])

    assert late.status == HTTPStatus.GONE
    await scenario_run.hears("approval_reminder")
    await scenario_run.hears("expired")


async def _stale_row_then_approve(scenario_run: ScenarioRun) -> None:
    """After the evidence was frozen a row is written under the old version; the approval comes nevertheless."""
    scenario_run.kept["digest"] = (await scenario_run.reaches("awaiting_approval"))["evidenceDigest"]
    scenario_run.kept["row"] = await scenario_run.app.add_row(scenario_run.old_version)
    await approve(scenario_run)


async def _ask_again(scenario_run: ScenarioRun) -> None:
    """There is a new round with a new digest; the old one approves nothing any more."""

    async def other_digest() -> bool:
        status = await scenario_run.status()
        waits: bool = status["state"] == "awaiting_approval"
        return waits and bool(status["evidenceDigest"] != scenario_run.kept["digest"])

    await scenario_run.until(other_digest)
    old = await scenario_run.callers.decide(
        scenario_run.run_id, scenario_run.kept["digest"], approver="kim@example.com"
    )

    assert (old.status, old.body["evidenceDigest"]) == (
        HTTPStatus.CONFLICT,
        (await scenario_run.status())["evidenceDigest"],
    )
    assert (await scenario_run.app.versions())[scenario_run.old_version] is True
    await scenario_run.hears("approval_void")


async def _voided_decision_is_kept(scenario_run: ScenarioRun) -> None:
    record = await scenario_run.record()

    assert [decision["digest"] for decision in record["decisions"]] == [scenario_run.kept["digest"]]
    assert record["decision"]["digest"] != scenario_run.kept["digest"]


async def _remove_row(scenario_run: ScenarioRun) -> None:
    await scenario_run.app.delete_row(scenario_run.kept["row"])


SCENARIOS = {
    "the requester, a decision on other evidence and a second decision are refused; the one that counts retires": (
        Scenario(callers=_decisions_that_are_refused, facts=(_digest_is_of_the_canonical_evidence, everything_moved))
    ),
    "forged, old, unsigned and altered messages: refused with nothing raised; rejected by an authentic one": Scenario(
        callers=then(_messages_that_are_not_authentic, reject), path=f"{ASKED} rejected"
    ),
    "a rejection comes again after it was handled: refused with nothing raised": Scenario(
        callers=_a_message_that_comes_again, path=f"{ASKED} rejected"
    ),
    "nobody decides: reminded, then expired, and a late decision is refused": Scenario(
        settings="little patience", callers=_too_late, path=f"{ASKED} expired"
    ),
    "the host starts again while a decision is waited for: the approval is not lost": Scenario(
        callers=then(after("awaiting_approval", _host_starts_again), approve), facts=(everything_moved,)
    ),
    "the host dies before it has answered an approval: it counts": Scenario(
        prepared=armed("functions_host", operation="decide_rotation", kind="kill_after"),
        callers=_approval_without_an_answer,
        facts=(everything_moved,),
    ),
    "an approval comes before the wait for it begins: it is not lost": Scenario(
        prepared=held("functions_host", "notify", skip=1),
        callers=then(approve, released("functions_host")),
        facts=(everything_moved,),
    ),
    "a row is written under the old version after the freeze: the approval is void, and another one is asked for": (
        Scenario(
            callers=then(_stale_row_then_approve, _ask_again, approve),
            path=f"{ASKED} sweeping soaking awaiting_approval retiring watching completed",
            facts=(_voided_decision_is_kept, everything_moved),
            tidied=_remove_row,
        )
    ),
}
