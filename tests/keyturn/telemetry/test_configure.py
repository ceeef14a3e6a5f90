"""Telemetry goes where the environment says, and an app that sends none loads none of it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOADED = "import sys; print(sorted(name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'apprise'))))"
SOME_WORK = """
import os
from keyturn import telemetry
telemetry.configure(os.environ)
telemetry.configure(os.environ)
from keyturn.contracts.base import RunInput, RunRef
from keyturn.telemetry.signals import activity_span
run = RunRef(run_id="notes.20260301T030000Z.abcdef", keyring="notes", fencing_token=3)
with activity_span("verify", RunInput(run=run)):
    pass
"""


def run(code: str, **environment: str) -> str:
    """Run the code in a process of its own and return what it prints."""
    ran = subprocess.run(  # noqa: S603 - the code is the test's own
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout


def test_without_a_place_to_send_to_nothing_is_loaded() -> None:
    """The app's start pays neither for OpenTelemetry's SDK nor for apprise."""
    assert run(f"import function_app; {LOADED}").strip() == "[]"


def test_the_console_shows_the_span_once() -> None:
    """KEYTURN_TELEMETRY=console prints spans and metrics, also where it is configured twice."""
    shown = run(SOME_WORK, KEYTURN_TELEMETRY="console")

    assert shown.count('"name": "activity verify"') == 1
    assert "keyturn.activity.duration" in shown
    assert '"service.name": "keyturn"' in shown


@pytest.mark.parametrize(
    ("environment", "kinds"),
    [
        (
            {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000001"},
            ["AzureMonitorTraceExporter", "AzureMonitorMetricExporter", "AzureMonitorLogExporter"],
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
            ["OTLPSpanExporter", "OTLPMetricExporter", "OTLPLogExporter"],
        ),
        ({}, []),
    ],
)
def test_the_variables_choose_the_exporters(environment: dict[str, str], kinds: list[str]) -> None:
    """Application Insights and a collector are asked for by the variables that their exporters know."""
    code = """
import os
from keyturn.telemetry import providers, configure
providers.install = lambda places: print([type(item).__name__ for place in places for item in place])
configure(os.environ)
"""

    assert run(code, **environment, APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL="true").strip() == str(kinds or "")
