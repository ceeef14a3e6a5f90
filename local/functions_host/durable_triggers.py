"""Durable triggers: takes work from the task hub, runs it through the worker, reports how it ended.

A work item that cannot be reported is given back by ending the stream: the hub hands out again what the stream held.
What runs then runs on, as an app's function does when its host has lost the hub; the hub ignores what it answers.
While the host lives it renews its locks, as the durable extension does: only a host that is frozen or gone loses work.
"""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty  # type: ignore[attr-defined]  # the generated module has no stub

from local.functions_host.durable_work import DurableWork
from local.functions_host.settings import DurableSection
from local.task_hub.workers import WORKER_ID

RECONNECT_SECONDS = 0.3
RENEW_SECONDS = 1.0

_log = logging.getLogger(__name__)


class DurableTriggers:
    """The host as a worker of the task hub."""

    def __init__(self, stub: Any, work: DurableWork, settings: DurableSection) -> None:
        self._stub = stub
        self._handlers: dict[str, Callable[[pb.WorkItem], Coroutine[Any, Any, None]]] = {
            "orchestratorRequest": work.orchestrate,
            "activityRequest": work.act,
            "entityRequestV2": work.operate,
        }
        self._id = uuid.uuid4().hex
        self._request = pb.GetWorkItemsRequest(
            worker_instance_id=self._id,
            maxConcurrentOrchestrationWorkItems=settings.max_concurrent_orchestrator_functions,
            maxConcurrentActivityWorkItems=settings.max_concurrent_activity_functions,
            maxConcurrentEntityWorkItems=settings.max_concurrent_entity_functions,
        )
        self._running: set[asyncio.Task[None]] = set()
        self.connected = False

    async def run(self) -> None:
        """Take work until cancelled, connecting again whenever the hub goes away."""
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                try:
                    await self._take()
                except grpc.aio.AioRpcError as error:
                    _log.warning("The task hub is away: %s", error.code())
                self.connected = False
                await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            for task in (renewing, *self._running):
                task.cancel()

    async def _renew(self) -> None:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):  # the hub is away, which the stream finds out as well
                await self._stub.Hello(Empty(), metadata=((WORKER_ID, self._id),))
            await asyncio.sleep(RENEW_SECONDS)

    async def _take(self) -> None:
        stream = self._stub.GetWorkItems(self._request)
        try:
            await stream.initial_metadata()
            self.connected = True
            async for item in stream:
                task = asyncio.create_task(self._handlers[item.WhichOneof("request")](item))
                self._running.add(task)
                task.add_done_callback(partial(_ended, self._running, stream))
        finally:
            stream.cancel()


def _ended(running: set[asyncio.Task[None]], stream: Any, task: asyncio.Task[None]) -> None:
    running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("A work item could not be handled and is given back", exc_info=error)
        stream.cancel()
