"""Request charges in RU, after Microsoft's published costs.

A point read is 1 RU per KB; an insert of 1 KB about 5.5 RU, with the classic sizing table (1 KB: 5, 64 KB: 48) giving
the slope; a replace costs two inserts, a patch as much as a replace; a query pays for what it loads and what it looks
at; the change feed pays by size. Source: optimize-cost-reads-writes, partial-document-update-faq.
"""

import math

_KB = 1024
_INSERT_BASE = 5.5
_INSERT_PER_KB = 0.68
_QUERY_BASE = 2.8
_QUERY_PER_KB = 0.5
_QUERY_PER_EXAMINED = 0.01
FAILURE = 1.0


def point_read(size: int) -> float:
    """Return the charge for reading one item of ``size`` bytes."""
    return float(max(1, math.ceil(size / _KB)))


def insert(size: int) -> float:
    """Return the charge for creating or deleting an item."""
    return _INSERT_BASE + _INSERT_PER_KB * max(0, math.ceil(size / _KB) - 1)


def replace(size: int) -> float:
    """Return the charge for replacing or patching an item."""
    return 2 * insert(size)


def query(examined: int, returned_bytes: int) -> float:
    """Return the charge for one page of a query."""
    return _QUERY_BASE + _QUERY_PER_EXAMINED * examined + _QUERY_PER_KB * returned_bytes / _KB


def change_feed(returned_bytes: int) -> float:
    """Return the charge for one page of the change feed."""
    return max(1.0, returned_bytes / _KB)
