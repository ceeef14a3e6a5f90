"""Pre-flight: every item of the runbook's checklist as a named check, and the plan of the rotation.

A check passes on what was seen, never on what was not: a service that does not answer fails the check.
"""

from keyturn.preflight.checks import CHECKLIST, WAIVABLE, require_waivable
from keyturn.preflight.context import OnCall
from keyturn.preflight.plan import estimate
from keyturn.preflight.run import record_preflight, run_preflight

__all__ = [
    "CHECKLIST",
    "WAIVABLE",
    "OnCall",
    "estimate",
    "record_preflight",
    "require_waivable",
    "run_preflight",
]
