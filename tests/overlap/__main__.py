"""``python -m tests.overlap [WORD ...]``: explore the places whose names hold a word, and print what is wrong by kind.

Without a word it explores nothing, and prints the table of ``docs/testing.md``.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.overlap.exploring import exploring
from tests.overlap.places import PLACES
from tests.overlap.table import table


def main() -> int:
    """Explore; returns 1 if anything was wrong."""
    logging.disable()
    words, wrong = sys.argv[1:], 0
    with tempfile.TemporaryDirectory() as folder, exploring(Path(folder)) as found:
        if not words:
            _say(table({place: found.count(place) for place in PLACES}))
        for place in [one for one in PLACES if any(word in str(one) for word in words)]:
            began = time.process_time()
            report = found.explore(place)
            wrong += len(report.wrong)
            seconds = time.process_time() - began
            counts = f"{report.stops} pause points, {report.experiments} experiments, {report.runs} runs"
            _say(f"{place}: {counts}, {len(report.wrong)} wrong, {seconds:.1f} s")
            for text in [*report.findings(), *(f"cut: {what} ({times})" for what, times in report.cut.items())]:
                _say(f"    {text}")
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
