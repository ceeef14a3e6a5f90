"""Drives Azure's Python worker (``azure_functions_runtime``) inside this process: start, index, invoke."""
# mypy: allow-untyped-calls
# (azure_functions_runtime ships without types)

import os
import signal
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from local.common.faults import Faults
from local.functions_host import messages
from local.functions_host.functions import Function, parse_function
from local.functions_host.invocations import invocation_of
from local.functions_host.messages import ParameterBinding, RpcException, StatusResult, TypedData
from local.functions_host.timeouts import Watchdog


class IndexingError(Exception):
    """The worker could not index the app; the text is the worker's own exception."""


class InvocationError(Exception):
    """A function failed; the worker's text is split into type and message as the durable extension does."""

    def __init__(self, failure: RpcException) -> None:
        super().__init__(failure.message)
        error_type, separator, message = failure.message.partition(": ")
        self.error_type = error_type.rstrip() if separator else "(unknown)"
        self.message = (message if separator else failure.message).split("\n", 1)[0].rstrip()
        self.stack_trace: str = failure.stack_trace


class Worker:
    """The started worker with the functions of one app."""

    def __init__(self, functions: list[Function], faults: Faults, watchdog: Watchdog) -> None:
        self.functions = functions
        self._faults = faults
        self._watchdog = watchdog

    @classmethod
    async def start(cls, app: Path, faults: Faults, watchdog: Watchdog) -> "Worker":
        """Start the worker, index the app in the folder and load its functions.

        Raises:
            IndexingError: the app cannot be imported or indexed, or has no functions.
            UnservedBindingError: a function uses a binding that the local host does not serve.
        """
        sys.path.insert(0, str(app))
        os.chdir(app)
        runtime.start_threadpool_executor()
        started = await runtime.worker_init_request(
            _request(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(app)))
        )
        _check_indexed(started.result)
        indexed = (await runtime.functions_metadata_request(_request())).function_metadata_results
        if not indexed:
            raise IndexingError(f"no functions were found in {app}: it must hold a function_app.py with an app in it")
        functions = [parse_function(metadata) for metadata in indexed]
        for function in functions:
            await runtime.function_load_request(
                _request(function_load_request=SimpleNamespace(function_id=function.function_id))
            )
        return cls(functions, faults, watchdog)

    async def invoke(
        self, function: Function, inputs: dict[str, TypedData], metadata: dict[str, TypedData] | None = None
    ) -> TypedData | None:
        """Run the function once and return its ``$return`` value.

        Raises:
            InvocationError: the function raised, or its result cannot be encoded.
        """
        self._die_if_armed("kill_before", function)
        invocation_id = str(uuid.uuid4())
        with invocation_of(function.name, invocation_id) as invocation, self._watchdog.watching(function.name):
            response = await runtime.invocation_request(
                _request(
                    invocation_request=SimpleNamespace(
                        invocation_id=invocation_id,
                        function_id=function.function_id,
                        input_data=[ParameterBinding(name=name, data=data) for name, data in inputs.items()],
                        trigger_metadata=metadata or {},
                        trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
                        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
                    )
                )
            )
            if response.result.status != StatusResult.Success:
                error = InvocationError(response.result.exception)
                invocation.failed(error.stack_trace)
                raise error
        self._die_if_armed("kill_after", function)
        result: TypedData | None = response.return_value
        return result

    def _die_if_armed(self, kind: str, function: Function) -> None:
        if self._faults.take(kind, function.name) is not None:
            os.kill(os.getpid(), signal.SIGKILL)


def _request(**parts: Any) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**parts), properties={"host": "127.0.0.1", "protos": messages})


def _check_indexed(result: StatusResult) -> None:
    if result.status != StatusResult.Success:
        raise IndexingError(f"the worker could not index the app:\n{result.exception.stack_trace}")
