"""What is measured and where it goes: Application Insights, a collector (OTLP), the console, or nowhere.

The three are independent of each other. Where none is asked for, nothing is loaded and nothing is measured.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any, override

from keyturn.contracts.characters import visible

APPLICATION_INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
# The exporter reads this one, and the other variables of OpenTelemetry, by itself.
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
CONSOLE = "KEYTURN_TELEMETRY"


# Whose log lines are held to one line each: our own, whose arguments are others' texts.
OURS = ("keyturn", "field_encrypt", "triggers", "activities", "orchestrators")


class OneLine(logging.LogRecord):
    """A record of our own: nothing in an argument or in an error's text begins another line, or hides from a reader."""

    @override
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        if self.name.startswith(OURS) and self.exc_info is not None and self.exc_info[1] is not None:
            parts = traceback.TracebackException.from_exception(self.exc_info[1]).format()
            self.exc_text = "\n".join(
                part.rstrip() if part.startswith("  File") else visible(part[:-1]) for part in parts
            )

    @override
    def getMessage(self) -> str:
        return visible(super().getMessage()) if self.name.startswith(OURS) else super().getMessage()


def configure(environment: Mapping[str, str]) -> None:
    """Set up once what the environment asks for; a second call changes nothing."""
    logging.setLogRecordFactory(OneLine)
    azure = environment.get(APPLICATION_INSIGHTS, "")
    otlp = bool(environment.get(OTLP, ""))
    console = environment.get(CONSOLE, "") == "console"
    if not (azure or otlp or console):
        return
    # Loaded here, because the exporters take half a second that an app without them keeps.
    from keyturn.telemetry import providers  # noqa: PLC0415 - as the line above says

    providers.install(providers.chosen(application_insights=azure, otlp=otlp, console=console))
