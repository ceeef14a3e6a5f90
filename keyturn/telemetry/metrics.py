"""The instruments, made from the table of names."""

from collections.abc import Mapping

from opentelemetry import metrics
from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.metrics import _Gauge as Gauge  # the API's only name for a gauge that is set

from keyturn.telemetry.names import METRICS, SCOPE, Metric

# In seconds, from a point read to a page that was throttled for a minute; the SDK's own are made for milliseconds.
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


def _made(meter: Meter, metric: Metric) -> Gauge | Counter | Histogram:
    match metric.kind:
        case "gauge":
            return meter.create_gauge(metric.name, metric.unit, metric.description)
        case "counter":
            return meter.create_counter(metric.name, metric.unit, metric.description)
        case "histogram":
            return meter.create_histogram(
                metric.name,
                metric.unit,
                metric.description,
                explicit_bucket_boundaries_advisory=SECONDS_BUCKETS,
            )


_meter = metrics.get_meter(SCOPE)
_instruments = {metric.name: _made(_meter, metric) for metric in METRICS}


def record(metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
    """Write a measurement down: set a gauge, add to a counter or a histogram."""
    instrument = _instruments[metric.name]
    if isinstance(instrument, Counter):
        instrument.add(value, attributes)
    elif isinstance(instrument, Histogram):
        instrument.record(value, attributes)
    else:
        instrument.set(value, attributes)
