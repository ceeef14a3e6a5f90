"""The telemetry of a whole rotation, as the app sends it: one trace, each state once, whatever is replayed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from keyturn.telemetry.names import METRICS
from keyturn.telemetry.signals import root_of
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.quick_azure import quick_azure
from tests.end_to_end.waits import tick

pytestmark = pytest.mark.end_to_end

STATES = [
    *("requested", "preflight", "creating_version", "sweeping", "soaking"),
    *("awaiting_approval", "retiring", "watching"),
]


def exported(log: str, beginning: str) -> list[dict[str, Any]]:
    """Return what the console exporters wrote into the log, of one kind."""
    decoder = json.JSONDecoder()
    starts = [index for index in range(len(log)) if log.startswith(beginning, index)]
    return [decoder.raw_decode(log, start)[0] for start in starts]


def measured(log: str) -> dict[str, set[str]]:
    """Return the metrics that the console exporter wrote into the log, each with its attributes' names."""
    scopes = [scope for told_of in exported(log, '{\n    "resource_metrics"') for scope in _scopes(told_of)]
    found: dict[str, set[str]] = {}
    for metric in [metric for scope in scopes for metric in scope["metrics"]]:
        attributes = [set(point["attributes"]) for point in metric["data"]["data_points"]]
        found[metric["name"]] = found.get(metric["name"], set()).union(*attributes)
    return found


def _scopes(told_of: dict[str, Any]) -> list[dict[str, Any]]:
    return [scope for resource in told_of["resource_metrics"] for scope in resource["scope_metrics"]]


async def test_a_rotation_is_one_trace(tmp_path: Path) -> None:
    """An activity whose host dies is run, and told, again; its state is not, and workflows tell nothing."""
    # What waits to be sent dies with its host: sent at once, only the last moment before the fault can be lost.
    settings = {**QUICK, "KEYTURN_TELEMETRY": "console", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with quick_azure(tmp_path, deks=20, partitions=2, settings=settings) as azure:
        async with AppHarness(azure) as app:
            app.arm("functions_host", operation="freeze_evidence", kind="kill_after")
            async with app.keep_alive(azure, "functions_host") as restarts:
                run_id = await app.start()
                await app.approve(run_id)
            await tick(app)
        azure.processes["functions_host"].terminate()

    log = azure.layout.log("functions_host").read_text()
    spans = [span for span in exported(log, '{\n    "name": "') if "context" in span]
    root = root_of(run_id)
    ours = [span for span in spans if span["context"]["trace_id"] == f"0x{root.trace_id:032x}"]
    names = Counter(span["name"] for span in ours)
    assert restarts.count == 1
    assert len(spans) == len(ours)
    assert {span["parent_id"] for span in ours if span["name"] != "rotation"} == {f"0x{root.span_id:016x}"}
    assert names["rotation"] == 1
    assert [names[f"state {state}"] for state in STATES] == [1] * len(STATES)
    assert {name.split()[0] for name in names} == {"rotation", "state", "activity"}
    records = [record["attributes"] for record in exported(log, '{\n    "body": "')]
    assert any(record.get("keyturn.rotation.id") == run_id for record in records)
    # What dashboards ask for, by its name and its attributes, is what arrives.
    assert measured(log) == {metric.name: set(metric.attributes) for metric in METRICS}
