"""Where people sign in, an object id tells who decides: by a message, and by a link."""

import uuid

import pytest

from keyturn.approval.submission import open_link
from keyturn.contracts.states import State
from keyturn.errors import (
    ForbiddenError,
    InvalidRequestError,
)
from keyturn.runs.store import RotationStore
from tests.keyturn.access.principals import PERSON_ID
from tests.keyturn.approval.approvers import SECRET, SOON, link_token
from tests.keyturn.approval.doors import (
    Workflow,
    body_of,
    decide,
    link_request,
    requested_by,
    signed,
    signed_in,
    submit,
)
from tests.keyturn.runs.lifecycle import APPROVER, REQUESTER, bring_to

REQUESTER_ID, APPROVER_ID, EVE = (str(uuid.uuid4()) for _ in range(3))


async def test_where_people_sign_in_a_decision_is_by_object_id(runs: RotationStore) -> None:
    """The record has the id that was signed."""
    record = await requested_by(runs, REQUESTER_ID)
    body = body_of(record, approverId=APPROVER_ID.upper())

    decided = await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, APPROVER_ID)


@pytest.mark.parametrize("stated", [None, "", APPROVER, "5b5450db"], ids=["none", "empty", "a name", "half of one"])
async def test_where_people_sign_in_a_decision_without_an_object_id_is_refused(
    runs: RotationStore, stated: str | None
) -> None:
    """A mail address says nothing of a UPN: the answer names the field, and nothing is decided."""
    record = await requested_by(runs, REQUESTER_ID)
    body = body_of(record, approverId=stated)

    with pytest.raises(InvalidRequestError) as refused:
        await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert refused.value.facts["field"] == "approverId"
    assert (await runs.read(record.run_id)).decision is None


async def test_the_requesters_mail_address_is_not_a_second_person(runs: RotationStore) -> None:
    """Asked for under the UPN, signed under the mail address, with the same object id: one person."""
    record = await requested_by(runs, REQUESTER_ID)
    body = body_of(record, approver="a.lovelace@example.org", approverId=REQUESTER_ID)

    with pytest.raises(ForbiddenError):
        await submit(runs, signed(body, SECRET), body, Workflow(), sign_in=True)

    assert (await runs.read(record.run_id)).decision is None


async def test_where_people_sign_in_a_link_is_its_approvers_alone(runs: RotationStore) -> None:
    """A person who finds the link must also be the one it was made for; then the object id is written down."""
    record = await requested_by(runs, REQUESTER_ID)
    token = link_token(record, PERSON_ID.upper(), KEYTURN_ACCESS="entra")

    for who in (signed_in("eve@example.com", EVE), signed_in(PERSON_ID, EVE)):
        with pytest.raises(ForbiddenError):
            await open_link(runs, link_request(record, token, who), secrets=[SECRET], now=SOON)
        with pytest.raises(ForbiddenError):
            await decide(runs, link_request(record, token, who))
    decided = await decide(runs, link_request(record, token, signed_in(APPROVER)))

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, PERSON_ID)


async def test_a_link_that_was_made_for_a_name_opens_for_no_signed_in_approver(runs: RotationStore) -> None:
    """Users can change their names: taking the approver's does not take the link with it."""
    record = await requested_by(runs, REQUESTER_ID)

    with pytest.raises(ForbiddenError):
        await decide(runs, link_request(record, link_token(record, APPROVER), signed_in(APPROVER)))


async def test_a_requester_under_another_name_is_still_the_requester(runs: RotationStore) -> None:
    """Names change; the object id does not."""
    record = await requested_by(runs, REQUESTER_ID)
    token = link_token(record, PERSON_ID, KEYTURN_ACCESS="entra")
    await runs.update(record.run_id, lambda run: run.changed(requested_by_id=PERSON_ID))

    with pytest.raises(ForbiddenError, match="its requester"):
        await decide(runs, link_request(record, token, signed_in(APPROVER)))


async def test_with_keys_an_object_id_counts_for_nothing(runs: RotationStore) -> None:
    """The requester's is not vouched for: names are compared, whatever the message says beside."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)
    other, own = (body_of(record, approver=name, approverId=APPROVER_ID) for name in (APPROVER, REQUESTER))

    with pytest.raises(ForbiddenError):
        await submit(runs, signed(own, SECRET), own, Workflow())
    decided = await submit(runs, signed(other, SECRET), other, Workflow())

    assert decided.decision is not None
    assert (decided.decision.by, decided.decision.by_id) == (APPROVER, None)
