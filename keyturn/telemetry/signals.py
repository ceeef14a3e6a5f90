"""Spans and measurements, as they are made from the table of names. They carry types of errors, never texts.

A span is one run of an activity, one state, or the whole rotation. A rotation is one trace: its ids follow from the
rotation's id, so any process at any time adds to the one trace.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import NamedTuple

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.util.types import AttributeValue

from keyturn.contracts.base import RunInput
from keyturn.telemetry import names

# In seconds, from a point read to a page that was throttled for a minute; the SDK's own are made for milliseconds.
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


_meter = metrics.get_meter(names.SCOPE)


def _writer(metric: names.Metric) -> Callable[[float, Mapping[str, str]], None]:
    described = (metric.name, metric.unit, metric.description)
    match metric.kind:
        case "gauge":
            return _meter.create_gauge(*described).set
        case "counter":
            return _meter.create_counter(*described).add
        case "histogram":
            return _meter.create_histogram(*described, explicit_bucket_boundaries_advisory=SECONDS_BUCKETS).record


_writers = {metric.name: _writer(metric) for metric in names.METRICS}


def record(metric: names.Metric, value: float, attributes: Mapping[str, str]) -> None:
    """Write a measurement down: set a gauge, add to a counter or a histogram."""
    _writers[metric.name](value, attributes)


def root_of(run_id: str) -> SpanContext:
    """Return the ids of the rotation's own span, which every other span of it is below."""
    digest = hashlib.sha256(f"keyturn/trace/v1\n{run_id}".encode()).digest()
    return _context(digest[:16], digest[16:24])


def state_of(run_id: str, step: int) -> SpanContext:
    """Return the ids of the span of the state that this step began."""
    digest = hashlib.sha256(f"keyturn/trace/v1\n{run_id}\n{step}".encode()).digest()
    return _context(root_of(run_id).trace_id.to_bytes(16), digest[16:24])


def _context(trace_id: bytes, span_id: bytes) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


type Facts = Mapping[str, AttributeValue]

_tracer = trace.get_tracer(names.SCOPE)

# What the generator of ids gives to the next span, where that is not to be random.
chosen_ids: ContextVar[SpanContext | None] = ContextVar("keyturn_chosen_ids", default=None)


class Work(NamedTuple):
    """Whose work goes on, for the log."""

    run_id: str
    keyring: str


current_work: ContextVar[Work | None] = ContextVar("keyturn_current_work", default=None)


@contextlib.contextmanager
def working_on(run_id: str, keyring: str) -> Iterator[None]:
    """Say whose work goes on inside: log records and request units are told with it."""
    token = current_work.set(Work(run_id, keyring))
    try:
        yield
    finally:
        current_work.reset(token)


@contextlib.contextmanager
def activity_span(name: str, request: RunInput) -> Iterator[None]:
    """Measure one run of an activity, as a child of its rotation."""
    attributes = {
        names.ROTATION: request.run.run_id,
        names.KEYRING: request.run.keyring,
        names.ACTIVITY: name,
        names.INPUT_DIGEST: _digest(request),
    }
    started, outcome = time.monotonic(), "ok"
    try:
        with _tracer.start_as_current_span(
            f"activity {name}",
            context=rotation_context(request.run.run_id),
            links=_platform(),
            attributes=attributes,
            record_exception=False,  # its text is not ours to tell
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                outcome = "error"
                span.set_attribute(names.ERROR_TYPE, type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
    finally:
        measured = {names.KEYRING: request.run.keyring, names.ACTIVITY: name, names.OUTCOME: outcome}
        record(names.ACTIVITY_SECONDS, time.monotonic() - started, measured)


def tell_span(
    name: str, ids: SpanContext, parent: Context, *, begun: datetime, ended: datetime, attributes: Facts
) -> None:
    """Tell a span that is over, with ids of its own choice."""
    token = chosen_ids.set(ids)
    try:
        span = _tracer.start_span(name, context=parent, start_time=_nanoseconds(begun), attributes=attributes)
    finally:
        chosen_ids.reset(token)
    span.end(_nanoseconds(ended))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000_000)


@contextlib.contextmanager
def in_trace_of(run_id: str) -> Iterator[None]:
    """Let whatever is scheduled inside belong to the rotation's trace."""
    token = context.attach(rotation_context(run_id))
    try:
        yield
    finally:
        context.detach(token)


def rotation_context(run_id: str) -> Context:
    """Return a context in which a new span is a child of the rotation's own; nothing else is in it."""
    return set_span_in_context(NonRecordingSpan(root_of(run_id)), Context())


def _platform() -> list[Link]:
    """Return a link to the span that the platform has made for this invocation, if it has made one.

    Every generation of a workflow and every sub-workflow is a span of the platform's own: the links tie them all to the
    rotation's one trace.
    """
    invocation = trace.get_current_span().get_span_context()
    return [Link(invocation)] if invocation.is_valid else []


def _digest(request: RunInput) -> str:
    return hashlib.sha256(json.dumps(request.to_payload(), sort_keys=True).encode()).hexdigest()[:16]
