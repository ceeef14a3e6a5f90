"""Examines one environment after the other: a process of its own, because trust in a CA is settled when it starts.

Reads a JSON object a line, ``{"environment", "probing", "requirements", "ahead", "seconds"}``; answers with a JSON list
of lines.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keyturn.doctor.run import examine


def answer(asked: dict[str, Any]) -> list[dict[str, str]]:
    """Examine as the identity of the environment, with a clock that is so many seconds ahead."""
    os.environ.update(asked["environment"])
    ahead = timedelta(seconds=asked["ahead"])
    lines = asyncio.run(
        examine(
            asked["environment"],
            probing=asked["probing"],
            requirements=Path(asked["requirements"]),
            now=lambda: datetime.now(UTC) + ahead,
            seconds=asked["seconds"],
        )
    )
    return [asdict(line) for line in lines]


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
