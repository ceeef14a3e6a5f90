"""``watch``: a run as it goes, on a terminal in place, elsewhere as lines with their time."""

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.output import echo, note
from keyturn.cli.rotations import Keyring
from keyturn.cli.runs import latest
from keyturn.cli.status_view import run_of
from keyturn.cli.tables import console, facts, from_now, message_lines, moment, span, width
from keyturn.cli.waiting import decide_hint, follow, goes_on, is_undecided, require_good_end, stamp
from keyturn.contracts.characters import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_STEP = 10  # percent, between two lines where there is no terminal
_INTERRUPTED = 130  # as shells have it for Ctrl-C


def watch(
    run: Annotated[str | None, typer.Argument(help="the run under way, or the last one, unless given")] = None,
    keyring: Keyring = None,
    poll: Annotated[float, typer.Option(envvar="KEYTURN_POLL", min=0.05, help="seconds between two looks")] = 2.0,
) -> None:
    """Follow a run until a person is needed, or to its end; Ctrl-C ends the watching alone."""
    try:
        ask(lambda api: _watch(api, run, keyring, poll))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


async def _watch(api: Api, run: str | None, keyring: str | None, poll: float) -> None:
    followed = run or run_of(await latest(api, keyring))
    found: dict[str, Any] = {}
    live = _live()
    try:
        with live or nullcontext():
            async for seen in follow(api, followed, poll, note if live is None else partial(_note_above, live)):
                if live is None:
                    _tell(followed, found, seen)
                else:
                    _paint(live, followed, found, seen)
                found = seen
    except asyncio.CancelledError:  # Ctrl-C
        note(goes_on(followed))
        raise
    if is_undecided(found):
        echo(decide_hint(followed, found), err=True)
    require_good_end(followed, found)


def _live() -> "Live | None":
    """Return a picture that can be painted over, or None where there is no terminal to paint on."""
    from rich.live import Live

    target = console()
    if not target.is_terminal or target.is_dumb_terminal:
        return None
    return Live(console=target, auto_refresh=False)


def _paint(live: "Live", run: str, before: dict[str, Any], seen: dict[str, Any]) -> None:
    """Paint how the run stands; each state that it enters stays above."""
    from rich.text import Text

    if seen["state"] != before.get("state"):
        live.console.print(Text(visible(f"{stamp()} {_state(seen)}")))
    live.console.width = width()  # which a person may have changed meanwhile
    live.update(_picture(run, seen, live.console.width), refresh=True)


def _note_above(live: "Live", text: str) -> None:
    """Write a message above the picture, which would be painted over it where it stood below."""
    from rich.text import Text

    live.console.print(Text("\n".join(message_lines(visible(text), live.console.width))))


def _picture(run: str, seen: dict[str, Any], columns: int) -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    percent = seen.get("percent")
    bar = [] if percent is None else [ProgressBar(completed=percent, width=columns)]
    quarantined = (seen.get("quarantined") or {}).get("count")
    pairs = [
        ("state", _state(seen)),
        ("rows", _rows(seen)),
        ("vault", _vault(seen)),
        ("waits for", _waiting(seen)),
        ("quarantined", f"{quarantined:,}" if quarantined else None),
    ]
    return Group(Text(visible(run), style="bold"), *bar, facts(pairs))


def _tell(run: str, before: dict[str, Any], seen: dict[str, Any]) -> None:
    """Write a line where something has changed that a reader of a log wants to know."""
    if _told(before) != _told(seen):
        parts = [f"{run}: {_state(seen)}", _rows(seen), _vault(seen), _waiting(seen)]
        names = ["", "", "vault ", "waits for "]
        echo(f"{stamp()} " + "; ".join(name + part for name, part in zip(names, parts, strict=True) if part))


def _told(seen: dict[str, Any]) -> tuple[Any, ...]:
    percent, waits = seen.get("percent"), seen.get("waitsFor") or {}
    return seen.get("state"), None if percent is None else percent // _STEP, waits.get("what")


def _state(seen: dict[str, Any]) -> str:
    state = str(seen["state"]).replace("_", " ")
    return f"{state}: {seen['detail']}" if seen.get("detail") else state


def _rows(seen: dict[str, Any]) -> str | None:
    """Return how far the pass is and how fast, as far as that is known."""
    from keyturn.contracts.pages import DEKS

    counted, percent = (seen.get("counts") or {}).get(seen.get("phase")), seen.get("percent")
    if counted is None:
        return None
    done, total = counted["changed" if counted["source"] == DEKS else "scanned"], counted["rowsTotal"]
    rate, eta = seen.get("rowsPerSecond"), seen.get("etaSeconds")
    parts = [f"{done:,}" if total is None else f"{done:,} of {total:,}"]
    parts += [] if percent is None else [f"{percent:g} %"]
    parts += [] if rate is None else [f"{rate:,.1f} a second"]
    return ", ".join(parts + ([] if eta is None else [f"{span(timedelta(seconds=eta))} left"]))


def _vault(seen: dict[str, Any]) -> str | None:
    """Return what is taken of the vault's budget."""
    if (vault := seen.get("vault")) is None:
        return None
    used, budget, throttled = vault["used"], vault["budget"], vault["throttled"]
    share = "" if used is None else f" ({used / budget:.0%})"
    taken = f"{'?' if used is None else f'{used:,.1f}'} of {budget:,.1f} operations a second{share}"
    return f"{taken}, throttled {'once' if throttled == 1 else f'{throttled:,} times'}"


def _waiting(seen: dict[str, Any]) -> str | None:
    """Return what the run waits for, and until when."""
    if not (waits := seen.get("waitsFor")):
        return None
    until = waits.get("until")
    return f"{waits['what']}, until {moment(until)} ({from_now(until)})" if until else str(waits["what"])
