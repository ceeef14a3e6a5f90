"""Apps that cannot be hosted, and the keys that are made for one that can."""

import json
import os
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.local.functions_host.host_process import SAMPLE_APP
from tests.local.services import REPOSITORY, free_port, start_service
from tests.local.task_hub.hub_process import HubProcess

EMPTY = "import azure.functions as func\napp = func.FunctionApp()\n"
TIMER = EMPTY + "@app.timer_trigger(arg_name='timer', schedule='{}')\ndef f(timer: func.TimerRequest): ...\n"
ROUTE = EMPTY + "@app.route('{}')\ndef f(req: func.HttpRequest) -> str: ...\n"
QUEUE = EMPTY + "@app.queue_trigger(arg_name='m', queue_name='q', connection='c')\ndef f(m: func.QueueMessage): ...\n"


@pytest.mark.parametrize(
    ("code", "host_json", "complaint"),
    [
        ("raise RuntimeError('broken at import')", {}, "RuntimeError: broken at import"),
        (EMPTY, {}, "no functions were found"),
        (TIMER.format("%NO_SUCH_SETTING%"), {}, "the app setting 'NO_SUCH_SETTING'"),
        (TIMER.format("0 3 1 * *"), {}, "six fields"),
        (TIMER.format("0 0 3 L * *"), {}, "six fields"),
        (ROUTE.format("x/{id:range(1,2)}"), {}, "route segment"),
        (QUEUE, {}, "no binding of type 'queueTrigger'"),
        (EMPTY, {"version": "1.0"}, 'version must be "2.0"'),
        (EMPTY, {"extensions": {"durableTask": {"hubName": "%NO_SUCH_SETTING%"}}}, "durableTask.hubName"),
        (
            EMPTY,
            {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}},
            "maxConcurrentActivityFunctions",
        ),
        (EMPTY, {"functionTimeout": "half an hour"}, "hh:mm:ss"),
        (EMPTY, {"functionTimeout": "00:00:00"}, "hh:mm:ss"),
        (EMPTY, None, "does not exist"),
    ],
)
def test_app_that_cannot_be_hosted_is_explained(
    tmp_path: Path, code: str, host_json: dict[str, object] | None, complaint: str
) -> None:
    """The host ends with the reason: the worker's exception, or what is wrong with a setting, route or schedule."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(code)
    if host_json is not None:
        (app / "host.json").write_text(json.dumps({"version": "2.0"} | host_json))
    command = [
        *(sys.executable, "-m", "local.functions_host", "--state", str(tmp_path / "state"), "--app", str(app)),
        *("--port", str(free_port()), "--task-hub", "127.0.0.1:1"),
    ]
    ended = subprocess.run(  # noqa: S603 - the command line is our own
        command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert complaint in ended.stderr


def test_keys_are_made_once_and_kept_private(tmp_path: Path, hub: HubProcess) -> None:
    """Keys that are not given are the same after a restart and readable by their owner only."""
    state = tmp_path / "state"
    arguments = ("--state", state, "--app", SAMPLE_APP, "--task-hub", hub.address, "--system-key", "given")
    environment = {"SAMPLE_EFFECTS": str(tmp_path), "SAMPLE_TASK_HUB": "x", "SAMPLE_SCHEDULE": "0 0 0 1 1 *"}
    host = start_service("local.functions_host", *arguments, env=environment)
    first = json.loads((state / "keys.json").read_text())
    host.kill()
    host.start()
    host.kill()
    second = json.loads((state / "keys.json").read_text())

    assert first == second
    assert first["system"] == "given"
    assert len({first[kind] for kind in ("function", "host", "master")}) == 3
    assert stat.S_IMODE((state / "keys.json").stat().st_mode) == 0o600


def test_an_app_without_timers_stays_up(tmp_path: Path, hub: HubProcess) -> None:
    """Nothing is scheduled, and the host serves what there is, without a limit in time."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(ROUTE.format("x").replace("...", "return 'served'"))
    (app / "host.json").write_text(json.dumps({"version": "2.0", "functionTimeout": "-1"}))
    arguments = ("--state", tmp_path / "state", "--app", app, "--task-hub", hub.address, "--function-key", "k")
    host = start_service("local.functions_host", *arguments)
    try:
        with urllib.request.urlopen(f"{host.url}/api/x?code=k") as answer:  # noqa: S310 - ours, on loopback
            served = answer.read()
        assert (served, host.alive) == (b"served", True)
    finally:
        host.kill()
