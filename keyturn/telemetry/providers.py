"""OpenTelemetry's providers for this process: set once, ended with the process."""

import logging
import os
from collections.abc import Iterable, Sequence
from typing import override

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider, _Gauge  # the only name of a gauge that is set
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from keyturn.telemetry.exporters import Exporters
from keyturn.telemetry.logs import LOGGERS, LogHandler
from keyturn.telemetry.names import SCOPE
from keyturn.telemetry.spans import chosen_ids


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


class GaugeOnce(PeriodicExportingMetricReader):
    """Sends a gauge once for each time that it was set.

    Any instance may take a rotation over: what the one before it set must not be repeated beside what the new one says.
    """

    @override
    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter)
        # The readers' own parameter is taken from the exporter, and that of Azure Monitor has no say in it.
        gauges = [kind for kind in self._instrument_class_temporality if issubclass(kind, _Gauge)]
        self._instrument_class_temporality |= dict.fromkeys(gauges, AggregationTemporality.DELTA)


def install(places: Iterable[Exporters]) -> None:
    """Send everything to these places, in the background."""
    made = list(places)
    set_up(
        spans=[BatchSpanProcessor(place.spans) for place in made],
        readers=[GaugeOnce(place.metrics) for place in made],
        logs=[BatchLogRecordProcessor(place.logs) for place in made],
    )


def set_up(
    *, spans: Sequence[SpanProcessor], readers: Sequence[MetricReader], logs: Sequence[LogRecordProcessor]
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
