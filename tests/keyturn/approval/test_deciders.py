"""Whether an approver other than the requester could decide: who counts, what reaches them, and what is missing."""

import json
import uuid

import pytest

from keyturn.access.identity import Identity
from keyturn.approval.deciders import ADVICE, require_decider
from keyturn.errors import OperatorError
from keyturn.rotation.due import REQUESTER as SCHEDULE
from tests.keyturn.approval.approvers import settings
from tests.keyturn.runs.lifecycle import APPROVER, REQUESTER

INBOX = "json://inbox.example/all"
NO_LINKS = {"KEYTURN_LINKS_WITHOUT_SIGN_IN": ""}
ADA, GRACE = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.mark.parametrize("requester", [REQUESTER, SCHEDULE])
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "on the page of the run at https://keyturn.example/; no channel tells them of it"),
        ({"NOTIFICATION_URLS": INBOX, **NO_LINKS}, "told over a channel"),
        ({"ON_CALL_URLS": INBOX, **NO_LINKS}, "told over a channel"),
        ({"APPROVER_URLS": json.dumps({APPROVER: INBOX}), **NO_LINKS}, "told over a channel"),
        (
            {"KEYTURN_PUBLIC_URL": "", "WEBSITE_HOSTNAME": "app.example"},
            "on the page of the run at https://app.example",
        ),
    ],
)
def test_an_approver_who_can_be_reached_can_decide(variables: dict[str, str], expected: str, requester: str) -> None:
    """By a channel, or by the page that a link or a sign-in opens; whoever asked, a person or the schedule."""
    found = require_decider(settings(APPROVER, REQUESTER, **variables), Identity(requester))

    number = {REQUESTER: "1 approver", SCHEDULE: "2 approvers"}[requester]
    assert found.startswith(f"{number} other than the requester, {expected}")


@pytest.mark.parametrize(
    ("approvers", "variables", "variable", "found"),
    [
        (
            [APPROVER],
            {"APPROVAL_WEBHOOK_SECRETS": ""},
            "APPROVAL_WEBHOOK_SECRETS",
            "APPROVAL_WEBHOOK_SECRETS is not set",
        ),
        ([], {"KEYTURN_APPROVERS": ""}, "KEYTURN_APPROVERS", "of approvers KEYTURN_APPROVERS names none"),
        ([REQUESTER.upper()], {}, "KEYTURN_APPROVERS", f"none but the requester, {REQUESTER}"),
        ([APPROVER], NO_LINKS, "APPROVER_URLS", "1 approver other than the requester, whom nothing reaches"),
        ([APPROVER], {"KEYTURN_PUBLIC_URL": ""}, "APPROVER_URLS", "no link leads them to the app"),
        (
            [APPROVER, REQUESTER],
            {"APPROVER_URLS": json.dumps({REQUESTER: INBOX}), **NO_LINKS},
            "APPROVER_URLS",
            "whom nothing reaches",
        ),
    ],
)
def test_without_one_the_setting_is_named(
    approvers: list[str], variables: dict[str, str], variable: str, found: str
) -> None:
    """No decision is taken, the requester is the only approver, or nothing leads to an approver."""
    with pytest.raises(OperatorError) as refused:
        require_decider(settings(*approvers, **variables), Identity(REQUESTER))

    assert refused.value.message.startswith("no approver could decide: ")
    assert found in refused.value.message
    assert (refused.value.facts["variable"], refused.value.hint) == (variable, ADVICE)


def test_where_people_sign_in_the_object_id_tells_the_requester() -> None:
    """A requester under another name is the same person."""
    only_ada = settings(ADA, KEYTURN_ACCESS="entra")

    with pytest.raises(OperatorError, match="none but the requester"):
        require_decider(only_ada, Identity("ada's new name", ADA.upper()))
    assert require_decider(settings(ADA, GRACE, KEYTURN_ACCESS="entra"), Identity("ada", ADA)).startswith("1 approver")
