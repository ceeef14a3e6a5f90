"""OpenTelemetry's providers and exporters for this process, and the log handler; only what is asked for is loaded."""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, override

from opentelemetry import _logs, context, metrics, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider, _Gauge, export  # _Gauge: the only name of a gauge that is set
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from keyturn.telemetry.names import ATTRIBUTES, ERROR_TYPE, KEYRING, ROTATION, SCOPE
from keyturn.telemetry.signals import chosen_ids, current_work

# Our own words only: what a library logs may quote a request.
LOGGERS = ("keyturn", "field_encrypt", "triggers")

_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class LogHandler(logging.Handler):
    """Hands records on to OpenTelemetry, with trace and span of whatever is being done."""

    def __init__(self, logger: _logs.Logger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._logger.emit(
            _logs.LogRecord(
                timestamp=int(record.created * 1_000_000_000),
                observed_timestamp=time.time_ns(),
                context=context.get_current(),
                severity_text=record.levelname,
                severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
                body=record.getMessage(),
                attributes=_attributes(record),
            )
        )


def _attributes(record: logging.LogRecord) -> dict[str, str]:
    attributes = {"logger": record.name}
    if (work := current_work.get()) is not None:
        attributes |= {ROTATION: work.run_id, KEYRING: work.keyring}
    attributes |= {name: str(record.__dict__[name]) for name in ATTRIBUTES if name in record.__dict__}
    if record.exc_info is not None and record.exc_info[0] is not None:
        attributes[ERROR_TYPE] = record.exc_info[0].__name__
    return attributes


class Exporters(NamedTuple):
    """One place that telemetry goes to."""

    spans: SpanExporter
    metrics: export.MetricExporter
    logs: LogRecordExporter


def chosen(*, application_insights: str, otlp: bool, console: bool) -> Iterator[Exporters]:
    """Make the exporters; ``application_insights`` is the connection string, or empty."""
    if application_insights:
        from azure.monitor.opentelemetry import exporter  # noqa: PLC0415 - takes a third of a second

        yield Exporters(
            exporter.AzureMonitorTraceExporter(connection_string=application_insights),
            exporter.AzureMonitorMetricExporter(connection_string=application_insights),
            exporter.AzureMonitorLogExporter(connection_string=application_insights),
        )
    if otlp:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - the same
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - the same
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the same

        yield Exporters(OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter())
    if console:
        yield Exporters(ConsoleSpanExporter(), export.ConsoleMetricExporter(), ConsoleLogRecordExporter())


class RotationIds(RandomIdGenerator):
    """Random ids, but for spans whose ids are chosen."""

    @override
    def generate_span_id(self) -> int:
        ids = chosen_ids.get()
        return super().generate_span_id() if ids is None else ids.span_id

    @override
    def generate_trace_id(self) -> int:
        ids = chosen_ids.get()
        return super().generate_trace_id() if ids is None else ids.trace_id


class GaugeOnce(export.PeriodicExportingMetricReader):
    """Sends a gauge once for each time that it was set.

    Any instance may take a rotation over: what the one before it set must not be repeated beside what the new one says.
    """

    @override
    def __init__(self, exporter: export.MetricExporter) -> None:
        super().__init__(exporter)
        # The readers' own parameter is taken from the exporter, and that of Azure Monitor has no say in it.
        gauges = [kind for kind in self._instrument_class_temporality if issubclass(kind, _Gauge)]
        self._instrument_class_temporality |= dict.fromkeys(gauges, export.AggregationTemporality.DELTA)


def install(places: Iterable[Exporters]) -> None:
    """Send everything to these places, in the background."""
    made = list(places)
    set_up(
        spans=[BatchSpanProcessor(place.spans) for place in made],
        readers=[GaugeOnce(place.metrics) for place in made],
        logs=[BatchLogRecordProcessor(place.logs) for place in made],
    )


def set_up(
    *, spans: Sequence[SpanProcessor], readers: Sequence[export.MetricReader], logs: Sequence[LogRecordProcessor]
) -> None:
    """Set the providers of this process, unless they are set."""
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or SCOPE})
    tracers = TracerProvider(resource=resource, id_generator=RotationIds())
    for span_processor in spans:
        tracers.add_span_processor(span_processor)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider(readers, resource))
    loggers = LoggerProvider(resource=resource)
    for log_processor in logs:
        loggers.add_log_record_processor(log_processor)
    _logs.set_logger_provider(loggers)
    handler = LogHandler(loggers.get_logger(SCOPE))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        if logger.getEffectiveLevel() > logging.INFO:  # whatever the worker has set for others: alerts need these
            logger.setLevel(logging.INFO)
