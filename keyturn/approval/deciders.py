"""Who could decide on what a run will ask: a run that asks in vain moves every row, and expires a week later.

Pre-flight, the doctor and the start of a rollback or restore ask the same question, and answer with the same sentence.
"""

from keyturn.access.identity import Identity, same_person
from keyturn.contracts.characters import counted
from keyturn.errors import OperatorError
from keyturn.settings import Settings

ADVICE = "set what it names (docs/deploy.md, Approvals)"


def require_decider(settings: Settings, requester: Identity) -> str:
    """Return in words who may decide on what this person asks for, and how they hear of it.

    Raises:
        OperatorError: a decision could not be taken, no approver is another person, or none could be reached; the fact
            ``variable`` names the setting.
    """
    if not settings.approval_secrets():
        raise _missing("APPROVAL_WEBHOOK_SECRETS", "APPROVAL_WEBHOOK_SECRETS is not set, so no decision is taken")
    others = [one for one in settings.keyturn_approvers if not same_person(Identity.of(one), requester)]
    if not others:
        named = f"none but the requester, {requester.name}" if settings.keyturn_approvers else "none"
        raise _missing("KEYTURN_APPROVERS", f"of approvers KEYTURN_APPROVERS names {named}")
    approvers = f"{counted(len(others), 'approver')} other than the requester"
    shared = [urls for urls in (settings.notification_urls, settings.on_call_urls) if urls is not None]
    if shared or any(one in settings.approver_urls for one in others):
        return f"{approvers}, told over a channel"
    if settings.link_secrets() and settings.keyturn_public_url is not None:
        return f"{approvers}, on the page of the run at {settings.keyturn_public_url}; no channel tells them of it"
    raise _missing(
        "APPROVER_URLS",
        f"{approvers}, whom nothing reaches: APPROVER_URLS, NOTIFICATION_URLS and ON_CALL_URLS have no channel for "
        "them, and no link leads them to the app",
    )


def _missing(variable: str, found: str) -> OperatorError:
    return OperatorError(f"no approver could decide: {found}", hint=ADVICE, variable=variable)
