"""Puts a recorded run in flight into the local services, as a deployment of this code would find it.

Keys are of the test's own, so ids of versions are put in the place of the recorded ones, as names are; times are moved
so that what was recorded is a moment ago. Session tokens and cursors of another account mean nothing, and are left out.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import ActivityWorkItem, OrchestrationInstance

from field_encrypt.dek import Dek, key_check
from keyturn.runs.record import digest_of
from local.task_hub.activities import OpenActivity
from local.task_hub.backend import TaskHub
from local.task_hub.generations import Execution, Parent
from tests.histories.recording import Json, message
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import encoded, plain_row

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_FOREIGN: Mapping[str, Callable[[Any], Any]] = {
    "sessionTokens": lambda value: type(value)(),
    "cursor": lambda _value: None,
    "cursors": dict.fromkeys,
    "proofCursors": lambda _value: {},
}


class LoadedHub(TaskHub):
    """A task hub that takes workflows over, with everything that they wait for."""

    def load(self, instances: list[Json]) -> None:
        """Take the workflows over: what is open is handed to the next worker, timers run on."""
        with self._lock:
            for recorded in instances:
                self._adopt(recorded)

    def _adopt(self, recorded: Json) -> None:
        run = recorded["generations"][-1]
        history = [message(event) for event in run["events"]]
        started = next(event.executionStarted for event in history if event.HasField("executionStarted"))
        instance = OrchestrationInstance(
            recorded["instanceId"],
            recorded["name"],
            pb.ORCHESTRATION_STATUS_RUNNING,
            input=started.input.value,
            history=history,
            completion_token=self._new_token(),
        )
        self._instances[instance.instance_id] = instance
        self._executions[instance.instance_id] = Execution(instance, run["executionId"])
        if started.HasField("parentInstance"):
            parent = started.parentInstance
            self._parents[instance.instance_id] = Parent(
                parent.orchestrationInstance.instanceId,
                parent.orchestrationInstance.executionId.value,
                parent.taskScheduledId,
            )
        done = {_answered(event) for event in history}
        for event in history:
            if event.HasField("taskScheduled") and event.eventId not in done:
                self._hand_out(instance, event.eventId, event.taskScheduled)
            if event.HasField("timerCreated") and event.eventId not in done:
                fire_at = event.timerCreated.fireAt
                action = pb.OrchestratorAction(id=event.eventId, createTimer=pb.CreateTimerAction(fireAt=fire_at))
                self._process_create_timer_action(instance, action)
                instance.history.pop()  # it was there already

    def _hand_out(self, instance: OrchestrationInstance, number: int, task: pb.TaskScheduledEvent) -> None:
        item = ActivityWorkItem(instance.instance_id, task.name, number, task.input.value, self._new_token())
        self._open_activities[str(item.completion_token)] = OpenActivity(
            item, self._execution_of(instance).execution_id
        )
        self._activity_queue.append(item)


def _answered(event: pb.HistoryEvent) -> int | None:
    kind = event.WhichOneof("eventType")
    if kind == "timerFired":
        return int(event.timerFired.timerId)
    return int(getattr(event, kind).taskScheduledId) if kind in ("taskCompleted", "taskFailed") else None


async def load(recorded: Json, harness: ActivityHarness, hub: LoadedHub) -> str:
    """Make the run's versions, rows and documents, and give its workflows to the hub; returns the run's id."""
    versions = await _make_versions(recorded, harness)
    names = {recorded["mekName"]: harness.local_keyring.mek.name, recorded["keyring"]: harness.keyring, **versions}
    record = next(found for found in recorded["documents"] if found["id"] == recorded["rotationId"])
    later = datetime.now(UTC) - datetime.fromisoformat(record["history"][-1]["at"])
    translate = _Translation(names, later)
    if record.get("evidence") is not None:
        digest = digest_of(translate.of(record["evidence"]))
        translate = _Translation({**names, record["evidenceDigest"]: digest}, later)
    await _make_rows([translate.of(row) for row in recorded["rows"] if "malformed" not in row], harness)
    for made in (translate.of(one) for one in recorded["versions"]):
        await harness.local_keyring.mek.change(made["version"], enabled=made["enabled"], tags=made["tags"])
    for document in recorded["documents"]:
        await harness._run_container.upsert_item(translate.of(document))
    hub.load([translate.of(instance) for instance in recorded["instances"]])
    return str(translate.of(recorded["rotationId"]))


async def _make_versions(recorded: Json, harness: ActivityHarness) -> dict[str, str]:
    """Make as many versions, each in a second of its own: the newest is told by its time, which has whole seconds."""
    mek, made = harness.local_keyring.mek, [harness.old]
    while len(made) < len(recorded["versions"]):
        await asyncio.sleep(1 - datetime.now(UTC).microsecond / 1e6)
        made.append(await mek.create())
    return {one["version"]: version for one, version in zip(recorded["versions"], made, strict=True)}


async def _make_rows(rows: list[dict[str, Any]], harness: ActivityHarness) -> None:
    """Store the rows as recorded, with new DEKs."""
    mek = harness.local_keyring.mek

    async def wrap(dek: Dek, version: str) -> str:
        return encoded(mek.client.wrap(dek.reveal(), await mek.client.fetch_version(version), "RSA-OAEP-256"))

    for row in rows:
        dek = harness.local_keyring.deks[row["id"]] = Dek.generate()
        wraps: dict[str, Any] = {"wrappedDek": await wrap(dek, row["mekVersion"])}
        if (previous := row.pop("previousVersion", None)) is not None:
            wraps["previousWrap"] = {
                "mekVersion": previous,
                "wrappedDek": await wrap(dek, previous),
                "algorithm": "RSA-OAEP-256",
            }
        own = {"mekName": mek.name, "keyCheck": encoded(key_check(dek))}
        await harness.local_keyring.container.create_item(plain_row(**{**row, **wraps, **own}))


class _Translation:
    """Puts the test's names and times in the place of the recorded ones, also in the JSON that histories hold."""

    def __init__(self, names: Mapping[str, str], later: timedelta) -> None:
        # The longest first: the name of the key begins with the keyring's.
        self._names = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
        self._by, self._later = names, later

    def of(self, value: Any) -> Any:
        """Return the value as it is to be loaded."""
        if isinstance(value, Mapping):
            return {self.of(name): self._part(name, found) for name, found in value.items()}
        if isinstance(value, list):
            return [self.of(found) for found in value]
        if not isinstance(value, str):
            return value
        if value.startswith("{"):
            return json.dumps(self.of(json.loads(value)))
        moved = _TIME.sub(self._moved, value)
        return self._names.sub(lambda found: self._by[found[0]], moved)

    def _part(self, name: str, value: Any) -> Any:
        foreign = _FOREIGN.get(name)
        return self.of(value if foreign is None or value is None else foreign(value))

    def _moved(self, found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found[0])
        return found[0] if at.year < 2000 else (at + self._later).isoformat().replace("+00:00", "Z")
