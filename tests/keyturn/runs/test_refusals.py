"""A refused attempt is in the chain of the rotation it was aimed at, and never in the way of the refusal itself."""

from datetime import timedelta

from keyturn.audit.log import AuditLog
from keyturn.errors import DigestMismatchError, UnauthenticatedError
from keyturn.runs.audit import EVENTS_MAX, record_refusal
from keyturn.runs.store import RotationStore
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.keyturn.audit.chains import event, fresh_rotation
from tests.keyturn.runs.lifecycle import NOW

REFUSED = DigestMismatchError("other evidence is in force", evidenceDigest="f" * 64)


async def begun(audit: AuditLog, length: int = 1) -> str:
    """Return a rotation whose chain has so many events."""
    run_id = fresh_rotation()
    await audit.append(run_id, [event(number) for number in range(length)])
    return run_id


async def test_a_refused_attempt_is_audited(runs: RotationStore, audit: AuditLog) -> None:
    """Who tried what, and which rule refused it."""
    run_id = await begun(audit)

    await record_refusal(runs, run_id, "decide", REFUSED, by="eve", now=NOW)
    [found] = await audit.read_chain(run_id, after=1)

    expected = {
        "attempt": "decide",
        "by": "eve",
        "error": "DigestMismatchError",
        "detail": "other evidence is in force",
    }
    assert (found["type"], found["data"]) == ("dev.keyturn.rotation.attempt_refused", expected)


async def test_repeated_refusals_are_one_a_minute(runs: RotationStore, audit: AuditLog) -> None:
    """The same attempt by the same person counts once a minute; another person or another rule counts apart."""
    run_id = await begun(audit)
    forged = UnauthenticatedError("the message is not authentic")

    for seconds in (0, 10, 59, 60):
        await record_refusal(runs, run_id, "decide", REFUSED, by="eve", now=NOW + timedelta(seconds=seconds))
    await record_refusal(runs, run_id, "decide", forged, by=None, now=NOW)
    await record_refusal(runs, run_id, "decide", forged, by=None, now=NOW)
    found = await audit.read_chain(run_id, after=1)

    assert [item["data"]["by"] for item in found] == ["eve", "eve", None]


async def test_a_rotation_that_does_not_exist_gets_no_chain(runs: RotationStore, audit: AuditLog) -> None:
    """Attempts on made-up rotations leave nothing behind, whatever was given for an id."""
    run_id = fresh_rotation()

    for aimed_at in (run_id, "nothing"):
        await record_refusal(runs, aimed_at, "abort", REFUSED, by="eve", now=NOW)

    assert await audit.head(run_id) is None


async def test_refusals_cannot_fill_the_store(runs: RotationStore, audit: AuditLog) -> None:
    """Beyond so many events, refusals are only logged; what the rotation itself does is still appended."""
    run_id = await begun(audit, EVENTS_MAX)

    await record_refusal(runs, run_id, "abort", REFUSED, by="eve", now=NOW)
    head = await audit.append(run_id, [event(EVENTS_MAX)])

    assert head is not None
    assert head.sequence == EVENTS_MAX + 1


async def test_a_refusal_is_answered_without_its_event(
    runs: RotationStore, audit: AuditLog, cosmos: LocalCosmos
) -> None:
    """Where the database is away, recording the refusal raises nothing."""
    run_id = await begun(audit)

    cosmos.fault(operation="batch", kind="reset_before", count=None)
    await record_refusal(runs, run_id, "abort", REFUSED, by="x" * 5000, now=NOW)
    cosmos.clear_faults()

    assert len(await audit.read_chain(run_id)) == 1
