"""The events that were taken, one JSON object a line, in the order in which they came."""

import json
import os
from pathlib import Path


class EventLog:
    """One file; what was added survives a kill."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        path.touch()
        self.lines = path.read_text().split("\n")
        # What follows the last newline was cut off by a kill: it was never acknowledged, and will come again.
        if cut := self.lines.pop():
            os.truncate(path, path.stat().st_size - len(cut.encode()))
        self._ids = {json.loads(line)["id"] for line in self.lines}

    def add(self, event_id: str, event: object) -> bool:
        """Add the event; returns False where one of this id was added before."""
        if event_id in self._ids:
            return False
        line = json.dumps(event)
        with self._path.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)
        self._ids.add(event_id)
        return True
