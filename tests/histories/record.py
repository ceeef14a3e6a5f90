"""Records the workflows of a release on a local Azure: every kind of run to its end, and runs that are in flight.

    python -m tests.histories.record RELEASE [--earlier FOLDER]

The app is this checkout's, or that of the checkout of an earlier release; of the latter only rotations in flight are
recorded. What was recorded under the release before is replaced.
"""

import argparse
import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from azure.keyvault.keys import KeyProperties

from local.callers import ENDS
from local.supervisor import LocalAzure, Options
from local.supervisor.layout import REPOSITORY
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.migrating import all_rows, begin, reach
from tests.histories.recording import ENDED, IN_FLIGHT, RECORDINGS, Json, write

NOTES = 12
SETTINGS = {
    **QUICK,
    "KEYTURN_PAGE_ROWS": "4",
    "KEYTURN_WINDOW_PAGES": "2",
    "KEYTURN_SOAK": "PT0.5S",
    "KEYTURN_WATCH": "PT0.5S",
    "KEYTURN_CREATION_SETTLE": "PT0.5S",
}
WITHOUT_DOCUMENTS = {**SETTINGS, "KEYTURN_DOCUMENTS": "[]"}  # so that a loader need not make canaries
MALFORMED = "this is not base64!"
STILL_SECONDS = 0.5  # what does not change for so long, does not change until something happens
WAIT_SECONDS = 60

# Properties of a row that a loader needs; the wraps and the key check are left out.
_OF_ROWS = ("id", "mekVersion", "algorithm", "createdAt", "rotationId", "fence", "rewrappedAt")
_BACKUPS = frozenset({"key-backup", "key-backup-part"})  # the key itself, though sealed
_OF_EVENTS = ("kind", "eventId", "timestamp", "content")


class Recorder:
    """Writes down what runs of one app leave in the task hub."""

    def __init__(self, app: AppHarness, release: str, kinds: Collection[str]) -> None:
        self.app, self._release, self._kinds = app, release, kinds
        self._shapes: set[str] = set()  # of the workflows that are written already

    def _write(self, kind: str, name: str, recorded: Json) -> None:
        if kind in self._kinds:
            write(self._release, kind, name, recorded)

    def _instances(self, run_id: str) -> list[Json]:
        found = [self.app.history(name) for name in self.app.instances("")]
        return [instance for instance in found if run_id in instance["input"]]

    async def ended(self, name: str, run_id: str) -> None:
        """Write the workflows of a run that has ended, once nothing of it moves; a shape that is known is left out."""

        async def look() -> dict[str, Json]:
            return {_shape(instance): instance for instance in self._instances(run_id)}

        seen = await _still(look)
        new = [_workflow(instance, instance["generations"]) for shape, instance in seen.items() if self._is_new(shape)]
        self._write(ENDED, name, {"instances": new})

    def _is_new(self, shape: str) -> bool:
        known = shape in self._shapes
        self._shapes.add(shape)
        return not known

    async def in_flight(self, name: str, run_id: str) -> None:
        """Write what the run consists of, once nothing of it moves."""
        self._write(IN_FLIGHT, name, await _still(lambda: self._snapshot(run_id)))

    async def _snapshot(self, run_id: str) -> Json:
        query = "SELECT * FROM c WHERE c.id = @run OR c.rotationId = @run OR c.kind = 'lease'"
        found = self.app.runs.query_items(
            query, parameters=[{"name": "@run", "value": run_id}], partition_key=self.app.keyring
        )
        documents = [_own(item) async for item in found if item["kind"] not in _BACKUPS]
        listed = self.app.keys.list_properties_of_key_versions(self.app.mek_name)
        versions = [_version(one) async for one in listed]
        rows = await all_rows(self.app)
        return {
            "rotationId": run_id,
            "keyring": self.app.keyring,
            "mekName": self.app.mek_name,
            "instances": [
                _workflow(instance, instance["generations"][-1:])
                for instance in self._instances(run_id)
                if instance["status"] == "RUNNING"
            ],
            "documents": sorted(documents, key=lambda item: item["id"]),
            "versions": sorted(versions, key=lambda one: one["createdOn"]),
            "rows": [_row(rows[row_id]) for row_id in sorted(rows)],
        }


async def _still(look: Callable[[], Awaitable[Json]]) -> Json:
    """Return what is seen once it stays the same."""
    async with asyncio.timeout(WAIT_SECONDS):
        seen = await look()
        while True:
            await asyncio.sleep(STILL_SECONDS)
            before, seen = seen, await look()
            if before == seen:
                return seen


def _workflow(instance: Json, generations: list[Json]) -> Json:
    return {
        **{name: instance[name] for name in ("instanceId", "name", "status")},
        "generations": [
            {
                **{name: run[name] for name in ("generation", "executionId")},
                "events": [{name: event[name] for name in _OF_EVENTS} for event in run["events"]],
            }
            for run in generations
        ],
    }


def _shape(instance: Json) -> str:
    """Return what a workflow was told and asked for, without the contents."""
    events = [
        [(event["kind"], event["content"].get("name")) for event in run["events"]] for run in instance["generations"]
    ]
    return json.dumps([instance["name"], events])


def _version(one: KeyProperties) -> Json:
    """Return what a loader needs of a version, which the vault has dated."""
    assert one.created_on is not None
    return {
        "version": one.version,
        "enabled": one.enabled,
        "createdOn": one.created_on.isoformat(),
        "tags": dict(one.tags or {}),
    }


def _own(item: Json) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith("_")}


def _row(item: Json) -> dict[str, Any]:
    kept = {name: item[name] for name in _OF_ROWS if name in item}
    if isinstance(previous := item.get("previousWrap"), dict):
        kept["previousVersion"] = previous["mekVersion"]
    return {**kept, "malformed": True} if item["wrappedDek"] == MALFORMED else kept


async def _held(app: AppHarness, run_id: str, act: Callable[[], Awaitable[object]], state: str) -> None:
    """Act, with every unwrap held from now on, and wait until the run is in the state."""
    app.arm("key_vault", operation="unwrap", kind="hold", count=None)
    await act()
    await app.callers.wait_for(run_id, state)


async def rotations(recorder: Recorder) -> dict[str, Any]:
    """Record rotations; returns rows as a backup from before the first has them."""
    app = recorder.app
    backup = dict(list((await all_rows(app)).items())[:3])
    malformed = await app.add_row(await app.newest_version(), wrappedDek=MALFORMED)
    run_id = await app.start()
    await app.callers.wait_for(run_id, "needs_attention")
    await recorder.in_flight("needs_attention", run_id)
    await app.delete_row(malformed)
    await app.callers.command(run_id, "retry")
    waiting = await app.callers.wait_for(run_id, "awaiting_approval")
    await recorder.in_flight("awaiting_approval", run_id)
    await _held(app, run_id, lambda: app.callers.decide(run_id, waiting["evidenceDigest"]), "watching")
    await recorder.in_flight("watching", run_id)
    app.release("key_vault")
    await app.callers.wait_for(run_id, *ENDS)
    await recorder.ended("rotation_completed", run_id)
    return backup


async def swept_and_rejected(recorder: Recorder) -> str:
    """Record a rotation that is held in its sweep, and rejected later; returns its id."""
    app = recorder.app
    before = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"}).get("unwrap", 0)
    dry = await app.start(dryRun=True)
    await app.callers.wait_for(dry, *ENDS)
    await recorder.ended("rotation_dry_run", dry)
    of_preflight = app.control("key_vault", "GET", "operations/counts", params={"who": "keyturn"})["unwrap"] - before
    app.arm("key_vault", operation="unwrap", kind="hold", skip=of_preflight + NOTES // 2, count=None)
    run_id = await app.start()
    await app.callers.wait_for(run_id, "sweeping")
    await recorder.in_flight("sweeping", run_id)
    app.release("key_vault")
    waiting = await app.callers.wait_for(run_id, "awaiting_approval")
    await app.callers.decide(run_id, waiting["evidenceDigest"], decision="reject")
    await app.callers.wait_for(run_id, *ENDS)
    await recorder.ended("rotation_rejected", run_id)
    return run_id


async def reinstated(recorder: Recorder) -> None:
    """Record a rotation whose probes fail under the watch."""
    app = recorder.app
    run_id = await app.start()
    waiting = await app.callers.wait_for(run_id, "awaiting_approval")
    await _held(app, run_id, lambda: app.callers.decide(run_id, waiting["evidenceDigest"]), "watching")
    app.arm("backend", kind="status", status=503, count=None)
    app.release("key_vault")
    await app.callers.wait_for(run_id, *ENDS, "needs_attention")
    await recorder.ended("rotation_reinstated", run_id)
    app.clear_faults()
    await app.end_what_runs()


async def migrations(recorder: Recorder, backup: dict[str, Any], rejected: str) -> None:
    """Record a migration of each kind."""
    app = recorder.app

    async def run(name: str, path: str = "/api/migrations", **body: Any) -> None:
        run_id = await begin(app, path, **body)
        state = (await app.callers.wait_for(run_id, *ENDS, "awaiting_approval"))["state"]
        if state == "awaiting_approval":
            await recorder.in_flight(name, run_id)
            await app.callers.decide(run_id, (await app.callers.status(run_id))["evidenceDigest"])
        await reach(app, run_id, "completed")
        await recorder.ended(name, run_id)

    await run("rollback", f"/api/rotations/{rejected}/rollback")
    for row in backup.values():
        await app.rows.upsert_item(_own(row))
    await run("restore", "/api/restores")
    await run("rewrap_deks", kind="rewrap-deks", newVersion=await app.newest_version())
    name, note = next(iter({item["id"]: item async for item in app.notes.read_all_items()}.items()))
    await app.notes.replace_item(name, {**note, "title": "a title"})
    await run("encrypt", kind="encrypt")
    await run("re_encrypt", kind="re-encrypt")
    await run("decrypt_check", kind="decrypt-check")


async def record(azure: LocalAzure, release: str, *, earlier: bool) -> None:
    """Record everything, or of an earlier release what is in flight."""
    async with AppHarness(azure) as app:
        recorder = Recorder(app, release, kinds={IN_FLIGHT} if earlier else {ENDED, IN_FLIGHT})
        backup = await rotations(recorder)
        rejected = await swept_and_rejected(recorder)
    if earlier:
        return
    azure.reconfigure(SETTINGS)
    async with AppHarness(azure) as app:  # its connections are to the app that runs now
        recorder = Recorder(app, release, kinds={ENDED, IN_FLIGHT})
        await migrations(recorder, backup, rejected)
        await reinstated(recorder)


def main() -> None:
    """Start a local Azure, record, and stop it."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record", description=__doc__)
    parser.add_argument("release", help="the folder's name")
    parser.add_argument("--earlier", type=Path, help="a checkout of an earlier release, whose app is recorded")
    given = parser.parse_args()
    shutil.rmtree(RECORDINGS / given.release, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            state=Path(folder),
            app=given.earlier or REPOSITORY,
            deks=NOTES,
            bits=2048,
            vault_limits="off",
            partitions=2,
            document_migrations=True,
            settings=WITHOUT_DOCUMENTS,
        )
        with LocalAzure(options).running() as azure:
            asyncio.run(record(azure, given.release, earlier=given.earlier is not None))


if __name__ == "__main__":
    main()
