"""What every activity does at its edges: validate the payload, open the clients, and sort failures.

* a result goes back in an envelope, ``{"result": ...}``;
* a permanent failure goes back as a value, ``{"failure": ...}``: repeating it would not help;
* a transient failure is raised, and the workflow's retry policy repeats the activity.

Whatever is raised or returned stays in durable history, so it carries Keyturn's own words only: the text of a foreign
exception may quote a request.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.durable_functions as df
from azure.core.exceptions import AzureError
from pydantic import ValidationError

import field_encrypt.errors
from field_encrypt import FieldEncryptError, RetryError
from keyturn.contracts.base import Payload, RunInput, named_run
from keyturn.errors import (
    InvariantError,
    KeyturnError,
    NotSettledError,
    OperatorError,
    TransientError,
    UnavailableError,
    UnknownMigrationError,
    UnknownRotationError,
)
from keyturn.resources import Resources, process_resources
from keyturn.telemetry.signals import activity_span, working_on

logger = logging.getLogger("keyturn.activities")
_OPERATORS = (OperatorError, field_encrypt.errors.OperatorError)


def activity[I: RunInput, O: Payload](
    blueprint: df.Blueprint, kind: type[I]
) -> Callable[[Callable[[I, Resources], Awaitable[O]]], Callable[[I, Resources], Awaitable[O]]]:
    """Register the decorated coroutine as an activity of its own name, and leave it callable as it is."""

    def register(work: Callable[[I, Resources], Awaitable[O]]) -> Callable[[I, Resources], Awaitable[O]]:
        async def invoke(payload: dict) -> dict:  # type: ignore[type-arg]  # the worker's indexer refuses parameters
            with working_on(*_run_of(payload)):
                return await _run(work.__name__, kind, work, payload)

        invoke.__name__ = work.__name__
        invoke.__doc__ = work.__doc__
        blueprint.activity_trigger(input_name="payload")(invoke)
        return work

    return register


def _run_of(payload: dict[str, Any]) -> tuple[str, str]:
    """Return the ids of the run and of its keyring as far as an unchecked payload says."""
    named = named_run(payload)
    return str(named.get("rotationId")), str(named.get("keyring"))


async def _run[I: RunInput, O: Payload](
    name: str, kind: type[I], work: Callable[[I, Resources], Awaitable[O]], payload: dict[str, Any]
) -> dict[str, Any]:
    """Run an activity's work on its payload and return the envelope; raises what a retry may fix."""
    try:
        request = kind.from_payload(payload)
        request.check_in_time(datetime.now(UTC))
        with activity_span(name, request):
            result = await work(request, await process_resources())
    except TransientError as error:
        logger.warning("%s will be tried again: %s", name, error.message)
        # The worker writes the whole chain of causes into history and log, and a cause's text is not ours.
        raise error from None
    except (UnknownRotationError, UnknownMigrationError) as error:
        # A workflow is started for a record that was written: this one was read from a replica that lags behind.
        logger.warning("%s will be tried again: %s", name, error.message)
        raise NotSettledError("the run's record is not visible yet", rotationId=request.run.run_id) from None
    except (KeyturnError, FieldEncryptError) as error:
        if isinstance(error, RetryError):
            raise UnavailableError(f"{name} met {type(error).__name__}", resource=name) from None
        logger.error("%s failed: %s: %s", name, type(error).__name__, error)  # noqa: TRY400 - the text is ours, the trace says no more
        return _failure(type(error).__name__, str(error), recoverable=isinstance(error, _OPERATORS))
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in item["loc"]) for item in error.errors())
        logger.error("%s was given a payload that is not its own: %s", name, fields)  # noqa: TRY400 - the same
        return _failure(InvariantError.__name__, f"{name}: unexpected payload in {fields}")
    except (AzureError, OSError, TimeoutError) as error:
        logger.warning("%s will be tried again: it met %s", name, type(error).__name__)
        raise UnavailableError(f"{name} met {type(error).__name__}", resource=name) from None
    except Exception as error:  # noqa: BLE001 - a defect: repeating it would not help, and its text is not ours
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        logger.error("%s failed unexpectedly: %s at %s", name, type(error).__name__, place)  # noqa: TRY400 - the same
        return _failure(type(error).__name__, f"{name}: unexpected failure at {place}")
    return {"result": result.to_payload()}


def _failure(error_type: str, message: str, *, recoverable: bool = False) -> dict[str, Any]:
    """Return a permanent failure as a value; a recoverable one is over once an operator has put its cause right."""
    return {"failure": {"errorType": error_type, "message": message, "recoverable": recoverable}}
