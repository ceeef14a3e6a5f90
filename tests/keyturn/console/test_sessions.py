"""The console's doors with function keys: who gets in by a link, for how long, and whose form counts."""

from datetime import timedelta

import pytest

from keyturn.access.attempts import REFUSALS_MAX
from keyturn.access.caller import Caller
from keyturn.access.identity import read_principal
from keyturn.access.roles import Role
from keyturn.approval.links import seal, unseal
from keyturn.console.sessions import (
    LINK,
    LINK_LASTS,
    PARTITION,
    SESSION,
    SESSION_LASTS,
    Ticket,
    Visitor,
    check_form,
    form_token,
    grant_link,
    open_session,
    visitor_of,
)
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import hashed_id
from keyturn.errors import ForbiddenError, TooManyAttemptsError, UnauthenticatedError
from keyturn.runs.store import RotationStore
from tests.keyturn.access.principals import header_of
from tests.keyturn.approval.approvers import NEXT_SECRET, SECRET, link_token
from tests.keyturn.runs.lifecycle import NOW, bring_to, new_keyring

DANA = "dana@example.com"
MOMENT = timedelta(seconds=1)


async def opened(runs: RotationStore, token: str, *, sender: str | None = None, after: timedelta = MOMENT) -> str:
    """Open a link so long after it was made."""
    sender = sender or new_keyring()
    return await open_session(runs.documents, token, [SECRET], sender=sender, now=NOW + after)


async def visiting(runs: RotationStore, cookie: str | None, *, after: timedelta = 2 * MOMENT) -> Visitor:
    """Come with a cookie so long after the link was made."""
    return await visitor_of(runs.documents, cookie, [SECRET], sender=new_keyring(), now=NOW + after)


async def test_a_link_opens_a_session_in_the_name_that_it_was_made_for(runs: RotationStore) -> None:
    """For an hour from then on, and more than once: people come back to it within its ten minutes."""
    token, until = await grant_link(runs.documents, DANA, SECRET, NOW)

    visitor = await visiting(runs, await opened(runs, token))
    assert (visitor.by, visitor.stated, visitor.caller) == (DANA, DANA, Caller(None))
    assert until == NOW + LINK_LASTS
    assert await opened(runs, token, after=LINK_LASTS - MOMENT)


@pytest.mark.parametrize("after", [LINK_LASTS, LINK_LASTS + SESSION_LASTS * 2])
async def test_a_link_opens_for_ten_minutes(runs: RotationStore, after: timedelta) -> None:
    """The refusal says how to get another."""
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)

    with pytest.raises(UnauthenticatedError) as refusal:
        await opened(runs, token, after=after)
    assert "keyturn open" in refusal.value.hint


async def test_a_session_ends(runs: RotationStore) -> None:
    """An hour after it was opened."""
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    cookie = await opened(runs, token)

    assert await visiting(runs, cookie, after=SESSION_LASTS)
    with pytest.raises(UnauthenticatedError):
        await visiting(runs, cookie, after=SESSION_LASTS + MOMENT)


async def test_neither_is_the_other_and_an_approvers_link_is_neither(runs: RotationStore) -> None:
    """Each is signed for its own purpose."""
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    cookie = await opened(runs, token)
    approvers = link_token(await bring_to(runs, State.AWAITING_APPROVAL))

    for wrong in (cookie, approvers, "", "x.y"):
        with pytest.raises(UnauthenticatedError):
            await opened(runs, wrong)
    for no_token in (token, approvers, "x.y", None):
        with pytest.raises(UnauthenticatedError):
            await visiting(runs, no_token)


@pytest.mark.parametrize("purpose", [LINK, SESSION])
async def test_the_secret_alone_opens_no_session(runs: RotationStore, purpose: bytes) -> None:
    """Whoever decides by webhook knows it, and must not be able to order as well: a grant is needed too."""
    made_up = seal(Ticket(grant="g" * 32, by=DANA, expires_at=NOW + LINK_LASTS), purpose, SECRET)

    with pytest.raises(UnauthenticatedError):
        await (opened if purpose == LINK else visiting)(runs, made_up)


async def test_a_grant_is_for_one_name(runs: RotationStore) -> None:
    """A session is not signed anew for another person."""
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    ticket = unseal(Ticket, token, LINK, [SECRET], hint="")
    other = seal(ticket.model_copy(update={"by": "sam@example.com"}), SESSION, SECRET)

    with pytest.raises(UnauthenticatedError):
        await visiting(runs, other)


async def test_a_grant_that_was_taken_away_ends_link_and_session(runs: RotationStore) -> None:
    """An operator can end a session before its time."""
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    cookie = await opened(runs, token)
    ticket = unseal(Ticket, token, LINK, [SECRET], hint="")
    await runs.documents.container.delete_item(hashed_id(ticket.grant), PARTITION)

    with pytest.raises(UnauthenticatedError):
        await opened(runs, token)
    with pytest.raises(UnauthenticatedError):
        await visiting(runs, cookie)


async def test_forgers_are_locked_out_and_no_one_else(runs: RotationStore) -> None:
    """By address; an authentic link from the same address is not even looked up under it."""
    sender = new_keyring()
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    for _ in range(REFUSALS_MAX):
        with pytest.raises(UnauthenticatedError):
            await opened(runs, "x.y", sender=sender)

    with pytest.raises(TooManyAttemptsError):
        await opened(runs, "x.y", sender=sender)
    assert await opened(runs, token, sender=sender)


async def test_no_cookie_and_an_old_one_are_no_forgery(runs: RotationStore) -> None:
    """Whoever leaves a page open does not lock themselves out."""
    sender = new_keyring()
    token, _ = await grant_link(runs.documents, DANA, SECRET, NOW)
    for _ in range(REFUSALS_MAX + 1):
        with pytest.raises(UnauthenticatedError):
            await opened(runs, token, sender=sender, after=LINK_LASTS)
        with pytest.raises(UnauthenticatedError):
            await visitor_of(runs.documents, None, [SECRET], sender=sender, now=NOW)


def visitor(subject: str = "session one") -> Visitor:
    """Return somebody."""
    return Visitor(Caller(None), DANA, subject)


@pytest.mark.parametrize(
    ("who", "order", "secret", "after"),
    [
        (visitor("session two"), "abort r", SECRET, MOMENT),
        (visitor(), "reinstate r", SECRET, MOMENT),
        (visitor(), "abort r", NEXT_SECRET, MOMENT),
        (visitor(), "abort r", SECRET, SESSION_LASTS),
    ],
    ids=["another session", "another order", "another secret", "too old"],
)
def test_a_form_is_one_visitors_for_one_order(who: Visitor, order: str, secret: str, after: timedelta) -> None:
    """Any other is refused."""
    token = form_token(visitor(), "abort r", [SECRET], NOW)
    check_form(token, visitor(), "abort r", [NEXT_SECRET, SECRET], NOW + MOMENT)

    with pytest.raises(ForbiddenError):
        check_form(token, who, order, [secret], NOW + after)


@pytest.mark.parametrize("token", ["", "x", "x.y", "é.é"])
def test_what_is_no_token_is_no_form(token: str) -> None:
    """Whatever it holds."""
    with pytest.raises(ForbiddenError):
        check_form(token, visitor(), "abort r", [SECRET], NOW)


def test_who_is_signed_in_may_what_the_roles_allow() -> None:
    """And names nobody in an order."""
    reader = Visitor(Caller(read_principal(header_of(Role.READER))), DANA, "person")

    assert (reader.may("get_rotation"), reader.may("abort_rotation"), reader.stated) == (True, False, None)
    assert visitor().may("abort_rotation")
