"""The app's own workflows and activities on a real task hub, without the Functions host between them.

Orchestrators and activities are taken as they are registered in the app's blueprints. Activities run on the tests'
event loop, so that a test may replace exactly one guard of the core and let everything else be real.
"""

import asyncio
import importlib
import logging
from collections.abc import Callable
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import grpc
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

import activities
import orchestrators


def registered(package: ModuleType) -> dict[str, Any]:
    """Return what the blueprints of a package's modules register, by name; what the SDK adds itself is left out."""
    modules = [importlib.import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]
    blueprints = [module.bp for module in modules if hasattr(module, "bp")]
    functions = [builder._function for blueprint in blueprints for builder in blueprint._function_builders]
    return {
        found.get_function_name(): found.get_user_function()
        for found in functions
        if not found.get_function_name().startswith("BuiltIn__")
    }


class Engine:
    """A worker of the hub in this process, and a client that starts workflows."""

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop) -> None:
        quiet = logging.getLogger("tests.invariants.engine")  # the SDK's own writes every turn to stderr
        quiet.setLevel(logging.ERROR)
        self._worker = TaskHubGrpcWorker(host_address=address, logger=quiet)
        self._loop = loop
        self.client = TaskHubGrpcClient(host_address=address, logger=quiet)
        for name, function in registered(orchestrators).items():
            self._worker._registry.add_named_orchestrator(name, function.orchestrator_function)
        for name, function in registered(activities).items():
            self._worker._registry.add_named_activity(name, self._bridged(function))

    def _bridged(self, function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        def run(_context: Any, payload: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(function(payload), self._loop).result()

        return run

    def start(self) -> None:
        """Take work from the hub."""
        self._worker.start()

    def stop(self) -> None:
        """Take no more work."""
        self._worker.stop()
        self.client.close()

    async def end(self, instance_id: str) -> None:
        """Terminate a workflow if it still runs."""
        if await self._runs(instance_id):
            try:
                await asyncio.to_thread(self.client.terminate_orchestration, instance_id)
            except grpc.RpcError:
                if await self._runs(instance_id):  # else it ended by itself between the question and the order
                    raise

    async def _runs(self, instance_id: str) -> bool:
        state = await asyncio.to_thread(self.client.get_orchestration_state, instance_id)
        return state is not None and state.runtime_status is OrchestrationStatus.RUNNING
