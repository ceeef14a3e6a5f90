"""A small function app with one function of every kind that the local host serves."""

import json
import logging
import os
import threading
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task
from durabletask.entities import EntityContext, EntityInstanceId

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
EFFECTS = Path(os.environ["SAMPLE_EFFECTS"])

_log = logging.getLogger("sample")


def _leave(name: str, text: str) -> None:
    """Leave an effect on disk that outlives the process."""
    with (EFFECTS / name).open("a") as file:
        file.write(f"{text}\n")


@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
def open_function(req: func.HttpRequest) -> func.HttpResponse:
    """Answer anybody."""
    return func.HttpResponse(f"open {req.method}")


@app.route("keyed")
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    """Answer holders of a function key."""
    return func.HttpResponse("keyed")


@app.route("admin-only", auth_level=func.AuthLevel.ADMIN)
def admin_only(req: func.HttpRequest) -> func.HttpResponse:
    """Answer holders of the master key."""
    return func.HttpResponse("admin")


@app.route("echo/{kind:int}/{name?}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Tell what arrived."""
    _log.info("echoing %d bytes", len(req.get_body()))
    seen = {
        "params": dict(req.route_params),
        "query": dict(req.params),
        "header": req.headers.get("x-sample"),
        "principal": req.headers.get("x-ms-client-principal-name"),
        "body": req.get_body().hex(),
    }
    headers = {"x-answer": "42", "Set-Cookie": "taste=sweet; Path=/; HttpOnly; SameSite=Lax"}
    return func.HttpResponse(json.dumps(seen), status_code=201, headers=headers, mimetype="application/json")


@app.route("echo/7/seven", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def echo_seven(req: func.HttpRequest) -> str:
    """Win over the route with parameters, and answer with plain text."""
    return "seven"


@app.route("files/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def files(req: func.HttpRequest) -> func.HttpResponse:
    """Take the rest of the path."""
    return func.HttpResponse(req.route_params.get("path", ""))


@app.route("broken", auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    """Fail with a message that must not reach the caller."""
    raise RuntimeError("for the log only")


@app.route("slow", auth_level=func.AuthLevel.ANONYMOUS)
def slow(req: func.HttpRequest) -> func.HttpResponse:
    """Answer once there is a file ``go`` among the effects."""
    while not (EFFECTS / "go").exists():
        time.sleep(0.05)
    _leave("slow", "done")
    return func.HttpResponse("at last")


@app.route("start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration under the id given in the query."""
    name = req.route_params["name"]
    instance_id = await client.schedule_new_orchestration(name, input=req.get_json(), instance_id=req.params["id"])
    return client.create_check_status_response(req, instance_id)


@app.timer_trigger(arg_name="timer", schedule="%SAMPLE_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    """Note each run."""
    given: Any = timer  # its interface leaves out the status, which the worker gives
    _leave("ticks", json.dumps({"pastDue": timer.past_due, "status": given.schedule_status}))


@app.orchestration_trigger(context_name="context")
def fan_out(context: task.OrchestrationContext, count: int) -> Generator[Any, Any, list[int]]:
    """Run one activity for each number below the count, all at once."""
    results: list[int] = yield task.when_all([context.call_activity("work", input=number) for number in range(count)])
    return results


@app.activity_trigger(input_name="number")
def work(number: int) -> int:
    """Leave an effect, and tell when it began and ended."""
    began = time.monotonic()
    _leave("work", str(number))
    time.sleep(float(os.environ.get("SAMPLE_WORK_SECONDS", "0")))
    _leave("spans", f"{began} {time.monotonic()}")
    return number * number


@app.orchestration_trigger(context_name="context")
def hanging(context: task.OrchestrationContext, activity: str) -> Generator[Any, Any, str]:
    """Run the activity of this name, which hangs."""
    result: str = yield context.call_activity(activity, input=activity)
    return result


def _hang_once(name: str) -> str:
    _leave(name, "began")
    if len((EFFECTS / name).read_text().splitlines()) == 1:
        threading.Event().wait()
    return "done"


@app.activity_trigger(input_name="name")
def hangs_its_thread(name: str) -> str:
    """Never end, the first time."""
    return _hang_once(name)


@app.activity_trigger(input_name="name")
async def hangs_the_loop(name: str) -> str:
    """Never end, the first time, and let nothing else go on."""
    return _hang_once(name)


@app.orchestration_trigger(context_name="context")
def failing(context: task.OrchestrationContext, _: None) -> Generator[Any, Any, dict[str, str]]:
    """Tell how a failing activity looks to its orchestration."""
    try:
        yield context.call_activity("fail", input="ignored")
    except task.TaskFailedError as error:
        return {"type": error.details.error_type, "message": error.details.message}
    raise AssertionError("the activity did not fail")


@app.activity_trigger(input_name="text")
async def fail(text: str) -> None:
    """Fail with a message of two lines."""
    raise ValueError("first line\nsecond line")


@app.orchestration_trigger(context_name="context")
def missing(context: task.OrchestrationContext, _: None) -> Generator[Any, Any]:
    """Call an activity that does not exist."""
    yield context.call_activity("no_such_activity")


@app.orchestration_trigger(context_name="context")
def approval(context: task.OrchestrationContext, _: None) -> Generator[Any, Any, str]:
    """Wait for an approval, or for a deadline, and run a sub-orchestration with what came."""
    context.set_custom_status("waiting")
    event = context.wait_for_external_event("Approved")
    deadline = context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
    winner = yield task.when_any([event, deadline])
    if winner is not event:
        return "too late"
    deadline.cancel()
    greeting: str = yield context.call_sub_orchestrator("greet", input=event.get_result())
    return greeting


@app.orchestration_trigger(context_name="context")
def greet(context: task.OrchestrationContext, who: dict[str, str]) -> Generator[Any, Any, str]:
    """Greet with the help of an activity."""
    greeting: str = yield context.call_activity("hello", input=who["by"])
    return greeting


@app.activity_trigger(input_name="name")
@app.durable_client_input(client_name="client")
async def hello(name: str, client: df.DurableFunctionsClient) -> str:
    """Say hello, naming the task hub that the client binding points to."""
    return f"hello {name} from {client.taskHubName}"


@app.orchestration_trigger(context_name="context")
def counting(context: task.OrchestrationContext, entity: str) -> Generator[Any, Any, list[int]]:
    """Add to a counter twice."""
    counter_id = EntityInstanceId(entity, context.instance_id)
    first = yield context.call_entity(counter_id, "add", 2)
    return [first, (yield context.call_entity(counter_id, "add", 3))]


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: EntityContext, number: int) -> int:
    """Add the number to the state."""
    context.set_state(context.get_state(int, 0) + number)
    return context.get_state(int, 0)
