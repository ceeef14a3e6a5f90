"""Approvers' links: for one person, one rotation and one digest, for a short time, and not to be forged."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from standardwebhooks import Webhook

from keyturn.approval.links import PURPOSE, Link, approval_links, make_token, read_token
from keyturn.contracts.states import State
from keyturn.errors import ApprovalExpiredError, UnauthenticatedError
from keyturn.runs.store import RotationStore
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET, link_token, settings, token_of
from tests.keyturn.runs.lifecycle import APPROVER, NOW, REQUESTER, bring_to, make_record

ROTATION = "notes.20261124T120000Z.abcdef"
LINK = Link(run_id=ROTATION, evidence_digest="a" * 64, approver=APPROVER, expires_at=NOW + timedelta(hours=1))


async def test_every_approver_but_the_requester_gets_a_link_of_their_own(runs: RotationStore) -> None:
    """A link says whom it is for, what it is about, and which evidence."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    links = approval_links(record, settings(APPROVER, REQUESTER.upper(), "otto@example.com"), NOW)

    assert [approver for approver, _ in links] == [APPROVER, "otto@example.com"]
    for approver, url in links:
        assert urlsplit(url)[1:3] == ("keyturn.example", f"/api/rotations/{record.run_id}/approval")
        link = read_token(token_of(url), [SECRET], run_id=record.run_id)
        assert (approver, record.evidence_digest) == (link.approver, link.evidence_digest)
        assert link.expires_at == NOW + timedelta(hours=24)


async def test_a_link_never_outlives_the_time_to_decide(runs: RotationStore) -> None:
    """However long links may open, the approval's expiry is the end."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    token = link_token(record, KEYTURN_APPROVAL_LINK_EXPIRY="P30D")

    link = read_token(token, [SECRET], run_id=record.run_id)

    assert record.approval_expires_at == link.expires_at


async def test_where_people_sign_in_a_link_is_for_an_object_id(runs: RotationStore) -> None:
    """The requester gets none, whatever the requester's name is by now."""
    requester, approver = str(uuid.uuid4()), str(uuid.uuid4())
    waiting = await bring_to(runs, State.AWAITING_APPROVAL)
    record = await runs.update(waiting.run_id, lambda run: run.changed(requested_by_id=requester))

    links = approval_links(record, settings(requester.upper(), approver, KEYTURN_ACCESS="entra"), NOW)

    assert [named for named, _ in links] == [approver]


async def test_a_requester_whose_name_looks_like_an_approvers_gets_no_link(runs: RotationStore) -> None:
    """The link of the one who is looked like goes to nobody either: the two cannot be told apart."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    record = record.changed(requested_by="gr\u0430ce@example.com")

    assert approval_links(record, settings(APPROVER), NOW) == []


@pytest.mark.parametrize(
    "missing",
    ["KEYTURN_APPROVERS", "KEYTURN_PUBLIC_URL", "APPROVAL_WEBHOOK_SECRETS", "KEYTURN_LINKS_WITHOUT_SIGN_IN"],
)
async def test_without_its_settings_there_are_no_links(runs: RotationStore, missing: str) -> None:
    """Whoever wants none leaves one of them out."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    assert approval_links(record, settings(**{missing: ""}), NOW) == []


def test_without_a_wait_there_are_no_links() -> None:
    """Only evidence in force can be decided on."""
    assert approval_links(make_record(), settings(), NOW) == []


def test_a_token_is_read_while_one_secret_replaces_another() -> None:
    """Links that were sent before the new secret open as long as the old one is active."""
    token = make_token(LINK, SECRET)

    assert read_token(token, [NEXT_SECRET, SECRET], run_id=ROTATION) == LINK


def test_a_link_ends() -> None:
    """At its time it is over, and who comes late is told so, and how to get another."""
    LINK.check_time(LINK.expires_at - timedelta(seconds=1))

    with pytest.raises(ApprovalExpiredError) as raised:
        LINK.check_time(LINK.expires_at)

    assert f"keyturn open {ROTATION}" in raised.value.hint


def test_a_refusal_repeats_no_made_up_run_in_a_command() -> None:
    """The id in the address is anybody's text, and the hint is there to be pasted."""
    for run_id, command in ((ROTATION, f"keyturn open {ROTATION}"), ("x; rm -rf ~", "keyturn open")):
        with pytest.raises(UnauthenticatedError) as raised:
            read_token("made.up", [SECRET], run_id=run_id)
        assert raised.value.hint.endswith(f": {command}")


def _with(**changed: str) -> str:
    """Return the content of another link."""
    return make_token(LINK.model_copy(update=changed), SECRET).partition(".")[0]


def _signed(content: bytes) -> str:
    """Return a token with any content, made by who has the secret."""
    key = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), PURPOSE, hashlib.sha256)
    text = base64.urlsafe_b64encode(content).decode().rstrip("=") or "a"
    return f"{text}.{base64.urlsafe_b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode().rstrip('=')}"


FORGERIES: dict[str, Callable[[str, str], str]] = {
    "nothing": lambda _content, _signature: "",
    "no signature": lambda content, _signature: content,
    "an empty signature": lambda content, _signature: f"{content}.",
    "another approver": lambda _content, signature: f"{_with(approver='eve')}.{signature}",
    "another digest": lambda _content, signature: f"{_with(evidence_digest='b' * 64)}.{signature}",
    "a stranger's secret": lambda _content, _signature: make_token(LINK, NEXT_SECRET),
    "the signature in other letters": lambda content, signature: f"{content}.{signature.swapcase()}",
    "the signature and more": lambda content, signature: f"{content}.{signature}=",
    "the content and more": lambda content, signature: f"{content}=.{signature}",
    "no ASCII": lambda content, signature: f"{content}ä.{signature}ä",
    "a lone surrogate": lambda content, signature: f"{content}\ud800.{signature}",
    "a lone surrogate in the signature": lambda content, signature: f"{content}.{signature}\ud800",
    "a time without a zone": lambda _content, _signature: make_token(
        LINK.model_copy(update={"expires_at": LINK.expires_at.replace(tzinfo=None)}), SECRET
    ),
    "signed, and no link": lambda _content, _signature: _signed(b"{}"),
    "signed, and no base64": lambda _content, _signature: _signed(b""),
    "too long": lambda content, signature: f"{content * 10}.{signature}",
    "a webhook's signature": lambda content, _signature: (
        f"{content}.{Webhook(SECRET).sign('m', NOW, content).partition(',')[2]}"
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused(forgery: str) -> None:
    """Whatever differs from what was signed for this use is none, and nothing says why."""
    content, _, signature = make_token(LINK, SECRET).partition(".")

    with pytest.raises(UnauthenticatedError, match=r"^the link is not authentic$"):
        read_token(FORGERIES[forgery](content, signature), [SECRET], run_id=ROTATION)


def test_a_token_of_another_rotation_is_refused() -> None:
    """The address names the rotation too, and must name the same."""
    with pytest.raises(UnauthenticatedError):
        read_token(make_token(LINK, SECRET), [SECRET], run_id=ROTATION.replace("notes", "files"))


def test_without_secrets_every_token_is_refused() -> None:
    """Nobody can have signed it."""
    with pytest.raises(UnauthenticatedError):
        read_token(make_token(LINK, SECRET), [], run_id=ROTATION)


def test_a_token_shows_no_secret() -> None:
    """What is in a link is names and times."""
    content = make_token(LINK, SECRET).partition(".")[0]

    assert b"first secret" not in base64.urlsafe_b64decode(content + "==")
