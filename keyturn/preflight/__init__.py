"""Pre-flight: the checklist as named checks, and the plan. A check passes on what was seen: no answer fails it."""
