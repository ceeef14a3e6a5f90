"""How a process sends its metrics."""

from typing import Any, override

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

from keyturn.telemetry.providers import GaugeOnce


class Kept(MetricExporter):
    """Keeps the names of the metrics of every sending."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[str]] = []

    @override
    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **_: Any) -> MetricExportResult:
        """Keep the names."""
        found = [scope.metrics for resource in metrics_data.resource_metrics for scope in resource.scope_metrics]
        self.sent.append([metric.name for metrics in found for metric in metrics])
        return MetricExportResult.SUCCESS

    @override
    def force_flush(self, timeout_millis: float = 0) -> bool:
        """There is nothing to flush."""
        return True

    @override
    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        """There is nothing to end."""


def test_a_gauge_is_sent_once_each_time_that_it_is_set() -> None:
    """An instance that no longer has a rotation does not repeat what it once said of it; a counter goes on."""
    kept = Kept()
    reader = GaugeOnce(kept)
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    meter.create_gauge("rows").set(5)
    meter.create_counter("calls").add(1)

    reader.collect()
    reader.collect()
    reader.shutdown()

    assert kept.sent[:2] == [["rows", "calls"], ["calls"]]
