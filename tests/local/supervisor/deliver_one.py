"""Delivers one event as the app does: with the settings that it finds in its environment."""

import asyncio
import json
import os
import sys

from keyturn.domain_events.actiontrail import Actiontrail
from keyturn.settings import load_settings
from keyturn.settings.types import signing_secrets


async def main() -> None:
    """Deliver the event that is the argument."""
    settings = load_settings(dict(os.environ))
    assert settings.actiontrail_url is not None
    actiontrail = Actiontrail(settings.actiontrail_url, signing_secrets(settings.actiontrail_secrets))
    await actiontrail.deliver(json.loads(sys.argv[1]))
    await actiontrail.close()


if __name__ == "__main__":
    asyncio.run(main())
