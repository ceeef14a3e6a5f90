"""The pictures of README.md, out of a real rotation on a local Azure: ``make pictures`` writes docs/pictures/.

``watch.svg`` is a terminal of 80 columns; ``console.png`` and ``approve.png`` are what Chromium shows.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from local import exports
from local.callers import POLL_SECONDS, Callers
from local.supervisor import LocalAzure, Options
from local.supervisor.environment import APPROVER
from local.supervisor.layout import REPOSITORY
from tests.keyturn.cli.terminal import Terminal

INTO = REPOSITORY / "docs" / "pictures"
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
COLUMNS, DEKS, BITS = 80, 700, 4096
SETTINGS = {"KEYTURN_SOAK": "PT20S", "KEYTURN_QUIET_INTERVAL": "PT2S", "KEYTURN_WATCH": "PT20S"}
SECONDS = 180


def keyturn(env: dict[str, str], *arguments: str) -> str:
    """Return what a command wrote to standard output."""
    command = (sys.executable, "-m", "keyturn.cli", *arguments)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout.strip()  # noqa: S603 - our own


def draw(prompt: str, lines: list[str], file: Path) -> None:
    """Write a terminal's lines as SVG, without the font that rich would load from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"), color_system="truecolor")  # noqa: SIM115 - of this process
    console.print(Text(f"$ {prompt}", style="bold"))
    for line in lines:
        console.print(Text(line))
    drawn = console.export_svg(title="keyturn", unique_id="keyturn")
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code", "monospace"))


async def photograph(url: str, file: Path, *, width: int, height: int) -> None:
    """Write what a browser shows of the page, in a window of this size."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only in .venv-browser is it installed

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root without it
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=arguments)
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        await page.goto(url)
        await page.screenshot(path=file)
        await browser.close()


async def link_to_decide(callers: Callers, azure: LocalAzure, run_id: str) -> str:
    """Return the link that the approver was sent."""
    async with asyncio.timeout(SECONDS):
        while True:
            for one in inbox(azure):
                found = re.search(r"http\S+/approval\?token=\S+", one["message"])
                if found and one["channel"] == APPROVER and run_id in one["message"]:
                    return found[0]
            await callers.status(run_id)
            await asyncio.sleep(POLL_SECONDS)


def inbox(azure: LocalAzure) -> list[dict[str, Any]]:
    """Return the messages that people were sent."""
    import requests  # noqa: PLC0415 - of the development environment, as this tool is

    answer = requests.get(
        f"{azure.layout.url('inbox')}/_control/messages", timeout=SECONDS, verify=str(azure.ca_bundle)
    )
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def make(azure: LocalAzure, state: Path) -> None:
    """Rotate, and take the pictures on the way."""
    env = exports.run_environment(azure.endpoints(), state, operator=True)
    run_id = keyturn(env, "rotate", "--reason", "monthly")
    with Terminal("watch", run_id, env=env, columns=COLUMNS, rows=16) as terminal:
        terminal.until_shown("vault  ")
        draw(f"keyturn watch {run_id}", [line for line in terminal.lines if line.strip()], INTO / "watch.svg")
    async with Callers(azure.endpoints()) as callers:
        link = await link_to_decide(callers, azure, run_id)
        await photograph(link, INTO / "approve.png", width=390, height=844)
        body = json.dumps({"requestedBy": "dana@example.com", "runId": run_id}).encode()
        opened = await callers.call("POST", "/api/console/links", data=body)
        await photograph(opened.body["url"], INTO / "console.png", width=1000, height=900)
        await callers.command(run_id, "abort")


def main() -> None:
    """Make all of them."""
    INTO.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "azure"
        options = Options(state=state, deks=DEKS, bits=BITS, settings=SETTINGS, version_max_age=0.5)
        with LocalAzure(options).running() as azure:
            asyncio.run(make(azure, state))
    sys.stdout.write("".join(f"{file.relative_to(REPOSITORY)}\n" for file in sorted(INTO.iterdir())))


if __name__ == "__main__":
    main()
