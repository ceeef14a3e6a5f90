"""``python -m local.inbox --state DIR --port N``."""

import argparse
import asyncio
from pathlib import Path

from local.common.serve import serve
from local.inbox.service import InboxService


def main() -> None:
    """Serve the inbox until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.inbox")
    parser.add_argument("--state", type=Path, required=True, help="folder of messages.jsonl")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(InboxService(arguments.state).application(), port=arguments.port))


if __name__ == "__main__":
    main()
