"""Which properties a container indexes, by its indexing policy.

Microsoft's page on indexing policies: of the included and excluded paths that cover a property the most precise one
decides, ``/?`` before ``/*``. The system properties ``id`` and ``_ts`` are indexed whatever the paths are, and without
a policy everything is but ``_etag``. With the mode ``none`` nothing is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_DEFAULT = {"includedPaths": [{"path": "/*"}], "excludedPaths": [{"path": '/"_etag"/?'}]}
_ALWAYS = (("id",), ("_ts",))
_STEP = re.compile(r'"(?:[^"\\]|\\.)*"|[^/"]+')
_ELEMENT = "[]"


def is_indexed(container: Mapping[str, Any], steps: Sequence[str | int]) -> bool:
    """Tell whether a query may sort by the property; ``container`` is its document, ``steps`` the path in an item."""
    policy = container.get("indexingPolicy") or _DEFAULT
    if str(policy.get("indexingMode", "consistent")).lower() == "none":
        return False
    if tuple(steps) in _ALWAYS:
        return True
    sought = [_ELEMENT if isinstance(step, int) else step for step in steps]
    included, excluded = (
        max((_precision(entry["path"], sought) for entry in policy.get(kind) or ()), default=-1)
        for kind in ("includedPaths", "excludedPaths")
    )
    return included > excluded


def _precision(path: str, sought: Sequence[str]) -> int:
    """Return how precisely a path of a policy covers the property, -1 if it does not."""
    *listed, last = _STEP.findall(path) or ["*"]
    steps = [json.loads(step) if step.startswith('"') else step for step in listed]
    if last == "?":
        return 2 * len(steps) + 1 if steps == list(sought) else -1
    return 2 * len(steps) if steps == list(sought[: len(steps)]) else -1
