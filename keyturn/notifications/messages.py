"""The message of an event: what the table of the run's kind says, where to look, and the head of the audit chain.

Only facts of the run's record are told, which holds no key and no secret. Remarks and ids are others' texts: each is
told on one line, with what a reader would not see of it made visible.
"""

from keyturn.audit.chain import Head
from keyturn.contracts.characters import visible
from keyturn.contracts.steps import NotifyInput
from keyturn.errors import InvariantError
from keyturn.ids import console_link
from keyturn.notifications.channels import Message
from keyturn.notifications.events import EVENTS, runbook
from keyturn.notifications.migration_messages import MIGRATION_MESSAGES, migration_facts
from keyturn.notifications.rotation_messages import ROTATION_MESSAGES, Lines, Template, rotation_facts
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord


def compose(record: RunRecord, request: NotifyInput, public_url: str | None, head: Head | None) -> Message:
    """Return the message for the event; ``public_url`` is None where people know the app's address by themselves."""
    template, raw_facts = _template(record, request)
    facts = {name: fact if isinstance(fact, Lines) else visible(fact) for name, fact in raw_facts.items()}
    title = template.title.format(**facts)
    if request.event == "approval_reminder":
        title = title.replace("please decide", "still waiting for a decision")
    lines = [
        template.text.format(**facts),
        "",
        f"Report: {(public_url or '').rstrip('/')}{console_link(record.run_id)}",
        *runbook(request.event),
    ]
    if head is not None:
        lines.append(f"Audit chain: {head}")
    return Message(f"Keyturn: {title}", "\n".join(lines), EVENTS[request.event].tone)


def _template(record: RunRecord, request: NotifyInput) -> tuple[Template, dict[str, str]]:
    if isinstance(record, MigrationRecord):
        return MIGRATION_MESSAGES[request.event], migration_facts(record, request)
    if isinstance(record, RotationRecord):
        return ROTATION_MESSAGES[request.event], rotation_facts(record, request)
    raise InvariantError("there are no messages about a run of this kind", kind=record.kind)


def with_link(message: Message, link: str) -> Message:
    """Return the message as one approver alone may read it: with the link by which he or she decides."""
    return message._replace(body=f"{message.body}\nDecide here, for yourself only: {link}")
