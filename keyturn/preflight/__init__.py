"""Pre-flight: every item of the runbook's checklist as a named check, and the plan of the rotation.

A check passes on what was seen, never on what was not: a service that does not answer fails the check.
"""
