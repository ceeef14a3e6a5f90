"""The approver's link: a short-lived token for one approver, one run and one evidence digest.

Where people sign in, the approver is an object id in Entra ID, since a name is its holder's to change; else a name.

The token is its content and an HMAC-SHA256 over it, by a key that is derived from a webhook secret for this use alone.
A holder of that secret can decide anyway, so links need no secret of their own, and they are replaced together.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from pydantic import AwareDatetime, Field

from keyturn.access.identity import Identity, same_person
from keyturn.contracts.base import Payload, PersonName, RunId
from keyturn.contracts.states import State
from keyturn.errors import ApprovalExpiredError, UnauthenticatedError
from keyturn.ids import approval_link, kind_of
from keyturn.runs.record import RunRecord
from keyturn.settings import Settings

PURPOSE = b"keyturn/approval-link/v1"
TOKEN_MAX = 2048  # characters


class Link(Payload):
    """What a token says."""

    run_id: Annotated[RunId, Field(max_length=100)]
    evidence_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    approver: PersonName
    expires_at: AwareDatetime

    @property
    def message_id(self) -> str:
        """What marks the link as used: the same for the same content, whichever secret has signed it."""
        return f"link:{hashlib.sha256(_content(self).encode()).hexdigest()}"

    def check_time(self, now: datetime) -> None:
        """Raise ApprovalExpiredError where the link's time is over: it opens nothing that is still to be decided."""
        if now >= self.expires_at:
            hint = f"ask for a new link, or wait for the next reminder, which brings one; {where_to_look(self.run_id)}"
            raise ApprovalExpiredError("the link has expired", rotationId=self.run_id, hint=hint)


def approval_links(record: RunRecord, settings: Settings, now: datetime) -> list[tuple[str, str]]:
    """Return for each configured approver, but never the requester, the link to decide on the evidence in force.

    Empty where no decision is waited for, where ``KEYTURN_PUBLIC_URL``, ``KEYTURN_APPROVERS`` or
    ``APPROVAL_WEBHOOK_SECRETS`` are not set, or where there are no links. A link is a credential: it belongs to its
    approver alone.
    """
    secrets, base = settings.link_secrets(), settings.keyturn_public_url
    digest, expires = record.evidence_digest, record.approval_expires_at
    waiting = record.state is State.AWAITING_APPROVAL
    if not waiting or not secrets or base is None or digest is None or expires is None:
        return []
    until = min(expires, now + settings.keyturn_approval_link_expiry)
    links: list[tuple[str, str]] = []
    for approver in settings.keyturn_approvers:
        if not same_person(Identity.of(approver), record.requester):
            link = Link(run_id=record.run_id, evidence_digest=digest, approver=approver, expires_at=until)
            address = f"{base.rstrip('/')}{approval_link(record.run_id)}"
            links.append((approver, f"{address}?token={quote(make_token(link, secrets[0]))}"))
    return links


def make_token(link: Link, secret: str) -> str:
    """Return the link as a token."""
    return seal(link, PURPOSE, secret)


def where_to_look(run_id: str) -> str:
    """Return how to look at the run without a link; what is no run's id is not repeated in a command."""
    known = kind_of(run_id) is not None
    return f"look at the run with: keyturn open {run_id}" if known else "look at the run with: keyturn open"


def read_token(token: str, secrets: Sequence[str], *, run_id: str) -> Link:
    """Return what the token says, if one of the secrets signed it for this run; its time may be over.

    Raises:
        UnauthenticatedError: it is no token for this run; nothing says what is wrong.
    """
    hint = f"open the whole link, as it was sent; if it still fails, ask for a new one, or {where_to_look(run_id)}"
    link = unseal(Link, token, PURPOSE, secrets, hint=hint)
    if link.run_id != run_id:
        raise _refused(hint)
    return link


def seal(content: Payload, purpose: bytes, secret: str) -> str:
    """Return the content as a token; one that was signed for a purpose is none for another."""
    encoded = _content(content)
    return f"{encoded}.{_signature(encoded, purpose, secret)}"


def unseal[P: Payload](model: type[P], token: str, purpose: bytes, secrets: Sequence[str], *, hint: str) -> P:
    """Return what the token says.

    Raises:
        UnauthenticatedError: none of the secrets signed it for the purpose; with the hint.
    """
    content, _, signature = token.partition(".")
    # Every secret is tried, so that the time that it takes does not tell which one fits.
    given = signature.encode(errors="replace")
    fits = [hmac.compare_digest(_signature(content, purpose, secret).encode(), given) for secret in secrets]
    if len(token) > TOKEN_MAX or not any(fits):
        raise _refused(hint)
    try:
        return model.model_validate_json(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    except ValueError:  # no base64, no such content, or one whose end is in no time zone
        raise _refused(hint) from None


def _content(content: Payload) -> str:
    return _encoded(content.model_dump_json(by_alias=True).encode())


def _signature(content: str, purpose: bytes, secret: str) -> str:
    shared = base64.b64decode(secret.removeprefix("whsec_"))
    key = hmac.digest(shared, purpose, hashlib.sha256)
    return _encoded(hmac.digest(key, content.encode(errors="replace"), hashlib.sha256))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _refused(hint: str) -> UnauthenticatedError:
    return UnauthenticatedError("the link is not authentic", hint=hint)
