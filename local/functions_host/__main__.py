"""Runs the Functions host: ``python -m local.functions_host --state DIR --app APPDIR --port N --task-hub HOST:PORT``.

App settings are the process's environment; the app folder's local.settings.json is not read.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from local.functions_host.functions import UnservedBindingError
from local.functions_host.host import Options, run_host
from local.functions_host.http_triggers import ANSWER_SECONDS
from local.functions_host.invocations import configure_logging
from local.functions_host.keys import Keys
from local.functions_host.routing import RouteError
from local.functions_host.schedules import ScheduleError
from local.functions_host.settings import SettingsError
from local.functions_host.worker import IndexingError


def main() -> None:
    """Host the app; an app that cannot be hosted ends the process with an explanation."""
    parser = argparse.ArgumentParser(prog="python -m local.functions_host", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of keys and timer status")
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, required=True, help="HTTP port on loopback")
    parser.add_argument("--task-hub", required=True, help="host:port of the task hub's gRPC service")
    parser.add_argument("--sign-in", type=Path, help="identity key (PEM): callers need a token, as with Entra in front")
    parser.add_argument("--without-timers", action="store_true", help="another instance of the app runs its timers")
    parser.add_argument("--answer-seconds", type=float, default=ANSWER_SECONDS, help="how long HTTP answers may take")
    for kind in Keys.model_fields:
        parser.add_argument(
            f"--{kind}-key", help=f"the {kind} key; without it one is made and kept in the state folder"
        )
    given = parser.parse_args()
    options = Options(
        state=given.state.resolve(),
        app=given.app.resolve(),
        port=given.port,
        task_hub=given.task_hub,
        sign_in=given.sign_in,
        answer_seconds=given.answer_seconds,
        timers=not given.without_timers,
        keys={kind: getattr(given, f"{kind}_key") for kind in Keys.model_fields},
    )
    options.state.mkdir(parents=True, exist_ok=True)
    configure_logging()
    try:
        asyncio.run(run_host(options))
    except (SettingsError, IndexingError, UnservedBindingError, RouteError, ScheduleError) as error:
        sys.exit(f"{options.app} cannot be hosted: {error}")


if __name__ == "__main__":
    main()
