"""How long a rotation takes and what it costs, by size and kind of key: pre-flight's model in tables."""

from keyturn.capacity.tables import TABLES

__all__ = ["TABLES"]
