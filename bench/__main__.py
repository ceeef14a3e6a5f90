"""``python -m bench [--rounds N] [--json FILE] [--against FILE]``: run every case, and compare with a baseline."""

import argparse
import asyncio
import json
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import this_machine
from bench.sweep import CASES, ActivityHarness, Sweep

ROUNDS = 3


def measure(rounds: int, console: Console) -> dict[str, list[Sweep]]:
    """Run every case once a round."""
    measured: dict[str, list[Sweep]] = {name: [] for name in CASES}
    for number in range(1, rounds + 1):
        for name, case in CASES.items():
            console.print(f"round {number} of {rounds}: {name}")
            harness = ActivityHarness(case)
            try:
                with harness.azure.running():
                    measured[name].append(asyncio.run(harness.rotate()))
            finally:
                harness.remove()
    return measured


def summary(name: str, sweeps: list[Sweep]) -> dict[str, Any]:
    """Return a case's figures."""
    rates = sorted(sweep.rows / sweep.seconds for sweep in sweeps)
    return {
        "rows": CASES[name].rows,
        "bits": CASES[name].bits,
        "vaultLimits": CASES[name].limits,
        "vaultLatencyMs": CASES[name].latency_ms,
        "rowsPerSecond": {
            "min": round(rates[0], 1),
            "median": round(statistics.median(rates), 1),
            "max": round(rates[-1], 1),
        },
        "unwrapsPerRow": round(max(sweep.unwraps / sweep.rows for sweep in sweeps), 3),
        "throttled": max(sweep.throttled for sweep in sweeps),
    }


def show(console: Console, found: dict[str, Any], baseline: dict[str, Any]) -> None:
    """Print the figures, beside those of the baseline."""
    table = Table("case", "rows/s (min, median, max)", "baseline", "unwraps a row", "throttled")
    for name, case in found["cases"].items():
        rate = case["rowsPerSecond"]
        known = baseline.get("cases", {}).get(name, {}).get("rowsPerSecond", {}).get("median", "")
        shown = f"{rate['min']}, {rate['median']}, {rate['max']}"
        table.add_row(name, shown, str(known), str(case["unwrapsPerRow"]), str(case["throttled"]))
    console.print(table)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast a sweep is, on a local Azure.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each case runs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--against", type=Path, help="file of earlier figures to show beside them")
    arguments = parser.parse_args()
    console = Console()
    baseline = json.loads(arguments.against.read_text()) if arguments.against else {}
    machine = this_machine()
    measured = measure(arguments.rounds, console)
    found = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": arguments.rounds,
        "machine": machine.model_dump(by_alias=True),
        "cases": {name: summary(name, sweeps) for name, sweeps in measured.items()},
    }
    show(console, found, baseline)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
