"""``python -m local.demo --deks N --bits B``: a whole rotation on the local Azure.

The exit code is 0 only if the rotation kept every promise.
"""

import argparse
import asyncio
import contextlib
import signal
import sys

from rich.console import Console

from local.demo.display import Display, suggest, summarise
from local.demo.person import Person
from local.demo.run import approve, options, rotate, write_report
from local.supervisor import LocalAzure

INTERRUPTED = 130


def main() -> int:
    """Run the demo and return the exit code."""
    for received in (signal.SIGTERM, signal.SIGHUP):  # as of Ctrl-C: whatever was started is stopped
        signal.signal(received, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m local.demo")
    parser.add_argument("--deks", type=int, default=500, help="notes to seed, each with a DEK of its own")
    parser.add_argument("--bits", type=int, default=4096, choices=(2048, 3072, 4096), help="RSA size of the MEK")
    parser.add_argument("--interactive", action="store_true", help="wait for a person to decide")
    arguments = parser.parse_args()
    console = Console()
    console.print(f"[bold]A local Azure[/] with {arguments.deks} notes under an RSA-{arguments.bits} key ...")
    azure = LocalAzure(options(arguments.deks, arguments.bits))
    with azure.running():
        decide = Person(console, azure).decide if arguments.interactive else approve
        with Display(console) as display:
            report = asyncio.run(rotate(azure, arguments.deks, display.seen, decide))
        rejected = arguments.interactive and report.state != "completed"
        if rejected:
            console.print(f"It ended in {report.state}: every version stays enabled, and everything stays readable.")
        else:
            summarise(console, report)
        console.print(f"written to {write_report(report)}")
        if arguments.interactive:
            _hold(console)
    suggest(console, report.run_id, deks=arguments.deks, bits=arguments.bits)
    return 1 if report.broken_promises() and not rejected else 0


def _hold(console: Console) -> None:
    """Keep everything up until a person has looked around."""
    console.print("The console and the pages stay up until you press Enter.")
    with contextlib.suppress(EOFError):
        input()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        Console(stderr=True).print("\nThe demo was ended, and everything that it had started was stopped.")
        sys.exit(INTERRUPTED)
