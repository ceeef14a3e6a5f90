"""The exporters of each place that telemetry can go to; only what is asked for is loaded."""

from collections.abc import Iterator
from typing import NamedTuple

from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, LogRecordExporter
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter


class Exporters(NamedTuple):
    """One place that telemetry goes to."""

    spans: SpanExporter
    metrics: MetricExporter
    logs: LogRecordExporter


def chosen(*, application_insights: str, otlp: bool, console: bool) -> Iterator[Exporters]:
    """Make the exporters; ``application_insights`` is the connection string, or empty."""
    if application_insights:
        from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415 - takes a third of a second
            AzureMonitorLogExporter,
            AzureMonitorMetricExporter,
            AzureMonitorTraceExporter,
        )

        yield Exporters(
            AzureMonitorTraceExporter(connection_string=application_insights),
            AzureMonitorMetricExporter(connection_string=application_insights),
            AzureMonitorLogExporter(connection_string=application_insights),
        )
    if otlp:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - the same
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        yield Exporters(OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter())
    if console:
        yield Exporters(ConsoleSpanExporter(), ConsoleMetricExporter(), ConsoleLogRecordExporter())
