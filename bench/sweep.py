"""How fast a sweep is: the whole app, on a local Azure, one rotation after the other.

Each case is an app setting or a kind of vault; all cases run in one call, the rounds interleaved, so that they compare
whatever else the machine does. The local services take their share of the same processors: the figures are a lower
bound of what the app does on a machine of its own.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import aiohttp

from local.callers import Callers
from local.supervisor import LocalAzure, Options

SECONDS_MAX = 900

# A rotation waits for nothing but its rows. The proof is left out: it is paced to a share of the same budget.
IMPATIENT = {
    "KEYTURN_SOAK": "PT1S",
    "KEYTURN_QUIET_INTERVAL": "PT0.5S",
    "KEYTURN_TAIL_INTERVAL": "PT0.5S",
    "KEYTURN_WATCH": "PT1S",
    "KEYTURN_WATCH_INTERVAL": "PT0.5S",
    "KEYTURN_CREATION_SETTLE": "PT2S",
    "KEYTURN_PROOF": "unsafe_off",
}
UNBOUND = {"KEYTURN_VAULT_OPERATIONS_PER_SECOND": "100000"}


@dataclass(frozen=True)
class Case:
    """What is compared."""

    rows: int
    bits: int
    settings: Mapping[str, str] = field(default_factory=dict)
    limits: Literal["service", "off"] = "off"
    latency_ms: float = 5  # of an unwrap; the vault is not on this machine in production


CASES: dict[str, Case] = {
    "one page at a time": Case(2000, 2048, {**UNBOUND, "KEYTURN_WINDOW_PAGES": "1"}),
    "window of 16 pages": Case(2000, 2048, {**UNBOUND, "KEYTURN_WINDOW_PAGES": "16"}),
    "default window of 4": Case(2000, 2048, UNBOUND),
    "default window, pages of 25": Case(2000, 2048, {**UNBOUND, "KEYTURN_PAGE_ROWS": "25"}),
    "RSA 4096 at the vault's limits": Case(1000, 4096, limits="service"),
    # What a million documents are under KeyPolicy(per="container", max_documents=10_000).
    "RSA 4096, a million documents under shared DEKs": Case(100, 4096, limits="service"),
}


@dataclass(frozen=True)
class Sweep:
    """One measured sweep."""

    seconds: float  # in the state sweeping: every pass, and the census after each
    rows: int
    unwraps: int  # by the app, over the whole rotation
    throttled: int


class ActivityHarness:
    """A local Azure of one case, on which rotations follow each other."""

    def __init__(self, case: Case) -> None:
        self._state = Path(tempfile.mkdtemp(prefix="keyturn-bench-"))
        self.azure = LocalAzure(
            Options(
                state=self._state,
                deks=case.rows,
                bits=case.bits,
                partitions=3,
                vault_limits=case.limits,
                vault_latency_ms=case.latency_ms,
                version_max_age=0.5,
                settings={**IMPATIENT, **case.settings},
            )
        )

    async def rotate(self) -> Sweep:
        """Run a rotation, and return how its sweep went.

        Raises:
            UnexpectedStateError: the rotation was not completed.
        """
        before = await self._unwraps()
        async with Callers(self.azure.endpoints()) as callers:
            run_id = (await callers.request_rotation()).body["rotationId"]
            waiting = await callers.wait_for(run_id, "awaiting_approval", seconds=SECONDS_MAX)
            unwraps = await self._unwraps() - before
            await callers.decide(run_id, waiting["evidenceDigest"])
            status = await callers.wait_for(run_id, "completed", seconds=SECONDS_MAX)
            record = (await callers.report(run_id))["record"]
        counts = status["counts"]["sweep"]
        return Sweep(seconds_sweeping(record["history"]), counts["changed"], unwraps, counts["throttled"])

    async def _unwraps(self) -> int:
        url = f"{self.azure.layout.url('key_vault')}/_control/operations/counts?who=keyturn"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=self.azure.tls_context()) as answer:
            return int((await answer.json()).get("unwrap", 0))

    def remove(self) -> None:
        """Remove what it left on disk."""
        shutil.rmtree(self._state)


def seconds_sweeping(history: list[dict[str, Any]]) -> float:
    """Return for how long the run with this history swept the first time, all passes and counts included."""
    began = next(entry["at"] for entry in history if entry["to"] == "sweeping")
    ended = next(entry["at"] for entry in history if entry["from"] == "sweeping")
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
