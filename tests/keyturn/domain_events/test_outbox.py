"""Every audit event arrives: in order, none missing, however long the endpoint was away and whatever failed between."""

import asyncio
import logging
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from azure.cosmos.aio import ContainerProxy

from keyturn.audit.chain import head_of
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.contracts.states import State
from keyturn.domain_events.actiontrail import Actiontrail
from keyturn.domain_events.outbox import EVENTS_MAX, FIRST_WAIT, LONGEST_WAIT, Deliveries, Outbox, read_cursors
from keyturn.errors import UnavailableError
from keyturn.ids import keyring_of
from keyturn.runs.audit import audit_record
from keyturn.runs.store import RotationStore
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.audit.chains import event, fresh_rotation, lines
from tests.keyturn.runs.lifecycle import NOW, PATHS, start_run, step_to
from tests.local.actiontrail.receiver import Receiver, new_secret

TICK = timedelta(seconds=30)


async def appended(audit: AuditLog, count: int, run_id: str | None = None) -> str:
    """Return a rotation whose chain has so many events."""
    run_id = run_id or fresh_rotation()
    await audit.append(run_id, [event(number) for number in range(count)])
    return run_id


async def deliver(outbox: Outbox, run_id: str, now: datetime = NOW) -> Deliveries:
    """Deliver what is due of the rotation's keyring."""
    return await outbox.deliver_due([keyring_of(run_id)], now)


async def test_events_are_delivered_in_order_and_once(audit: AuditLog, outbox: Outbox, receiver: Receiver) -> None:
    """The receiver gets the chain as it is, and no event again while nothing fails."""
    run_id, repeated = await appended(audit, 5), receiver.repeated

    first = await deliver(outbox, run_id)
    await audit.append(run_id, [event(5)])
    second = await deliver(outbox, run_id)
    third = await deliver(outbox, run_id)

    assert [first, second, third] == [Deliveries(delivered=5), Deliveries(delivered=1), Deliveries()]
    assert await audit.read_chain(run_id) == receiver.events(run_id)
    assert receiver.repeated == repeated


async def test_what_arrived_verifies(audit: AuditLog, outbox: Outbox, receiver: Receiver) -> None:
    """The receiver can prove by itself that it has the whole chain."""
    run_id = await appended(audit, 5)

    await deliver(outbox, run_id)
    verified = verify_chain(lines(receiver.events(run_id)), await audit.head(run_id))

    assert (verified.run_id, verified.events, verified.broken) == (run_id, 5, None)


async def test_a_receiver_that_is_down_for_a_whole_rotation_misses_nothing(
    runs: RotationStore, audit: AuditLog, outbox: Outbox, receiver: Receiver
) -> None:
    """The rotation takes every step while nobody listens; hours later every event arrives, in order."""
    receiver.service.kill()
    record, now = await start_run(runs), NOW
    for target in PATHS[State.COMPLETED]:
        record = await step_to(runs, record, target)
        await audit_record(audit, record, now)
        now += timedelta(hours=1)
        assert (await deliver(outbox, record.run_id, now)).delivered == 0
    receiver.service.start()
    late = await deliver(outbox, record.run_id, now + LONGEST_WAIT)
    found = await audit.read_chain(record.run_id)

    assert len(found) == late.delivered
    assert receiver.events(record.run_id) == found
    assert {"completed", "requested"} <= {item["data"].get("to") for item in found}


async def test_attempts_come_at_longer_and_longer_intervals(
    runs: RotationStore, audit: AuditLog, outbox: Outbox, receiver: Receiver
) -> None:
    """While the endpoint refuses, waits double up to five minutes, and the cursor says what was answered."""
    run_id, tried = await appended(audit, 1), []
    receiver.fault(kind="status", status=503, count=None)

    for tick in range(60):
        now = NOW + tick * TICK
        if (await deliver(outbox, run_id, now)).failed:
            tried.append(now)
    cursor = (await read_cursors(runs.documents, keyring_of(run_id)))[run_id]
    receiver.clear_faults()
    taken = await deliver(outbox, run_id, now + LONGEST_WAIT)
    moved = (await read_cursors(runs.documents, keyring_of(run_id)))[run_id]

    waits = [second - first for first, second in pairwise(tried)]
    assert FIRST_WAIT <= waits[0] <= TICK
    assert sorted(waits) == waits
    assert waits[-1] == LONGEST_WAIT
    assert (0, len(tried), "HTTP 503") == (cursor.delivered, cursor.attempts, cursor.last_error)
    assert taken.delivered == 1
    assert (moved.delivered, moved.attempts, moved.next_attempt_at, moved.last_error) == (1, 0, None, None)


async def test_a_lost_answer_brings_the_event_again_under_its_id(
    audit: AuditLog, outbox: Outbox, receiver: Receiver
) -> None:
    """An event that was taken although nobody heard of it comes again, and the receiver keeps it once."""
    run_id, repeated = await appended(audit, 3), receiver.repeated
    receiver.fault(kind="reset_after", skip=1)

    cut = await deliver(outbox, run_id)
    again = await deliver(outbox, run_id, NOW + FIRST_WAIT)

    assert (cut, again) == (Deliveries(delivered=1, failed=1), Deliveries(delivered=2))
    assert await audit.read_chain(run_id) == receiver.events(run_id)
    assert receiver.repeated == repeated + 1


async def test_a_crash_before_the_cursor_moved_brings_the_event_again(
    audit: AuditLog, outbox: Outbox, receiver: Receiver, cosmos: LocalCosmos
) -> None:
    """Delivery that dies after the endpoint took an event, and before that was written down, repeats it."""
    run_id = await appended(audit, 2)
    await deliver(outbox, run_id)
    await audit.append(run_id, [event(2), event(3)])

    cosmos.fault(operation="replace", kind="status", status=503, count=None)
    with pytest.raises(UnavailableError):
        await deliver(outbox, run_id)
    cosmos.clear_faults()
    again = await deliver(outbox, run_id)

    assert again.delivered == 2
    assert await audit.read_chain(run_id) == receiver.events(run_id)


async def test_several_runs_at_once_keep_the_order(audit: AuditLog, outbox: Outbox, receiver: Receiver) -> None:
    """Two timers that overlap, and an appender beside them, still bring every event once and in order."""
    run_id = await appended(audit, 10)

    async def append_more() -> None:
        for number in range(10, 20):
            await audit.append(run_id, [event(number)])

    await asyncio.gather(append_more(), *(deliver(outbox, run_id) for _ in range(3)))
    await deliver(outbox, run_id)

    assert await audit.read_chain(run_id) == receiver.events(run_id)


async def test_one_rotations_failure_does_not_hold_up_the_others(
    audit: AuditLog, outbox: Outbox, receiver: Receiver
) -> None:
    """An event that the endpoint refuses waits; other rotations of the keyring are delivered meanwhile."""
    refused = await appended(audit, 1)
    keyring, when, _ = refused.split(".")
    other = await appended(audit, 2, f"{keyring}.{when}.ffffff")
    receiver.fault(kind="status", status=400)

    first = await deliver(outbox, refused)
    second = await deliver(outbox, refused)

    assert first == Deliveries(delivered=2, failed=1)
    assert second == Deliveries(waiting=1)
    assert len(receiver.events(other)) == 2


async def test_an_endpoint_that_does_not_answer_is_asked_once_a_run(
    audit: AuditLog, outbox: Outbox, receiver: Receiver
) -> None:
    """With the endpoint away, one attempt a run is enough to know; the others just wait."""
    run_id = await appended(audit, 1)
    keyring, when, _ = run_id.split(".")
    await appended(audit, 1, f"{keyring}.{when}.ffffff")
    receiver.fault(kind="reset_before", count=None)

    down = await deliver(outbox, run_id)
    receiver.clear_faults()
    up = await deliver(outbox, run_id, NOW + FIRST_WAIT)

    assert down == Deliveries(failed=1, waiting=1)
    assert up == Deliveries(delivered=2)


async def test_a_backlog_is_worked_off_run_by_run(audit: AuditLog, outbox: Outbox, receiver: Receiver) -> None:
    """One run has an end however much there is; the next goes on."""
    run_id = await appended(audit, EVENTS_MAX + 5)

    delivered = [(await deliver(outbox, run_id)).delivered for _ in range(3)]

    assert delivered == [EVENTS_MAX, 5, 0]
    assert len(receiver.events(run_id)) == EVENTS_MAX + 5


async def test_a_chain_with_a_hole_is_not_delivered_beyond_it(
    container: ContainerProxy, audit: AuditLog, outbox: Outbox, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody deleted an event: what follows does not go out as if nothing were missing, and the log says so."""
    run_id = await appended(audit, 3)
    await container.delete_item(f"{run_id}:audit:00000002", keyring_of(run_id))

    with caplog.at_level(logging.ERROR):
        deliveries = await deliver(outbox, run_id)

    assert deliveries == Deliveries(delivered=1, failed=1)
    assert len(receiver.events(run_id)) == 1
    assert "lacks event 2" in caplog.text


async def test_the_signature_is_of_every_active_secret(
    runs: RotationStore, audit: AuditLog, receiver: Receiver
) -> None:
    """While secrets are changed, a receiver that knows any of them takes the event; one that knows none does not."""
    run_id = await appended(audit, 2)
    for secrets, taken in ([new_secret()], 0), ([new_secret(), receiver.secrets[1]], 2):
        actiontrail = Actiontrail(receiver.url, secrets)
        deliveries = await deliver(Outbox(runs.documents, actiontrail), run_id, NOW + taken * FIRST_WAIT)
        await actiontrail.close()

        assert deliveries.delivered == taken
    assert head_of(receiver.events(run_id)[-1]) == await audit.head(run_id)
