"""People are told every event once, on the channels it is meant for, and what became of it is written down."""

import asyncio
import logging
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.contracts.steps import NotifyInput
from keyturn.errors import UnavailableError
from keyturn.notifications.notifier import Channels, Notifier
from keyturn.runs.record_parts import ChannelOutcome, Notice
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import EveryRun, RotationStore
from tests.keyturn.notifications.inbox import Inbox, links, notifier_of
from tests.keyturn.runs.lifecycle import NOW, bring_to, start_run


def event_of(record: RotationRecord, event: str, **fields: Any) -> NotifyInput:
    """Return an event of the rotation."""
    return NotifyInput(**{"run": record.ref, "key": f"1.1:{event}", "event": event, **fields})


def outcomes(notice: Notice) -> list[tuple[str, str, str | None]]:
    """Return what became of the message, channel by channel."""
    return [(item.setting, item.outcome, item.error) for item in notice.channels]


async def test_an_event_is_sent_and_recorded(runs: RotationStore, inbox: Inbox) -> None:
    """The message arrives with a link to the report and the head of the audit chain; the record says so."""
    record = await bring_to(runs, State.PREFLIGHT)
    head = await runs.audit.head(record.run_id)

    notice = await notifier_of(runs, inbox).tell(event_of(record, "started"), NOW)

    [message] = inbox.read("all", record.run_id)
    assert head is not None
    assert (await runs.read(record.run_id)).notifications == [notice]
    assert outcomes(notice) == [("NOTIFICATION_URLS", "sent", None)]
    assert f"Report: https://keyturn.example/api/console/runs/{record.run_id}" in message["message"]
    assert f"Audit chain: {head}" in message["message"].splitlines()


async def test_the_same_event_is_sent_once(runs: RotationStore, inbox: Inbox) -> None:
    """A second run of the same event, by another process too, sends nothing."""
    record = await start_run(runs)

    for _ in range(2):
        await notifier_of(runs, inbox).tell(event_of(record, "started"), NOW)

    assert len(inbox.read("all", record.run_id)) == 1


async def test_of_two_at_once_one_sends(runs: RotationStore, inbox: Inbox) -> None:
    """Two runs of the same event at the same time send one message."""
    record = await start_run(runs)

    await asyncio.gather(*(notifier_of(runs, inbox).tell(event_of(record, "started"), NOW) for _ in range(2)))

    assert len(inbox.read("all", record.run_id)) == 1


async def test_events_of_other_keys_are_sent_each(runs: RotationStore, inbox: Inbox) -> None:
    """The second reminder is another event than the first."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    for number in (1, 2):
        await notifier_of(runs, inbox).tell(
            event_of(record, "approval_reminder", key=f"5.{number}:approval_reminder"), NOW
        )

    assert len(inbox.read("all", record.run_id)) == 2


async def test_what_was_being_sent_when_the_process_died_is_interrupted(runs: RotationStore, inbox: Inbox) -> None:
    """A message that another process left open is marked, logged and not sent again."""
    record = await start_run(runs)
    open_channel = ChannelOutcome(setting="NOTIFICATION_URLS", number=1, scheme="json", outcome="sending")
    left = Notice(key="1.1:started", event="started", at=NOW, claim="another", channels=[open_channel])
    await runs.update(record.run_id, lambda run: run.changed(notifications=[left]))

    notice = await notifier_of(runs, inbox).tell(event_of(record, "started"), NOW)

    assert outcomes(notice) == [("NOTIFICATION_URLS", "interrupted", None)]
    assert inbox.read("all", record.run_id) == []


async def test_people_on_call_are_notified_of_what_is_urgent(runs: RotationStore, inbox: Inbox) -> None:
    """A channel of the people on call gets urgent events only, and one that is in both settings gets each once."""
    record = await bring_to(runs, State.BLOCKED)
    notifier = notifier_of(runs, inbox, everything="all pager", on_call="pager night")

    for event in ("started", "blocked"):
        await notifier.tell(event_of(record, event), NOW)

    assert [len(inbox.read(channel, record.run_id)) for channel in ("all", "pager", "night")] == [2, 2, 1]


async def test_each_approver_gets_a_link_alone(runs: RotationStore, inbox: Inbox) -> None:
    """An approver's link is on that approver's channel and nowhere else; the requester is not asked."""
    record = await bring_to(runs, State.AWAITING_APPROVAL)

    await notifier_of(runs, inbox, on_call="pager").tell(event_of(record, "approval_wanted"), NOW)

    messages = {name: inbox.read(name, record.run_id) for name in ("all", "pager", "grace", "ada")}
    assert {name: len(found) for name, found in messages.items()} == {"all": 1, "pager": 1, "grace": 1, "ada": 0}
    assert "token=of-grace" in messages["grace"][0]["message"]
    assert "token" not in str(messages["all"]) + str(messages["pager"])


async def test_who_looks_like_the_requester_is_not_asked(runs: RotationStore, inbox: Inbox) -> None:
    """A requester under a name that reads as an approver's: the two cannot be told apart."""
    waiting = await bring_to(runs, State.AWAITING_APPROVAL)
    record = await runs.update(waiting.run_id, lambda run: run.changed(requested_by="gr\u0430ce@example.com"))

    await notifier_of(runs, inbox).tell(event_of(record, "approval_wanted"), NOW)

    assert {name: len(inbox.read(name, record.run_id)) for name in ("grace", "ada")} == {"grace": 0, "ada": 1}


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"status": 503}, "HTTP 503"), ({"status": 403}, "HTTP 403"), ({"kind": "reset_before"}, "ConnectionError")],
)
async def test_a_failing_channel_is_named_and_the_others_are_used(
    runs: RotationStore, inbox: Inbox, fault: dict[str, Any], error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The record and the log name the channel by its place and why it failed; nothing is raised, nothing is leaked."""
    record = await start_run(runs)
    inbox.fail("broken", body={"echo": "an answer with a secret"}, **fault)

    with caplog.at_level(logging.DEBUG):
        notice = await notifier_of(runs, inbox, everything="broken all").tell(event_of(record, "started"), NOW)

    ours = [line for line in caplog.records if line.name.startswith(("keyturn", "apprise"))]
    said = " ".join(line.getMessage() for line in ours) + (await runs.read(record.run_id)).model_dump_json()
    assert outcomes(notice) == [("NOTIFICATION_URLS", "failed", error), ("NOTIFICATION_URLS", "sent", None)]
    assert f"failed on json (number 1 of NOTIFICATION_URLS): {error}" in said
    assert "secret" not in said


async def test_on_call_is_notified_before_a_rotation_begins(runs: RotationStore, inbox: Inbox) -> None:
    """Pre-flight learns where the message went, and a second run of it does not send another."""
    record = await start_run(runs)
    notifier = notifier_of(runs, inbox, on_call="pager")

    went = {await notifier.tell_on_call(record, NOW) for _ in range(2)}

    assert went == {"json (number 1 of ON_CALL_URLS)"}
    assert [len(inbox.read(channel, record.run_id)) for channel in ("pager", "all")] == [1, 0]


async def test_on_call_is_notified_again_where_the_message_did_not_arrive(runs: RotationStore, inbox: Inbox) -> None:
    """Nobody reached is an error that says why; another try sends again."""
    record = await start_run(runs)
    notifier = notifier_of(runs, inbox, on_call="pager")
    inbox.fail("pager", status=500, count=1)

    with pytest.raises(UnavailableError, match=r"json \(number 1 of ON_CALL_URLS\): HTTP 500"):
        await notifier.tell_on_call(record, NOW)
    went = await notifier.tell_on_call(record, NOW)

    assert went == "json (number 1 of ON_CALL_URLS)"
    assert len(inbox.read("pager", record.run_id)) == 1


async def test_without_channels_the_log_has_it_once(runs: RotationStore, caplog: pytest.LogCaptureFixture) -> None:
    """An app without channels has its events in the log and in the record, once."""
    record = await start_run(runs)
    notifier = Notifier(EveryRun(runs.documents), Channels(), public_url=None, links=links)

    with caplog.at_level(logging.INFO, logger="keyturn.events"):
        for _ in range(2):
            await notifier.tell(event_of(record, "started"), NOW)

    assert caplog.messages == [f"rotation {record.run_id}: started "]
    assert [notice.event for notice in (await runs.read(record.run_id)).notifications] == ["started"]
