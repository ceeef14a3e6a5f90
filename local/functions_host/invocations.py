"""Which function runs in the current task or thread, for the log; and the log's form."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import override

import azure_functions_runtime

FORMAT = "%(asctime)s %(levelname)s [%(function)s %(invocation)s] %(name)s: %(message)s"

_log = logging.getLogger("local.functions_host")
_running: dict[str, str] = {}  # function names by invocation id
_current: ContextVar[str | None] = azure_functions_runtime.invocation_id_cv  # type: ignore[assignment]  # typed by its default


@dataclass
class Invocation:
    """A running invocation; tell it when the function has failed."""

    failure: str | None = None

    def failed(self, stack_trace: str) -> None:
        """Note the failure, to be logged at the end."""
        self.failure = stack_trace


@contextlib.contextmanager
def invocation_of(function_name: str, invocation_id: str) -> Iterator[Invocation]:
    """Mark everything that runs inside as this invocation, and log its end.

    The worker sets the same variable in the threads in which synchronous functions run.
    """
    token = _current.set(invocation_id)
    _running[invocation_id] = function_name
    started, invocation = time.monotonic(), Invocation()
    try:
        yield invocation
    finally:
        took = (time.monotonic() - started) * 1000
        if invocation.failure is None:
            _log.debug("Executed in %.0f ms", took)
        else:
            _log.error("Failed in %.0f ms\n%s", took, invocation.failure)
        del _running[invocation_id]
        _current.reset(token)


class _Marks(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        invocation_id = _current.get()
        record.function = _running.get(invocation_id or "", "host")
        record.invocation = invocation_id or "-"
        return True


def configure_logging() -> None:
    """Log to stderr: the app's records from INFO up, those of the Azure and transport libraries from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(_Marks())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for library in ("azure", "durabletask", "durabletask-client", "grpc", "aiohttp", "asyncio", "urllib3", "msal"):
        logging.getLogger(library).setLevel(logging.WARNING)
