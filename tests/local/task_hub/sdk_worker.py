"""A real SDK worker in a process of its own: ``python -m tests.local.task_hub.sdk_worker ADDRESS EFFECTS [BLOCKS]``.

It notes each thing that it does in the effects file. ``BLOCKS`` names the one at which it hangs, to be killed there.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

from durabletask import task
from durabletask.entities import EntityContext
from durabletask.worker import TaskHubGrpcWorker


def run(address: str, effects: Path, blocks: str) -> None:
    """Work until killed."""

    def note(what: str) -> None:
        with effects.open("a") as file:
            file.write(f"{what} {os.getpid()}\n")
        if what == blocks:
            threading.Event().wait()

    def step(_context: task.ActivityContext, number: int) -> int:
        note("step")
        return number + 1

    def steps(context: task.OrchestrationContext, number: int) -> Any:
        note("turn")
        return (yield context.call_activity(step, input=number))

    def counter(context: EntityContext, _: None) -> None:
        note("operation")
        context.set_state(context.get_state(int, 0) + 1)

    worker = TaskHubGrpcWorker(host_address=address)
    worker.add_activity(step)
    worker.add_orchestrator(steps)
    worker.add_entity(counter)
    worker.start()
    threading.Event().wait()


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
