"""Log records as structured data, each with the rotation and the keyring that the work in hand belongs to."""

import logging
import time
from typing import override

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import get_current

from keyturn.telemetry.names import ATTRIBUTES, ERROR_TYPE, KEYRING, ROTATION
from keyturn.telemetry.spans import current_work

# Our own words only: what a library logs may quote a request.
LOGGERS = ("keyturn", "field_encrypt", "triggers")

_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class LogHandler(logging.Handler):
    """Hands records on to OpenTelemetry, with trace and span of whatever is being done."""

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1_000_000_000),
                observed_timestamp=time.time_ns(),
                context=get_current(),
                severity_text=record.levelname,
                severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
                body=record.getMessage(),
                attributes=_attributes(record),
            )
        )


def _attributes(record: logging.LogRecord) -> dict[str, str]:
    attributes = {"logger": record.name}
    if (work := current_work.get()) is not None:
        attributes |= {ROTATION: work.rotation_id, KEYRING: work.keyring}
    attributes |= {name: str(record.__dict__[name]) for name in ATTRIBUTES if name in record.__dict__}
    if record.exc_info is not None and record.exc_info[0] is not None:
        attributes[ERROR_TYPE] = record.exc_info[0].__name__
    return attributes
