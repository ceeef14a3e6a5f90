"""Access over HTTP, with sign-in in front: roles, identity, the approver's page, forged and replayed decisions."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from keyturn.approval.links import Link, make_token
from local.callers import Answer, Callers
from local.functions_host.sign_in import AUDIENCE
from local.identity.tokens import person_id
from tests.end_to_end.guarded import APPROVER, OPERATOR, READER, REQUESTER, GuardedApp
from tests.keyturn.access.principals import header_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("guarded"), pytest.mark.long]

FORGED = {"x-ms-client-principal": header_of(REQUESTER, APPROVER, OPERATOR, READER)}
REFUSED = (401, 429)  # 429 where other tests have come from this address with forgeries before
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def waiting(guarded: GuardedApp) -> AsyncIterator[dict[str, Any]]:
    """A rotation that waits for a decision, and is given up in the end unless somebody has decided."""
    run_id = await guarded.start()
    yield await guarded.callers.wait_for(run_id, "awaiting_approval")
    if not (status := await guarded.callers.status(run_id))["decision"]:
        await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
        status = await guarded.callers.wait_for(run_id, "aborted")
    assert status


def token(app: GuardedApp, status: dict[str, Any], approver: str, hours: float = 1) -> str:
    """Return the token of an approver's link to the evidence in force."""
    link = Link(
        run_id=status["rotationId"],
        evidence_digest=status["evidenceDigest"],
        approver=person_id(approver),
        expires_at=datetime.now(UTC) + timedelta(hours=hours),
    )
    return make_token(link, app.azure.approval_secret)


def page(status: dict[str, Any], unwrapped_by: str = "") -> str:
    """Return the address of the approver's page."""
    query = f"?token={quote(unwrapped_by)}" if unwrapped_by else ""
    return f"/api/rotations/{status['rotationId']}/approval{query}"


async def press(person: Callers, status: dict[str, Any], unwrapped_by: str, decision: str = "approve") -> Answer:
    """Send the page's form, as a browser does: without a function key."""
    form = urlencode({"token": unwrapped_by, "comment": "looked at it", "decision": decision})
    return await person.call("POST", page(status), data=form.encode(), headers={**FORM, "x-functions-key": ""})


async def test_without_sign_in_nothing_is_answered(guarded: GuardedApp) -> None:
    """A function key is not enough, and neither is a principal that the caller has written themselves."""
    stranger = Callers(guarded.azure.endpoints())
    async with stranger:
        answers = [
            await stranger.call(method, path, headers=headers)
            for method, path in (("GET", "/api/rotations"), ("POST", "/api/rotations"), ("GET", "/api/openapi.json"))
            for headers in ({}, FORGED)
        ]

    assert {answer.status for answer in answers} == {401}


@pytest.mark.parametrize(
    "token",
    ["", "no.real.token", {"audience": "api://other"}, {"seconds": -60}],
    ids=["none", "garbage", "for another app", "expired"],
)
async def test_a_token_must_be_for_this_app_and_now(guarded: GuardedApp, token: str | dict[str, Any]) -> None:
    """Whatever else comes as a bearer token signs nobody in."""
    given = token if isinstance(token, str) else guarded.token("ada@example.com", READER, **token)

    answer = await guarded.callers.call("GET", "/api/rotations", headers={"authorization": f"Bearer {given}"})

    assert answer.status == 401


async def test_a_token_does_not_stand_in_for_the_key(guarded: GuardedApp) -> None:
    """Function keys are the floor, whoever is signed in."""
    answer = await guarded.callers.call("GET", "/api/rotations", headers={"x-functions-key": "wrong"})

    assert answer.status == 401


@pytest.mark.parametrize("role", [REQUESTER, APPROVER, OPERATOR, READER, "Other.Role"])
async def test_a_role_opens_what_it_is_for(guarded: GuardedApp, role: str) -> None:
    """Every role reads, each does its own thing and no other; a forged principal adds nothing to a real one."""
    person = guarded.person("eve@example.com", role)
    unknown = "/api/rotations/notelett.20260101T000000Z.000000"
    asked = {
        READER: await person.call("GET", unknown, headers=FORGED),
        REQUESTER: await person.call("POST", "/api/rotations", data=b'{"keyring": "none"}', headers=FORGED),
        OPERATOR: await person.call("POST", f"{unknown}/abort", headers=FORGED),
        APPROVER: await person.call("GET", f"{unknown}/approval?token=x", headers=FORGED),
    }

    allowed = {needed for needed, answer in asked.items() if answer.status != 403}
    reading = {READER} if role in asked else set()
    assert reading | ({role} & set(asked)) == allowed
    assert [answer.status for answer in asked.values() if answer.status not in (401, 403, 404, 429)] == []


async def test_a_refusal_names_the_roles_and_nothing_else(guarded: GuardedApp) -> None:
    """Problem details: which role is needed; nothing about the app's insides."""
    answer = await guarded.person("eve@example.com", READER).request_rotation(requestedBy="eve@example.com")

    assert answer.body == {
        "roles": [REQUESTER],
        "type": "urn:keyturn:problem:forbidden",
        "title": "Forbidden",
        "status": 403,
        "detail": f"this needs the role {REQUESTER}",
        "instance": "/api/rotations",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"requestedBy": "eve@example.com"},
        {"waivers": [{"check": "backup", "why": "trust me", "by": "eve@example.com"}]},
    ],
    ids=["the requester", "who waives"],
)
async def test_a_body_cannot_speak_for_another_person(guarded: GuardedApp, body: dict[str, Any]) -> None:
    """The token says who asks; a body that names another person is refused."""
    answer = await guarded.callers.request_rotation(**body)

    assert (answer.status, answer.body["type"]) == (403, "urn:keyturn:problem:forbidden")


async def test_the_record_has_who_is_signed_in(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """Name and object id come from the token; the audit names the same person."""
    record = (await guarded.callers.report(waiting["rotationId"]))["record"]
    chain = await guarded.callers.call("GET", f"/api/rotations/{waiting['rotationId']}/audit")

    first = json.loads(chain.body.splitlines()[0])
    assert "dana@example.com" == record["requestedBy"] == first["data"]["by"]
    assert person_id("dana@example.com") == record["requestedById"]


async def test_the_page_opens_for_its_approver_alone(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """Another approver, somebody without the role, and nobody at all do not see it with the very same link."""
    address = page(waiting, token(guarded, waiting, "sam@example.com"))
    sam, olga = guarded.person("sam@example.com", APPROVER), guarded.person("olga@example.com", APPROVER)
    without_role = guarded.person("sam@example.com", READER)
    async with Callers(guarded.azure.endpoints()) as stranger:
        answers = [(await person.call("GET", address)).status for person in (sam, olga, without_role, stranger)]

    assert answers == [200, 403, 403, 401]


async def test_the_page_is_self_contained(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """It has the digest and two forms, allows no script, is kept by nobody, and is HTML in every case."""
    sam = guarded.person("sam@example.com", APPROVER)

    shown = await sam.call("GET", page(waiting, token(guarded, waiting, "sam@example.com")))
    refused = await sam.call("GET", page(waiting, "forged"))

    assert waiting["evidenceDigest"] in shown.body
    for decision in ("approve", "reject"):
        assert re.search(rf'<form id="{decision}" method="post" action="/api/rotations/[^"]+/approval">', shown.body)
    assert shown.status == 200
    assert refused.status in REFUSED
    for answer in (shown, refused):
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "strict-origin")
    assert "<form" not in refused.body


async def test_links_that_do_not_hold_decide_nothing(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """Expired, another person's, the requester's own, of a role that may not decide: refused, nothing has changed."""
    sam = guarded.person("sam@example.com", APPROVER)
    mine = token(guarded, waiting, "sam@example.com")
    other = {**waiting, "evidenceDigest": "0" * 64}
    tried = {
        "expired": await press(sam, waiting, token(guarded, waiting, "sam@example.com", hours=-1)),
        "another digest": await press(sam, waiting, token(guarded, other, "sam@example.com")),
        "somebody else's": await press(sam, waiting, token(guarded, waiting, "olga@example.com")),
        "the requester's": await press(guarded.callers, waiting, token(guarded, waiting, "dana@example.com")),
        "without the role": await press(guarded.person("sam@example.com", OPERATOR), waiting, mine),
        "cut": await press(sam, waiting, mine[:-1]),
        "no decision": await press(sam, waiting, mine, decision="maybe"),
    }

    expected = {"expired": 410, "another digest": 409, "no decision": 400}
    assert tried.pop("cut").status in REFUSED
    assert {name: expected.get(name, 403) for name in tried} == {name: one.status for name, one in tried.items()}
    assert (await guarded.callers.status(waiting["rotationId"]))["decision"] is None


async def test_forged_and_replayed_messages_are_refused(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """The webhook needs no sign-in: a signature by a stranger, an old one, and one too many are refused."""
    async with Callers(guarded.azure.endpoints()) as system:
        forged = [
            await system.decide(waiting["rotationId"], waiting["evidenceDigest"], secret=f"whsec_{'QUJD' * 8}")
            for _ in range(22)
        ]
        old = await system.decide(
            waiting["rotationId"], waiting["evidenceDigest"], at=datetime.now(UTC) - timedelta(minutes=6)
        )

    assert {answer.status for answer in forged} <= set(REFUSED)
    assert 429 == forged[-1].status == old.status
    assert 1 <= int(forged[-1].headers["Retry-After"]) <= 600
    assert (await guarded.callers.status(waiting["rotationId"]))["decision"] is None


@pytest.mark.parametrize(
    ("approver_id", "status"),
    [("", 400), ("sam@example.com", 400), (person_id("dana@example.com"), 403)],
    ids=["no object id", "a name in its place", "the requester's"],
)
async def test_a_mail_address_is_not_a_second_person(
    guarded: GuardedApp, waiting: dict[str, Any], approver_id: str, status: int
) -> None:
    """A signed decision under the requester's mail address, which is not the UPN that asked: nothing is decided."""
    answer = await guarded.callers.decide(
        waiting["rotationId"], waiting["evidenceDigest"], approver="d.dahl@example.org", approver_id=approver_id
    )

    assert answer.status == status
    assert status == 403 or answer.body["field"] == "approverId"
    assert (await guarded.callers.status(waiting["rotationId"]))["decision"] is None


async def test_a_rotation_is_approved_on_the_page(guarded: GuardedApp, waiting: dict[str, Any]) -> None:
    """In spite of every forger the approver's link decides, once, and the rotation completes."""
    sam = guarded.person("sam@example.com", APPROVER)
    mine = token(guarded, waiting, "sam@example.com")

    pressed = await press(sam, waiting, mine)
    again = [(await press(sam, waiting, mine, decision)).status for decision in ("approve", "reject")]
    completed = await guarded.callers.wait_for(waiting["rotationId"], "completed")

    assert (pressed.status, again) == (200, [409, 409])
    assert "You have approved" in pressed.body
    decision = completed["decision"]
    assert (
        decision["decision"],
        decision["by"],
        decision["comment"],
    ) == ("approved", "sam@example.com", "looked at it")
    assert person_id("sam@example.com") == decision["byId"]


async def test_health_says_no_more_than_it_must(guarded: GuardedApp) -> None:
    """Anybody may ask, and learns three words."""
    async with Callers(guarded.azure.endpoints()) as stranger:
        answer = await stranger.call("GET", "/api/health", headers={"x-functions-key": ""})

    assert (answer.status, set(answer.body)) == (200, {"status", "overdue", "drift"})
    assert AUDIENCE not in str(answer.body)
