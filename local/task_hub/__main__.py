"""Runs the task hub: ``python -m local.task_hub --port N --control-port M``."""

import argparse
import asyncio

from local.common.serve import serve
from local.task_hub.backend import TaskHub
from local.task_hub.control import control_app
from local.task_hub.generations import HISTORY_LIMIT
from local.task_hub.workers import LOCK_SECONDS


def main() -> None:
    """Serve gRPC and the control endpoint until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.task_hub", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="gRPC port on loopback, for workers and clients")
    parser.add_argument("--control-port", type=int, required=True, help="HTTP port on loopback, for health and tests")
    parser.add_argument("--history-limit", type=int, default=HISTORY_LIMIT, help="events that a run may have")
    parser.add_argument("--lock-seconds", type=float, default=LOCK_SECONDS, help="how long a silent worker keeps work")
    parser.add_argument("--duplicate-events", type=int, metavar="SEED", help="deliver every external event twice")
    options = parser.parse_args()
    hub = TaskHub(
        port=options.port,
        history_limit=options.history_limit,
        lock_seconds=options.lock_seconds,
        duplicate_events=options.duplicate_events,
    )
    hub.start()
    try:
        asyncio.run(serve(control_app(hub), port=options.control_port))
    finally:
        hub.stop()


if __name__ == "__main__":
    main()
