"""What the demo shows: a line per state, a bar for every pass over the rows, a table at the end, and what to try."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.report import Report
from local.demo.run import STATE
from local.supervisor.layout import REPOSITORY

WORDS = {
    "requested": "requested",
    "preflight": "pre-flight: can we, may we, is everything there?",
    "creating_version": "making a new RSA version of the MEK",
    "sweeping": "sweeping: every data key onto the new version",
    "soaking": "soaking: proving every rewrapped row",
    "awaiting_approval": "evidence frozen; waiting for somebody else's approval",
    "retiring": "approved: counting once more, then disabling the old version",
    "watching": "watching: canaries and probes after the disable",
    "completed": "completed",
}
INTERACTIVE = "make demo INTERACTIVE=1"
PHASES = {"sweeping": "sweep", "soaking": "proof"}


class Display:
    """Live progress of one rotation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._state = ""
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def seen(self, status: dict[str, Any]) -> None:
        """Show a status."""
        state = status.get("state", "")
        if state != self._state:
            self._keep(status)
            self._state = state
            self._console.print(f"[bold cyan]{state:<18}[/] {WORDS.get(state, '')}")
        if (phase := PHASES.get(state)) is None or status.get("census") is None:
            return
        if self._task is None:
            self._task = self._progress.add_task(phase, rate="")
        # Before the first wave of pages has reported, the census alone tells how much there is to do.
        counts = status["counts"].get(phase, {"changed": 0, "rowsTotal": None})
        self._progress.update(
            self._task,
            completed=counts["changed"],
            total=max(counts["rowsTotal"] or status["census"]["total"], counts["changed"]),
            rate=_rate(status.get("rowsPerSecond")),
        )

    def _keep(self, status: dict[str, Any]) -> None:
        """Leave the finished bar where it was, with what the pass did and its rate."""
        if self._task is None:
            return
        task = self._progress.tasks[self._progress.task_ids.index(self._task)]
        changed = status.get("counts", {}).get(task.description, {"changed": task.completed})["changed"]
        seconds = task.elapsed
        # Rows that came meanwhile are none of this pass's: what it did is all of it.
        self._progress.update(self._task, completed=changed, total=changed, rate=_rate(changed, seconds))
        self._console.print(self._progress.make_tasks_table([task]))
        self._progress.remove_task(self._task)
        self._task = None


def _rate(rows: float | None, seconds: float | None = 1.0) -> str:
    return f"{rows / seconds:.0f} rows/s" if rows and seconds else ""


def summarise(console: Console, report: Report) -> None:
    """Print the result as a table a person reads with pleasure, and whatever promise was broken."""
    table = Table(title=f"Rotation {report.run_id}", show_header=False, title_style="bold", min_width=76)
    table.add_column(style="dim")
    table.add_column()
    operations = report.vault_operations
    table.add_row("state", f"[bold]{report.state}[/] after {report.seconds:.0f} s")
    table.add_row("old version", f"{report.old_version}  ({'enabled' if report.old_version_enabled else 'disabled'})")
    table.add_row("new version", report.new_version)
    table.add_row(
        "data keys", f"{report.rows}, all on the new version" if not report.broken_promises() else "see below"
    )
    table.add_row("rewrapped", f"{report.rewrapped}, of them {report.stale_writes} written meanwhile by a stale writer")
    table.add_row("vault", f"{operations['unwrap']} unwraps, {operations['wrap']} wraps: wrapping is local")
    table.add_row("notes", f"{report.notes_readable} of {report.notes_readable + report.notes_unreadable} decrypt")
    table.add_row("live reads", f"{report.reads['ok']} served, {report.reads['failed']} failed")
    table.add_row("live writes", f"{report.writes['ok']} served, {report.writes['failed']} failed")
    console.print(table)
    for broken in report.broken_promises():
        console.print(f"[bold red]broken:[/] {broken}")


def suggest(console: Console, run_id: str, *, deks: int, bits: int) -> None:
    """Print what to try next: commands that work where ``make demo`` does; they bring the same Azure up again."""
    console.print("\n[bold]What to try[/]: the same Azure again, until Ctrl-C")
    state = STATE.relative_to(REPOSITORY)
    first = [f"make local STATE={state} DEKS={deks} BITS={bits}"]
    others = [
        f'eval "$(.venv/bin/python -m local exports --state {state})"',
        f"keyturn status {run_id}",
        f"keyturn report {run_id}",
        "keyturn keyrings",
        "keyturn rotate --dry-run --wait",
    ]
    for title, commands in {"": first, "and in another shell:": others, "or decide yourself:": [INTERACTIVE]}.items():
        if title:
            console.print(title)
        for command in commands:
            console.print(f"  {command}", style="green", highlight=False, soft_wrap=True)
