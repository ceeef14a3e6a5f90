"""What is measured and where it goes: Application Insights, a collector (OTLP), the console, or nowhere.

The three are independent of each other. Where none is asked for, nothing is loaded and nothing is measured.
"""

from collections.abc import Mapping

APPLICATION_INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
# The exporter reads this one, and the other variables of OpenTelemetry, by itself.
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONSOLE = "KEYTURN_TELEMETRY"


def configure(environment: Mapping[str, str]) -> None:
    """Set up once what the environment asks for; a second call changes nothing."""
    azure = environment.get(APPLICATION_INSIGHTS, "")
    otlp = bool(environment.get(OTLP, ""))
    console = environment.get(CONSOLE, "") == "console"
    if not (azure or otlp or console):
        return
    # Loaded here, because the exporters take half a second that an app without them keeps.
    from keyturn.telemetry import providers  # noqa: PLC0415

    providers.install(providers.chosen(application_insights=azure, otlp=otlp, console=console))
