"""Who is let into the console where nobody signs in (``KEYTURN_ACCESS=keys``), and what makes a form theirs.

A holder of the function key asks for a link; the link opens a session, which is a cookie. Both are tokens of
``keyturn.approval.links``, each signed for a purpose of its own. The secret that signs them is known to the approval
system too, which may decide but not order: so a token counts only as long as the database has the grant that was
written when the function key asked for it.

A form carries a token as well, bound to its session, or to who is signed in, and to what it orders: a page of another
site can make no such form.
"""

import secrets as randomness
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from keyturn.access.attempts import counted
from keyturn.access.caller import Caller
from keyturn.approval.links import seal, unseal
from keyturn.contracts.base import Payload, PersonName
from keyturn.cosmos.state_container import StateContainer, StoredDocument, hashed_id
from keyturn.errors import ForbiddenError, UnauthenticatedError

LINK, SESSION, FORM = (f"keyturn/console-{what}/v1".encode() for what in ("link", "session", "form"))
LINK_LASTS = timedelta(minutes=10)
SESSION_LASTS = timedelta(minutes=60)  # and so a form on a page that stays open
COOKIE = "keyturn-console"
# No keyring can have this name.
PARTITION = "~console"
HOW_IN = "run this, and open the address that it prints: keyturn open"


class ConsoleLinkRequest(Payload):
    """The body that asks for a link."""

    requested_by: PersonName | None = None  # in whose name the session acts; needed where nobody signs in
    run_id: Annotated[str, Field(max_length=100)] | None = None  # whose page it opens


class ConsoleLink(Payload):
    """A link to the console; a credential where it has an end."""

    url: str  # absolute where KEYTURN_PUBLIC_URL is set, else a path of the app
    expires_at: datetime | None  # null where people sign in: then the link holds no token


class Ticket(Payload):
    """What the token of a link says, and that of a session."""

    grant: Annotated[str, Field(max_length=64)]
    by: PersonName
    expires_at: AwareDatetime


class _Form(Payload):
    subject: str
    order: str
    expires_at: AwareDatetime


class Grant(StoredDocument):
    """A function key asked for this; without it neither link nor session counts."""

    id: str
    kind: Literal["console-grant"] = "console-grant"
    keyring: str = PARTITION
    by: PersonName
    ttl: int = int((LINK_LASTS + SESSION_LASTS).total_seconds())  # Cosmos DB removes the document by itself


class Visitor(NamedTuple):
    """Who looks at the console."""

    caller: Caller
    by: str  # the name in which orders are given
    subject: str  # what forms are bound to: a session, or a person

    @property
    def stated(self) -> str | None:
        """Return whom an order names: who is signed in is known without that."""
        return self.by if self.caller.principal is None else None

    def may(self, route: str) -> bool:
        """Tell whether the visitor may do what the route does."""
        try:
            self.caller.require_role(route)
        except ForbiddenError:
            return False
        return True


async def grant_link(documents: StateContainer, by: str, secret: str, now: datetime) -> tuple[str, datetime]:
    """Return the token of a fresh link in this name, and until when it opens."""
    ticket = Ticket(grant=randomness.token_urlsafe(24), by=by, expires_at=now + LINK_LASTS)
    await documents.create(Grant(id=hashed_id(ticket.grant), by=by).to_payload())
    return seal(ticket, LINK, secret), ticket.expires_at


async def open_session(
    documents: StateContainer, token: str, secrets: Sequence[str], *, sender: str, now: datetime
) -> str:
    """Return the token of the session that a link opens.

    Raises:
        UnauthenticatedError: the link is none, or its time is over.
        TooManyAttemptsError: links of this sender were refused too often.
    """
    link = await _granted(documents, token, LINK, secrets, sender, now)
    return seal(link.model_copy(update={"expires_at": now + SESSION_LASTS}), SESSION, secrets[0])


async def visitor_of(
    documents: StateContainer, cookie: str | None, secrets: Sequence[str], *, sender: str, now: datetime
) -> Visitor:
    """Return whose session the cookie is; raises as ``open_session``."""
    if not cookie:
        raise UnauthenticatedError("this page needs a session", hint=HOW_IN)
    session = await _granted(documents, cookie, SESSION, secrets, sender, now)
    return Visitor(Caller(None), session.by, f"session {session.grant}")


async def _granted(
    documents: StateContainer, token: str, purpose: bytes, secrets: Sequence[str], sender: str, now: datetime
) -> Ticket:
    async with counted(documents, [f"sender {sender}"], UnauthenticatedError, now):
        ticket = unseal(Ticket, token, purpose, secrets, hint=HOW_IN)
        grant = await documents.find(Grant.from_document, PARTITION, hashed_id(ticket.grant))
        # One whose time is over may be gone already, and is nobody's forgery.
        if now < ticket.expires_at and (grant is None or grant.by != ticket.by):
            raise UnauthenticatedError("the link or the session is not authentic", hint=HOW_IN)
    if now >= ticket.expires_at:
        raise UnauthenticatedError("the link or the session has expired", hint=HOW_IN)
    return ticket


def form_token(visitor: Visitor, order: str, secrets: Sequence[str], now: datetime) -> str:
    """Return what a form that gives this order must carry."""
    return seal(_Form(subject=visitor.subject, order=order, expires_at=now + SESSION_LASTS), FORM, secrets[0])


def check_form(token: str, visitor: Visitor, order: str, secrets: Sequence[str], now: datetime) -> None:
    """Raise ForbiddenError unless the form is this visitor's, for this order, and not too old."""
    try:
        form = unseal(_Form, token, FORM, secrets, hint="")
    except UnauthenticatedError:
        form = None
    if form is None or (form.subject, form.order) != (visitor.subject, order) or now >= form.expires_at:
        raise ForbiddenError("the form is not one that this page has shown you", hint="open the page again")
