"""The process's providers, set once with exporters that keep everything in memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, _Gauge
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from keyturn.telemetry.names import Metric
from keyturn.telemetry.providers import set_up


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Return the span's attributes, of which it has some."""
    assert span.attributes is not None
    return dict(span.attributes)


def parent_of(span: ReadableSpan) -> SpanContext:
    """Return what the span is a part of."""
    assert span.parent is not None
    return span.parent


class Recorded:
    """What was recorded since the test began."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # its constructor has no types
        kinds = (Counter, Histogram, _Gauge)
        self._reader = InMemoryMetricReader(dict.fromkeys(kinds, AggregationTemporality.DELTA))
        set_up(
            spans=[SimpleSpanProcessor(self._spans)],
            readers=[self._reader],
            logs=[SimpleLogRecordProcessor(self._logs)],
        )

    def forget(self) -> None:
        """Begin anew."""
        self._spans.clear()
        self._logs.clear()
        self._reader.get_metrics_data()

    def spans(self, trace_id: int | None = None) -> list[ReadableSpan]:
        """Return the spans that have ended, of one trace if it is given."""
        ended = self._spans.get_finished_spans()
        return [span for span in ended if trace_id in (None, span.context.trace_id)]

    def logs(self) -> list[tuple[str, dict[str, object]]]:
        """Return the log records: text and attributes."""
        records = [data.log_record for data in self._logs.get_finished_logs()]
        return [(str(record.body), dict(record.attributes or {})) for record in records]

    def metric(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """Return the instrument's points: the values of its attributes -> value, or count for a histogram."""
        data = self._reader.get_metrics_data()
        points: list[Any] = [
            point
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric.name
            for point in found.data.data_points
        ]
        return {
            tuple(str(point.attributes.get(name, "")) for name in metric.attributes): point.value
            if hasattr(point, "value")
            else point.count
            for point in points
        }


@pytest.fixture(scope="session")
def telemetry() -> Recorded:
    """The providers: a process has them once."""
    return Recorded()


@pytest.fixture
def recorded(telemetry: Recorded) -> Iterator[Recorded]:
    """What is recorded in this test."""
    telemetry.forget()
    yield telemetry
    telemetry.forget()
