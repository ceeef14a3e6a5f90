"""The doctor: looks at a deployment from a desk, and says what is wrong and what to do.

Nothing is changed: a check asks, or asks for something that must be refused. Only probes change something, in a
throw-away key and container of their own.
"""

from keyturn.doctor.checks import Line, worst
from keyturn.doctor.run import examine

__all__ = ["Line", "examine", "worst"]
