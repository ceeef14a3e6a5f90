"""Log records are data, with the rotation and the keyring of the work in hand."""

import logging

from keyturn.contracts.base import RunRef
from keyturn.contracts.steps import NotifyInput
from keyturn.notifications.events import announce
from keyturn.telemetry import names
from keyturn.telemetry.signals import working_on
from tests.keyturn.telemetry.recorded import Recorded

REF = RunRef(run_id="notes.20260301T030000Z.abcdef", keyring="notes", fencing_token=3)
logger = logging.getLogger("keyturn.some.module")


def test_a_record_says_whose_work_it_belongs_to(recorded: Recorded) -> None:
    """A record within an activity has rotation and keyring; outside it has neither."""
    with working_on(REF.run_id, REF.keyring):
        logger.warning("a probe answered %d", 503)
    logger.warning("nobody's work")

    assert recorded.logs() == [
        (
            "a probe answered 503",
            {"logger": logger.name, names.ROTATION: REF.run_id, names.KEYRING: REF.keyring},
        ),
        ("nobody's work", {"logger": logger.name}),
    ]


def test_information_is_exported_whatever_the_worker_logs(recorded: Recorded) -> None:
    """An alert waits for lines of level INFO; the level of the root is the worker's to choose."""
    assert logging.getLogger().level > logging.INFO

    logging.getLogger("triggers.schedule").info("looked at")

    assert recorded.logs() == [("looked at", {"logger": "triggers.schedule"})]


def test_an_events_line_has_the_event(recorded: Recorded) -> None:
    """What alerts look for is the text; the same facts are attributes."""
    announce(NotifyInput(run=REF, key="1.1:failed", event="failed", detail="TimeoutError"))

    assert recorded.logs() == [
        (
            f"rotation {REF.run_id}: failed TimeoutError",
            {
                "logger": "keyturn.events",
                names.ROTATION: REF.run_id,
                names.KEYRING: "notes",
                names.EVENT: "failed",
            },
        )
    ]


def test_an_exceptions_text_stays_here(recorded: Recorded) -> None:
    """Of an exception that is logged, only the type is told."""
    try:
        int("a quoted secret")
    except ValueError:
        logger.exception("it did not work")

    assert recorded.logs() == [("it did not work", {"logger": logger.name, names.ERROR_TYPE: "ValueError"})]


def test_what_libraries_log_is_not_exported(recorded: Recorded) -> None:
    """A library's record may quote a request."""
    logging.getLogger("azure.core").warning("Request URL: https://...")

    assert recorded.logs() == []
