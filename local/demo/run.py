"""Runs the demo: the local Azure, live traffic, a rotation requested by one person and approved by another."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from local.callers import ENDS, Callers
from local.demo.report import Report
from local.supervisor import LocalAzure, Options
from local.supervisor.layout import REPOSITORY

STATE = REPOSITORY / ".local" / "demo"
PARTITIONS = 3
READS_PER_SECOND = 4.0
WRITES_PER_SECOND = 1.0

# The vault allows 50 RSA-4096 operations a second: so many rows take some minutes; beyond that something is wrong.
SECONDS_PER_ROW_MAX = 0.5
SECONDS_BASE = 300.0

Seen = Callable[[dict[str, Any]], Awaitable[None]]
# Given the callers and the status of the run that waits, once: brings a decision about, or leaves it to a person.
Decide = Callable[[Callers, dict[str, Any]], Awaitable[None]]
REQUESTER = "dana@notelett.example"
DAY = 24 * 3600.0  # seconds that a person has


def options(deks: int, bits: int) -> Options:
    """Return the demo's local Azure; whatever an earlier demo left is removed."""
    shutil.rmtree(STATE, ignore_errors=True)
    return Options(
        state=STATE,
        deks=deks,
        bits=bits,
        partitions=PARTITIONS,
        reads_per_second=READS_PER_SECOND,
        writes_per_second=WRITES_PER_SECOND,
    )


async def approve(callers: Callers, waiting: dict[str, Any]) -> None:
    """Approve, as another person than the requester."""
    await callers.decide(waiting["rotationId"], waiting["evidenceDigest"], approver="sam@notelett.example")


async def rotate(azure: LocalAzure, deks: int, seen: Seen, decide: Decide = approve) -> Report:
    """Rotate under live traffic and look at the result from outside.

    Where a person decides, it may end otherwise than completed.

    Raises:
        UnexpectedStateError: it took too long, or ended otherwise although it was not rejected.
    """
    started = time.monotonic()
    patience = SECONDS_BASE + deks * SECONDS_PER_ROW_MAX
    async with Callers(azure.endpoints()) as callers:
        answer = await callers.request_rotation(requestedBy=REQUESTER, reason="demo")
        run_id: str = answer.body["rotationId"]
        waiting = await callers.wait_for(run_id, "awaiting_approval", seconds=patience, seen=seen)
        await decide(callers, waiting)
        ends, more = ({"completed"}, 0.0) if decide is approve else (ENDS, DAY)
        status = await callers.wait_for(run_id, *ends, seconds=patience + more, seen=seen)
    seconds = time.monotonic() - started
    load = await _stop_traffic(azure)
    operations = await _get(azure, "key_vault", "/_control/operations/counts?who=keyturn")
    return Report.of(status, load, operations, await asyncio.to_thread(_outside, azure), seconds)


async def _stop_traffic(azure: LocalAzure) -> dict[str, Any]:
    """End the live traffic, so that what is counted afterwards holds still, and return what it counted."""
    url = f"{azure.layout.url('backend')}/_control/load"
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, json={"readsPerSecond": 0, "writesPerSecond": 0}) as response,
    ):
        response.raise_for_status()
        counted: dict[str, Any] = await response.json()
        return counted


async def _get(azure: LocalAzure, service: str, path: str) -> dict[str, Any]:
    tls = azure.tls_context()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{azure.layout.url(service)}{path}", ssl=tls) as response,
    ):
        response.raise_for_status()
        body: dict[str, Any] = await response.json()
        return body


def _outside(azure: LocalAzure) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "local.demo.outside"], env=azure.operator_environment(), capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def write_report(report: Report, state: Path = STATE) -> Path:
    """Write ``report.json`` and return where."""
    path = state / "report.json"
    path.write_text(report.model_dump_json(by_alias=True, indent=2) + "\n")
    return path
