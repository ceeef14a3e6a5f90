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
from tests.end_to_end.play import Play, Scenario, after, approve, armed, held, reject, released, then

ASKED = "requested preflight creating_version sweeping soaking awaiting_approval"
WRONG_DIGEST = "0" * 64
FORGER = "whsec_" + "Zm9yZ2VyIQ==" * 4


async def _decisions_that_are_refused(play: Play) -> None:
    """The requester's, one on other evidence, and a second one."""
    digest = (await play.reaches("awaiting_approval"))["evidenceDigest"]
    own = await play.decide(approver="Dana@Example.com ")
    wrong = await play.people.decide(play.run_id, WRONG_DIGEST)
    await approve(play)
    again = await play.people.decide(play.run_id, digest, decision="reject", approver="kim@example.com")

    assert own.status == HTTPStatus.FORBIDDEN
    assert (wrong.status, wrong.body["evidenceDigest"]) == (HTTPStatus.CONFLICT, digest)
    assert wrong.body["type"] == "urn:keyturn:problem:evidence-changed"
    assert again.status == HTTPStatus.CONFLICT


async def _digest_is_of_the_canonical_evidence(play: Play) -> None:
    """The digest is the SHA-256 of the evidence's RFC 8785 form, and the decision is bound to it."""
    record = await play.record()
    digest = hashlib.sha256(rfc8785.dumps(record["evidence"])).hexdigest()

    assert record["evidenceDigest"] == record["decision"]["digest"] == digest
    assert record["decision"]["by"] == "sam@example.com"
    expected = {"oldVersions", "targetVersion", "census", "proof", "canaries", "probes", "waivedChecks", "policy"}
    assert expected < record["evidence"].keys()
    assert {canary["outcome"] for canary in record["evidence"]["canaries"]} == {"pass"}
    assert len(record["evidence"]["probes"]) == 3


async def _messages_that_are_not_authentic(play: Play) -> None:
    """Forged, too old, unsigned and altered ones are refused alike, and no event reaches the workflow."""
    digest = (await play.reaches("awaiting_approval"))["evidenceDigest"]
    body = json.dumps({"rotationId": play.run_id, "decision": "approve", "evidenceDigest": digest}).encode()
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(FORGER).sign("msg_1", now, body.decode()),
    }
    answers = [
        await play.people.decide(play.run_id, digest, secret=FORGER),
        await play.people.decide(play.run_id, digest, at=now - timedelta(minutes=6)),
        await play.people.call("POST", "/api/approvals", data=body),
        await play.people.call("POST", "/api/approvals", data=body + b" ", headers=signed),
    ]

    assert [answer.status for answer in answers] == [HTTPStatus.UNAUTHORIZED] * 4
    assert (await play.record())["decision"] is None
    assert _events_raised(play) == 0


async def _a_message_that_comes_again(play: Play) -> None:
    assert (await play.decide("reject", message_id="msg_once")).status == HTTPStatus.OK
    ended = await play.reaches("rejected")
    raised = _events_raised(play)
    replayed = await play.people.decide(play.run_id, ended["evidenceDigest"], decision="reject", message_id="msg_once")

    assert replayed.status == HTTPStatus.UNAUTHORIZED
    assert (raised, _events_raised(play)) == (1, 1)


def _events_raised(play: Play) -> int:
    """Count the events that the workflow was sent over all its generations."""
    history = play.stage.history(f"rotation-{play.stage.keyring}")
    return sum(event["kind"] == "eventRaised" for run in history["generations"] for event in run["events"])


async def _host_starts_again(play: Play) -> None:
    azure = play.stage.azure
    azure.processes["functions_host"].kill()
    await asyncio.to_thread(azure.start, "functions_host")


async def _approval_without_an_answer(play: Play) -> None:
    """The host dies after it has written the decision and before it could say so; it is delivered again."""
    digest = (await play.reaches("awaiting_approval"))["evidenceDigest"]
    async with play.stage.keep_alive(play.stage.azure, "functions_host") as restarts:
        try:
            await play.people.decide(play.run_id, digest, message_id="msg_retried")
        except aiohttp.ClientError:
            play.kept["unanswered"] = True

        async def back() -> bool:
            return restarts.count == 1

        await play.until(back)
    assert play.kept["unanswered"]


async def _too_late(play: Play) -> None:
    ended = await play.reaches("expired")
    late = await play.people.decide(play.run_id, ended["evidenceDigest"])

    assert late.status == HTTPStatus.GONE
    await play.hears("approval_reminder")
    await play.hears("expired")


async def _stale_row_then_approve(play: Play) -> None:
    """After the evidence was frozen a row is written under the old version; the approval comes nevertheless."""
    play.kept["digest"] = (await play.reaches("awaiting_approval"))["evidenceDigest"]
    play.kept["row"] = await play.stage.add_row(play.old_version)
    await approve(play)


async def _ask_again(play: Play) -> None:
    """There is a new round with a new digest; the old one approves nothing any more."""

    async def other_digest() -> bool:
        status = await play.status()
        return status["state"] == "awaiting_approval" and status["evidenceDigest"] != play.kept["digest"]

    await play.until(other_digest)
    old = await play.people.decide(play.run_id, play.kept["digest"], approver="kim@example.com")

    assert (old.status, old.body["evidenceDigest"]) == (HTTPStatus.CONFLICT, (await play.status())["evidenceDigest"])
    assert (await play.stage.versions())[play.old_version] is True
    await play.hears("approval_void")


async def _voided_decision_is_kept(play: Play) -> None:
    record = await play.record()

    assert [decision["digest"] for decision in record["decisions"]] == [play.kept["digest"]]
    assert record["decision"]["digest"] != play.kept["digest"]


async def _remove_row(play: Play) -> None:
    await play.stage.delete_row(play.kept["row"])


SCENARIOS = {
    "the requester, a decision on other evidence and a second decision are refused; the one that counts retires": (
        Scenario(people=_decisions_that_are_refused, facts=(_digest_is_of_the_canonical_evidence, everything_moved))
    ),
    "forged, old, unsigned and altered messages: refused with nothing raised; rejected by an authentic one": Scenario(
        people=then(_messages_that_are_not_authentic, reject), path=f"{ASKED} rejected"
    ),
    "a rejection comes again after it was handled: refused with nothing raised": Scenario(
        people=_a_message_that_comes_again, path=f"{ASKED} rejected"
    ),
    "nobody decides: reminded, then expired, and a late decision is refused": Scenario(
        settings="little patience", people=_too_late, path=f"{ASKED} expired"
    ),
    "the host starts again while a decision is waited for: the approval is not lost": Scenario(
        people=then(after("awaiting_approval", _host_starts_again), approve), facts=(everything_moved,)
    ),
    "the host dies before it has answered an approval: it counts": Scenario(
        prepared=armed("functions_host", operation="decide_rotation", kind="kill_after"),
        people=_approval_without_an_answer,
        facts=(everything_moved,),
    ),
    "an approval comes before the wait for it begins: it is not lost": Scenario(
        prepared=held("functions_host", "notify", skip=1),
        people=then(approve, released("functions_host")),
        facts=(everything_moved,),
    ),
    "a row is written under the old version after the freeze: the approval is void, and another one is asked for": (
        Scenario(
            people=then(_stale_row_then_approve, _ask_again, approve),
            path=f"{ASKED} sweeping soaking awaiting_approval retiring watching completed",
            facts=(_voided_decision_is_kept, everything_moved),
            tidied=_remove_row,
        )
    ),
}
