"""The live load: keeps creating notes and reading random existing ones, and counts what fails.

A share of the reads is cold. Only a read that is finally not answered counts as failed: throttling is waited out by
the provider. Every failure is a line in ``failures.jsonl`` of the state folder.
"""

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from field_encrypt import KeyPolicy
from field_encrypt.errors import FieldEncryptError
from local.backend.notes import NewNote, NoteKey, Notes
from local.backend.pacer import Pacer

KEPT_ERRORS = 20
WORKSPACES = 20


class LoadSettings(BaseModel):
    """What the load does; body of ``PUT /_control/load``, where whatever is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    reads_per_second: float = Field(default=5, ge=0, le=1000)
    writes_per_second: float = Field(default=1, ge=0, le=1000)
    cold_read_share: float = Field(default=0.5, ge=0, le=1)
    pinned_version: str | None = None  # writes are wrapped under this version; None: under the current one
    key_policy: KeyPolicy = KeyPolicy()  # how far the DEK of a new note reaches


class Load:
    """The load on one note service."""

    def __init__(self, notes: Notes, settings: LoadSettings, failures: Path) -> None:
        self._notes = notes
        self._failures = failures
        self._known: list[NoteKey] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last_errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._reads = Pacer(self._read, settings.reads_per_second)
        self._writes = Pacer(self._write, settings.writes_per_second)
        self.settings = settings

    def change(self, settings: LoadSettings) -> None:
        """Go on with other settings; the pinned version is the provider's matter, the key policy the notes'."""
        self.settings = settings
        self._reads.set_rate(settings.reads_per_second)
        self._writes.set_rate(settings.writes_per_second)

    async def prepare(self) -> None:
        """List the notes that exist, for the reads to choose from.

        Raises:
            AzureError: they cannot be listed.
        """
        self._known = [key async for key in self._notes.listed()]

    async def run(self) -> None:
        """Read and write until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reads.run())
            tasks.create_task(self._writes.run())

    def report(self) -> dict[str, Any]:
        """Return the counts since the start and the settings, as ``GET /_control/load`` shows them."""
        counts = {
            kind: {outcome: self._counts[kind, outcome] for outcome in ("ok", "failed")} for kind in ("reads", "writes")
        }
        return {**counts, "lastErrors": list(self._last_errors), **self.settings.model_dump(by_alias=True)}

    async def _read(self) -> None:
        if not self._known:
            return
        key = random.choice(self._known)  # noqa: S311 - any note will do
        cold = random.random() < self.settings.cold_read_share  # noqa: S311 - a share, not a secret

        async def read() -> None:
            await self._notes.read(key, cold=cold)

        await self._counted("reads", key.id, read)

    async def _write(self) -> None:
        number = self._counts["writes", "ok"]
        note = NewNote(workspaceId=f"workspace-{number % WORKSPACES}", title=f"Note {number}", body="Written live.")

        async def write() -> None:
            self._known.append(await self._notes.create(note))

        await self._counted("writes", None, write)

    async def _counted(self, kind: str, note_id: str | None, call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request: counted and written down
            self._counts[kind, "failed"] += 1
            self._last_errors.append(type(error).__name__)
            self._write_down(kind, note_id, error)
        else:
            self._counts[kind, "ok"] += 1

    def _write_down(self, kind: str, note_id: str | None, error: Exception) -> None:
        # Texts of other errors can quote requests and documents; those of the library never do.
        detail = str(error) if isinstance(error, FieldEncryptError) else None
        line = {"at": datetime.now(UTC).isoformat(), "kind": kind, "noteId": note_id, "error": type(error).__name__}
        with self._failures.open("a") as event_log:
            event_log.write(json.dumps({**line, "detail": detail}) + "\n")
