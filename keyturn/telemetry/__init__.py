"""Traces, metrics and logs of rotations, from activities and triggers only: a replayed workflow adds nothing."""

from keyturn.telemetry.configure import configure

__all__ = ["configure"]
