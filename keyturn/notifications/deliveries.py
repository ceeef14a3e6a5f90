"""The run's record as the list of what people were told: claimed before it is sent, settled afterwards."""

from collections.abc import Sequence
from datetime import datetime

from keyturn.contracts.steps import NotifyInput
from keyturn.errors import InvariantError
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import NOTICES_MAX, ChannelOutcome, Notice
from keyturn.settings.channels import Channel, Setting

type Place = tuple[Setting, int]


def find(record: RunRecord, key: str) -> Notice:
    """Return what became of the event of this key; raises InvariantError where it was not told."""
    if (known := _known(record, key)) is None:
        raise InvariantError("an event was told that the record does not know", rotationId=record.run_id, key=key)
    return known


def _known(record: RunRecord, key: str) -> Notice | None:
    return next((notice for notice in record.notifications if notice.key == key), None)


def claim(
    record: RunRecord, request: NotifyInput, channels: Sequence[Channel], *, claim_id: str, now: datetime, again: bool
) -> RunRecord:
    """Return the record in which the sending is this claim's, unless it is or was another's.

    What another left open is marked as interrupted. With ``again``, whatever has not arrived is this claim's.
    """
    known = _known(record, request.key)
    if known is None:
        places = [sending(channel) for channel in channels]
        notice = Notice(key=request.key, event=request.event, at=now, claim=claim_id, channels=places)
        return record.changed(notifications=[*record.notifications, notice][-NOTICES_MAX:])
    if known.claim == claim_id:  # the answer to this very write was lost
        return record
    if again:
        arrived = {place(found): found for found in known.channels if found.outcome == "sent"}
        places = [arrived.get((channel.setting, channel.number), sending(channel)) for channel in channels]
        update = {"claim": claim_id, "at": now, "channels": places}
    else:
        interrupted = {"outcome": "interrupted"}
        places = [found.model_copy(update=interrupted) if is_open(found) else found for found in known.channels]
        update = {"channels": places}
    return record if places == known.channels else _replaced(record, known.model_copy(update=update))


def settle(record: RunRecord, key: str, outcomes: Sequence[ChannelOutcome]) -> RunRecord:
    """Return the record with what became of the sending."""
    known = _known(record, key)
    if known is None or (after := settled(known, outcomes)) == known:
        return record
    return _replaced(record, after)


def settled(notice: Notice, outcomes: Sequence[ChannelOutcome]) -> Notice:
    """Return the notice with these outcomes."""
    known = {place(outcome): outcome for outcome in outcomes}
    return notice.model_copy(update={"channels": [known.get(place(found), found) for found in notice.channels]})


def place(outcome: ChannelOutcome) -> Place:
    """Return which channel this is about."""
    return outcome.setting, outcome.number


def is_open(outcome: ChannelOutcome) -> bool:
    """Tell whether the message is on its way, or was when its sender died."""
    return outcome.outcome == "sending"


def sending(channel: Channel) -> ChannelOutcome:
    """Return what is known of a message that is on its way."""
    return ChannelOutcome(setting=channel.setting, number=channel.number, scheme=channel.scheme, outcome="sending")


def _replaced(record: RunRecord, notice: Notice) -> RunRecord:
    return record.changed(
        notifications=[notice if known.key == notice.key else known for known in record.notifications]
    )
