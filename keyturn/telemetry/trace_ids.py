"""One trace a rotation: its ids follow from the rotation's id, so any process at any time adds to the one trace."""

import hashlib

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context


def root_of(rotation_id: str) -> SpanContext:
    """Return the ids of the rotation's own span, which every other span of it is below."""
    digest = hashlib.sha256(f"keyturn/trace/v1\n{rotation_id}".encode()).digest()
    return _context(digest[:16], digest[16:24])


def state_of(rotation_id: str, step: int) -> SpanContext:
    """Return the ids of the span of the state that this step began."""
    digest = hashlib.sha256(f"keyturn/trace/v1\n{rotation_id}\n{step}".encode()).digest()
    return _context(root_of(rotation_id).trace_id.to_bytes(16), digest[16:24])


def _context(trace_id: bytes, span_id: bytes) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def below(parent: SpanContext) -> Context:
    """Return a context in which new spans are children of this one; nothing else is in it."""
    return set_span_in_context(NonRecordingSpan(parent), Context())
