"""Sends notifications: every event once, on every channel that it is meant for.

Before a message is sent, the record says so; afterwards, what became of it. The same key again finds that and sends
nothing. If the process dies in between, it is not known what arrived, and the record says ``interrupted``. A channel
that fails is visible in the record, the log and a metric, and holds nothing up.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from keyturn.access.identity import Identity, same_person
from keyturn.contracts.steps import NotifyInput
from keyturn.errors import UnavailableError
from keyturn.notifications import deliveries
from keyturn.notifications.channels import Message, send
from keyturn.notifications.events import DECISIONS, EVENTS, ON_CALL, announce, facts_of
from keyturn.notifications.messages import compose, with_link
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import ChannelOutcome, Notice
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import Runs
from keyturn.settings.channels import Channel, apart
from keyturn.telemetry import names
from keyturn.telemetry.signals import record as measure

_log = logging.getLogger(__name__)

# The approvers' links to decide on a run at a time, by approver.
type Links = Callable[[RunRecord, datetime], Mapping[str, str]]

_WENT = {"failed": "failed", "interrupted": "was interrupted"}


class Channels(NamedTuple):
    """Who is told of what, as the settings say."""

    everything: Sequence[Channel] = ()
    on_call: Sequence[Channel] = ()  # what is urgent
    approvers: Sequence[Channel] = ()  # each alone, what is to be decided on, with a link of his or her own

    def meant_for(self, event: str) -> list[Channel]:
        """Return the channels, shared by several people, that the event is meant for, each once."""
        if event == ON_CALL and self.on_call:
            return apart(self.on_call)
        return apart([*self.everything, *(self.on_call if EVENTS[event].urgent else [])])

    def asked(self, event: str, record: RunRecord) -> list[Channel]:
        """Return the approvers' own channels where the event asks for a decision; the requester has none."""
        if event not in DECISIONS:
            return []
        return [item for item in self.approvers if not same_person(Identity.of(item.reader or ""), record.requester)]


class Notifier:
    """Tells people.

    ``public_url`` is where they reach the app, None where it is not set. ``links`` makes the approvers' links to
    decide: credentials, each of which is told to its approver alone.
    """

    def __init__(self, runs: Runs[RunRecord], channels: Channels, *, public_url: str | None, links: Links) -> None:
        self._runs = runs
        self.channels = channels
        self._public_url = public_url
        self._links = links

    async def tell_on_call(self, record: RotationRecord, now: datetime) -> str:
        """Tell the people on call that a rotation is about to begin, and return where the message went.

        What did not arrive is sent again, because a rotation waits for it.

        Raises:
            UnavailableError: it arrived nowhere.
        """
        notice = await self.tell(NotifyInput(run=record.ref, key=ON_CALL, event=ON_CALL), now, again=True)
        arrived = [_named(outcome) for outcome in notice.channels if outcome.outcome == "sent"]
        if not arrived:
            failures = ", ".join(f"{_named(outcome)}: {outcome.error}" for outcome in notice.channels)
            raise UnavailableError(
                f"nobody on call could be told ({failures})",
                resource="the notification channels",
                hint="look at the channels in ON_CALL_URLS and NOTIFICATION_URLS, or answer for it: "
                f"keyturn rotate --keyring {record.keyring} --waive on_call_notified=WHY",
            )
        return ", ".join(arrived)

    async def tell_of_keyring(self, request: NotifyInput, message: Message) -> None:
        """Tell what is about a keyring, whose name stands for the run; the caller keeps in mind that it was told.

        Raises:
            UnavailableError: it arrived nowhere.
        """
        announce(request)
        channels = self.channels.meant_for(request.event)
        errors = await asyncio.gather(*(send(channel, message) for channel in channels))
        _report_all(request, map(deliveries.sending, channels), errors)
        if channels and all(errors):
            raise UnavailableError(f"nobody could be told: {request.event}", resource="the notification channels")

    async def tell(self, request: NotifyInput, now: datetime, *, again: bool = False) -> Notice:
        """Tell the event unless it was told, and return what became of it; the log is told in any case.

        With ``again``, people are told once more wherever it has not arrived.

        Raises:
            TransientError: the record could not be written; nothing was sent.
        """
        claim_id = uuid4().hex

        def change(run: RunRecord) -> RunRecord:
            return deliveries.claim(run, request, self._channels(request, run), claim_id=claim_id, now=now, again=again)

        record = await self._runs.update(request.run.run_id, change)
        notice = deliveries.find(record, request.key)
        if notice.claim != claim_id:
            for outcome in notice.channels:
                if outcome.outcome == "interrupted":
                    _report(request, outcome)
            return notice
        announce(request)
        message = compose(record, request, self._public_url, await self._runs.audit.head(request.run.run_id))
        links = self._links(record, now)
        by_place = {(channel.setting, channel.number): channel for channel in self._channels(request, record)}
        waiting = [outcome for outcome in notice.channels if deliveries.is_open(outcome)]
        sending = []
        for outcome in waiting:
            channel = by_place[deliveries.place(outcome)]
            own = links.get(channel.reader or "")
            sending.append(send(channel, message if own is None else with_link(message, own)))
        answers = await asyncio.gather(*sending)
        outcomes = _report_all(request, waiting, answers)
        await self._runs.update(request.run.run_id, lambda run: deliveries.settle(run, request.key, outcomes))
        return deliveries.settled(notice, outcomes)

    def _channels(self, request: NotifyInput, record: RunRecord) -> list[Channel]:
        return [*self.channels.meant_for(request.event), *self.channels.asked(request.event, record)]


def _report_all(
    request: NotifyInput, waiting: Iterable[ChannelOutcome], errors: Iterable[str | None]
) -> list[ChannelOutcome]:
    outcomes = [
        outcome.model_copy(update={"outcome": "failed" if error else "sent", "error": error})
        for outcome, error in zip(waiting, errors, strict=True)
    ]
    for outcome in outcomes:
        _report(request, outcome)
    return outcomes


def _report(request: NotifyInput, outcome: ChannelOutcome) -> None:
    attributes = {names.EVENT: request.event, names.SCHEME: outcome.scheme, names.OUTCOME: outcome.outcome}
    measure(names.NOTIFICATIONS, 1, attributes)
    if outcome.outcome != "sent":
        facts = {**facts_of(request), names.ERROR_TYPE: outcome.error}
        _log.warning(
            "the message %r of %s %s on %s: %s",
            *(request.event, request.run.run_id, _WENT[outcome.outcome], _named(outcome), outcome.error or "unknown"),
            extra={**attributes, **facts},
        )


def _named(outcome: ChannelOutcome) -> str:
    return f"{outcome.scheme} (number {outcome.number} of {outcome.setting})"
