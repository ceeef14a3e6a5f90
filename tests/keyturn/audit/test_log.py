"""The log appends every event once, in one chain, whoever appends at the same time or loses an answer."""

import asyncio
import random

import pytest

from keyturn.audit.chain import event_id
from keyturn.audit.log import AuditLog
from keyturn.audit.verify import verify_chain
from keyturn.errors import UnavailableError, UnknownRotationError
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.audit.chains import event, fresh_rotation, lines


async def test_events_are_read_as_a_chain(audit: AuditLog) -> None:
    """What was appended comes back in its order, each event linked to the one before, up to the head."""
    run_id = fresh_rotation()

    assert await audit.head(run_id) is None
    first = await audit.append(run_id, [event(1), event(2)])
    head = await audit.append(run_id, [event(3)])
    found = await audit.read_chain(run_id)
    verified = verify_chain(lines(found), first)

    assert [event_id(run_id, f"test:{number}") for number in (1, 2, 3)] == [item["id"] for item in found]
    assert (3, str(head), None) == (verified.events, verified.head, verified.broken)
    assert await audit.head(run_id) == head
    assert await audit.heads(run_id.partition(".")[0]) == {run_id: head}


async def test_an_event_is_appended_once(audit: AuditLog) -> None:
    """The same key again, alone or among others, in one call or another, adds nothing."""
    run_id = fresh_rotation()

    await audit.append(run_id, [event(1), event(2), event(1)])
    head = await audit.append(run_id, [event(2), event(1)])

    assert head is not None
    assert 2 == head.sequence == len(await audit.read_chain(run_id))


async def test_the_export_is_verified_as_it_is(audit: AuditLog) -> None:
    """More events than a batch and a page take are exported as lines that verify."""
    run_id = fresh_rotation()

    head = await audit.append(run_id, [event(number) for number in range(520)])
    verified = verify_chain((await audit.export(run_id)).splitlines(), head)

    assert (verified.events, verified.broken) == (520, None)


async def test_a_part_of_the_chain_can_be_read(audit: AuditLog) -> None:
    """Who has some of the events reads on after them, so many at a time."""
    run_id = fresh_rotation()
    await audit.append(run_id, [event(number) for number in range(1, 6)])

    found = await audit.read_chain(run_id, after=2, limit=2)

    assert [item["sequence"] for item in found] == ["00000003", "00000004"]


async def test_ten_at_once_make_one_chain(audit: AuditLog) -> None:
    """Ten appenders of events that they share in part leave every event once, in one chain."""
    run_id = fresh_rotation()

    async def appender(number: int) -> None:
        own = [*range(number * 10, number * 10 + 5), *range(1000, 1003)]
        random.Random(number).shuffle(own)  # noqa: S311 - repeatable on purpose, no security rests on it
        for part in own:
            await audit.append(run_id, [event(part)])

    await asyncio.gather(*(appender(number) for number in range(10)))
    found = await audit.read_chain(run_id)
    verified = verify_chain(lines(found))

    assert (verified.events, verified.broken) == (53, None)
    assert len({item["id"] for item in found}) == 53


async def test_a_lost_answer_adds_nothing(audit: AuditLog, cosmos: LocalCosmos) -> None:
    """A batch that was written although its answer was lost is found by whoever tries again."""
    run_id = fresh_rotation()
    await audit.append(run_id, [event(1)])

    cosmos.fault(operation="batch", kind="reset_after", count=None)
    with pytest.raises(UnavailableError):
        await audit.append(run_id, [event(2)])
    cosmos.clear_faults()
    head = await audit.append(run_id, [event(2), event(3)])

    assert head is not None
    assert 3 == head.sequence == len(await audit.read_chain(run_id))


async def test_a_refused_batch_leaves_the_chain_as_it_was(audit: AuditLog, cosmos: LocalCosmos) -> None:
    """Where the database does not answer, nothing is appended and nothing is half appended."""
    run_id = fresh_rotation()
    head = await audit.append(run_id, [event(1)])

    cosmos.fault(operation="batch", kind="reset_before", count=None)
    with pytest.raises(UnavailableError):
        await audit.append(run_id, [event(2), event(3)])
    cosmos.clear_faults()

    assert await audit.head(run_id) == head
    assert len(await audit.read_chain(run_id)) == 1


async def test_what_cannot_be_a_rotation_has_no_chain(audit: AuditLog) -> None:
    """An id that no rotation can have is refused."""
    with pytest.raises(UnknownRotationError):
        await audit.append("nothing", [event(1)])
